"""
Who writes in the world of several processes, and what goes on in a process by itself.

Writers run the real plan over the real near side; what the threads of a process do is a
step each.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tests.explorer.shared_actors import TAG, Killed
from yokedcache.core import operations as ops
from yokedcache.core.plans import announce

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from tests.explorer.shared_process import Process
    from tests.explorer.shared_world import SharedWorld
    from yokedcache.core.tags import Fence
    from yokedcache.stores.answers import Said


class Writer:
    """
    Someone who commits a change of the row.
    """

    def __init__(self, world: SharedWorld, process: Process, name: str) -> None:
        self.world = world
        self.process = process
        self.name = name
        self.owner = name if world.scope.asking else ""
        """How its fence names its transaction."""
        self.finished = False
        self.open = False
        """The database has a transaction of it that may yet be committed."""
        self._told = 0
        self._said: list[Said] = []
        """What its transaction says by itself, if it is committed."""
        self._plan = announce((TAG,))
        self._op: Any = next(self._plan)

    def deeds(self) -> Iterator[str]:
        if self.finished:
            return
        if self.process.dead:
            if self.open:
                yield from ("is committed by the database", "is rolled back")
            return
        if isinstance(self._op, ops.PutFence):
            yield "fences and bumps"
        elif isinstance(self._op, ops.Commit):
            yield "commits"
        else:
            yield "bumps, lifts and returns"
        if self.world.budget["dying"]:
            yield "is killed"

    def do(self, deed: str) -> None:
        world = self.world
        if deed == "fences and bumps":
            self.open = True
            self._send(self._fence())
        elif deed == "commits":
            self._commit()
            self._send(None)
        elif deed == "bumps, lifts and returns":
            self._lift(self._op.fence)
            with suppress(StopIteration):
                self._send(None)
            self.finished = True
            world.told(self._told, self.process)
        elif deed == "is killed":
            world.budget["dying"] -= 1
            self.process.die()
        else:
            if deed == "is committed by the database":
                self._commit()
            self.open, self.finished = False, True

    def portrait(self) -> Hashable:
        return (
            self.name,
            self.finished,
            self.open,
            self._told,
            type(self._op).__name__,
        )

    def close(self) -> None:
        with suppress(Killed, StopIteration):
            self._plan.throw(Killed())
            while True:
                self._plan.send(None)

    def _send(self, answer: Any) -> None:
        self._op = self._plan.send(answer)

    def _commit(self) -> None:
        self.world.row += 1
        if self.world.off != "inside-said":
            self.world.model.commit(self._said)
        self.open, self._told = False, self.world.row

    def _fence(self) -> Fence | None:
        store, off = self.process.store, self.world.off
        if off == "2-after":
            store.bump((TAG,))
        if self.world.scope.inside:
            store._mirror.mark = self.world.model.mark  # as its first commit learns it
            return store.fence((TAG,), self.owner, self._carry)
        if off in {"2-before", "2-after"}:
            return None
        return store.fence((TAG,), self.owner)

    def _carry(self, said: Said) -> bool:
        self._said.append(said)
        return True

    def _lift(self, fence: Fence | None) -> None:
        store = self.process.store
        if self.world.off == "2-before":
            store.bump((TAG,))
        elif fence is not None:
            store.lift(fence)


class Hearer:
    """
    The listener of a process: it asks what was announced, and hears of that later.
    """

    finished = True

    def __init__(self, world: SharedWorld, process: Process, polls: int) -> None:
        self.world = world
        self.process = process
        self.name = f"L in P{process.number}"
        self._left = polls
        self._asked = 0.0
        self._talk: Any = None
        self._said: Any = None

    def deeds(self) -> Iterator[str]:
        if self.process.dead or self.world.is_over:
            return
        if self._talk is not None:
            yield "hears"
        elif self._left:
            yield "asks what was announced"

    def do(self, deed: str) -> None:
        if deed == "hears":
            talk, self._talk = self._talk, None
            with suppress(StopIteration):
                talk.send(self._said)
            return
        self._left -= 1
        self._asked = self.world.model.now
        self._talk = self.process.store._listener.polling()
        self._said = self.process.server.perform(next(self._talk))

    def portrait(self) -> Hashable:
        said = self._said
        if self._talk is None:
            return (self.name, self._left)
        return (self.name, self._left, self._asked, said.position, str(said.told))

    def close(self) -> None:
        if self._talk is not None:
            self._talk.close()


class Asker:
    """
    The thread of a process that asks databases whose fences it has met (rule 4).
    """

    finished = True

    def __init__(self, world: SharedWorld, process: Process) -> None:
        self.world = world
        self.process = process
        self.name = f"O in P{process.number}"

    def deeds(self) -> Iterator[str]:
        world = self.world
        if self.process.dead or world.is_over or not world.budget["asking"]:
            return
        if self.process.met:
            yield "asks the database whether it is over"
            yield "asks the database, which can't tell"

    def do(self, deed: str) -> None:
        self.world.budget["asking"] -= 1
        self.world.tells = "can't" not in deed
        for orphan in self.process.met.values():
            orphan.due = 0.0
        self.process.store._fencing._orphans.ask()

    def portrait(self) -> Hashable:
        return None

    def close(self) -> None:
        pass
