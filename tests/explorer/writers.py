"""
Who writes in the explored world: commits, and commits whose connection was lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.explorer.actors import Actor
from yokedcache.core import operations as ops
from yokedcache.core.plans import announce
from yokedcache.core.tags import Fence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.explorer.world import Value, World


class Writer(Actor):
    """
    Someone who commits a change of some rows.
    """

    def __init__(self, world: World, name: str, rows: tuple[int, ...]) -> None:
        super().__init__(world, name)
        self.rows = rows
        self.told: Value = ()
        self.plan = announce(tuple(f"table:row{row}" for row in rows))
        self.advance()

    def deeds(self) -> Iterator[str]:
        if self.finished:
            return
        if isinstance(self.op, ops.PutFence):
            yield "fences and bumps"
        elif isinstance(self.op, ops.Commit):
            yield "commits"
            if self.world.budget["lost"]:
                yield "loses its connection"
        else:
            yield "bumps, lifts and returns"

    def do(self, deed: str) -> None:
        world = self.world
        if deed == "fences and bumps":
            self.advance(self._fence(self.op.names))
        elif deed == "commits":
            self.told = commit(world, self.rows)
            self.advance()
        elif deed == "loses its connection":
            world.spend("lost")
            self.advance(error=ConnectionError())
            world.orphans.append(Orphan(world, self, self.op.fence))
            if world.off == "4":
                world.store.lift(self.op.fence)
            self.advance()
        else:
            self._lift(self.op.fence)
            self.advance()
            world.returned(self.told)

    def _fence(self, names: tuple[str, ...]) -> Fence:
        store, off = self.world.store, self.world.off
        if off not in {"2-before", "2-after"}:
            return store.fence(names)
        if off == "2-after":
            store.bump(names)
        fence = Fence(tuple(map(store.tags.tag, names)))
        fence.up = False
        return fence

    def _lift(self, fence: Fence) -> None:
        store, off = self.world.store, self.world.off
        if off == "2-before":
            store.bump([tag.name for tag in fence.tags])
        elif off == "2-last-bump":
            fence.up = False
            for tag in fence.tags:
                tag.fences -= 1
        else:
            store.lift(fence)


class Orphan:
    """
    A commit whose connection was lost: the server may still carry it out.
    """

    def __init__(self, world: World, writer: Writer, fence: Fence) -> None:
        self.world = world
        self.name = f"{writer.name}'s server"
        self.rows = writer.rows
        self.fence = fence
        self.state = "running"
        self.told: Value = ()

    def deeds(self) -> Iterator[str]:
        if self.state == "running":
            yield "commits"
            yield "rolls back"
        elif self.state == "over":
            yield "is known to have ended"

    def do(self, deed: str) -> None:
        if deed == "is known to have ended":
            self.state = "settled"
            self.world.store.lift(self.fence)
            self.world.returned(self.told)
            return
        self.state = "over"
        if deed == "commits":
            self.told = commit(self.world, self.rows)


def commit(world: World, rows: tuple[int, ...]) -> Value:
    """
    Make a commit visible; give what everyone must see once it has returned.
    """
    for row in rows:
        world.rows[row] += 1
    return tuple(number if row in rows else 0 for row, number in enumerate(world.rows))
