"""
Fences of one commit over every cache of the process, and the ways they end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from yokedcache.core.operations import (
    Commit,
    HoldFence,
    KeepFence,
    LiftFence,
    PutFence,
)
from yokedcache.core.plans import announce, announce_prepared, conclude
from yokedcache.core.tags import ANY_DATABASE, ANY_TAG
from yokedcache.machine import machines
from yokedcache.runtime.drive import run
from yokedcache.runtime.forks import Guard, after_fork
from yokedcache.sqlalchemy.databases.several import stranger
from yokedcache.sqlalchemy.transactions.backends import Backend
from yokedcache.sqlalchemy.transactions.carrying import carrier

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.core.operations import Op
    from yokedcache.core.tags import Fence
    from yokedcache.sqlalchemy.transactions.blame import Blame
    from yokedcache.sqlalchemy.transactions.connections import ConnectionState
    from yokedcache.stores.answers import Said
    from yokedcache.stores.memory import MemoryStore


_kept: WeakSet[Fences] = WeakSet()
"""Those whose commit ended with nobody knowing how."""
_guard = Guard()

_WIDE = frozenset({ANY_DATABASE, ANY_TAG})


class Fences:
    """
    One writer's fences, one in each cache.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        blame: Blame,
        backend: Backend,
        carry: Callable[[Said], bool] | None = None,
    ) -> None:
        self.backend = backend
        """Who is to commit."""
        self._names = names
        self._lifted = False
        _note_causes(names, blame)
        self._parts: dict[MemoryStore, Fence] = {}
        try:
            for machine in machines():
                store = machine.store
                self._parts[store] = _raised(store, names, backend, carry)
        except BaseException:
            self.lift()  # one of them refuses the commit: it isn't sent
            raise

    @property
    def up(self) -> bool:
        """
        Tell whether they were not lifted yet.
        """
        return not self._lifted

    def lift(self) -> None:
        """
        Bump and lift in every cache; a second time does nothing.
        """
        with _guard:
            if self._lifted:
                return
            self._lifted = True
        for machine in machines():
            if machine.store not in self._parts:  # made while the commit was under way
                machine.store.bump(_reached(machine.store, self._names))
        for store, fence in self._parts.items():
            if fence.up and not _WIDE.isdisjoint(self._names):
                # what was first read while the fence was up is not under it
                store.bump(_reached(store, self._names))
            store.lift(fence)

    def cover(self, store: MemoryStore) -> None:
        """
        Put up a fence in one more cache.
        """
        with _guard:
            if self.up and store not in self._parts:
                self._parts[store] = _raised(store, self._names, self.backend)


def _raised(
    store: MemoryStore,
    names: tuple[str, ...],
    backend: Backend,
    carry: Callable[[Said], bool] | None = None,
) -> Fence:
    """
    Put up one cache's fence; other processes are told whose it is.
    """
    reached = _reached(store, names)
    return store.fence(reached, backend.text() if store.shares else "", carry)


def cover(store: MemoryStore) -> None:
    """
    Put up fences in a new cache for the commits of unknown outcome.

    Others are over before anybody may rely on them.
    """
    with _guard:
        kept = list(_kept)
    for fences in kept:
        fences.cover(store)


class CommitHost:
    """
    Does the operations of `core.plans.announce` around one commit.
    """

    def __init__(
        self,
        state: ConnectionState,
        holder: Any,
        send: Callable[[], Any],
        carry: Callable[[Said], bool] | None = None,
    ) -> None:
        self._state = state
        self._holder = holder
        self._send = send
        self._carry = carry

    def perform(self, op: Op[Any]) -> Any:
        """
        Do one operation.
        """
        return _PERFORM[type(op)](self, op)

    def _put(self, op: PutFence) -> Fences:
        return _fences(self._state, self._holder, op.names, self._carry)

    def _commit(self, _: Commit) -> Any:
        return self._send()

    def _lift(self, op: LiftFence) -> None:
        _as_fences(op.fence).lift()

    def _hold(self, op: HoldFence) -> None:
        lift_prepared(self._state)
        self._state.prepared = _as_fences(op.fence)

    def _keep(self, op: KeepFence) -> None:
        """
        Keep the fence until the connection answers again, or is long gone.
        """
        _keep(self._state, _as_fences(op.fence))


_PERFORM: dict[type[Any], Callable[[CommitHost, Any], Any]] = {
    PutFence: CommitHost._put,
    Commit: CommitHost._commit,
    LiftFence: CommitHost._lift,
    KeepFence: CommitHost._keep,
    HoldFence: CommitHost._hold,
}


def commit_announced(
    state: ConnectionState, holder: Any, send: Callable[[], Any]
) -> Any:
    """
    Send a commit with its write set announced on both sides (rule 2).
    """
    stranger(state.database)
    host = CommitHost(state, holder, send)
    return run(announce(state.tags()), host.perform)


def commit_carrying(
    state: ConnectionState, holder: Any, send: Callable[[], Any]
) -> Any:
    """
    Do the same for a transaction that may announce itself, in the store's database.
    """
    stranger(state.database)
    host = CommitHost(state, holder, send, carrier(state.database, holder))
    return run(announce(state.tags()), host.perform)


def prepare_announced(
    state: ConnectionState, holder: Any, send: Callable[[], Any]
) -> Any:
    """
    Prepare a commit; its fences stay up until it is committed or rolled back.
    """
    stranger(state.database)
    host = CommitHost(state, holder, send)
    return run(announce_prepared(state.tags()), host.perform)


def commit_prepared(
    state: ConnectionState, holder: Any, send: Callable[[], Any]
) -> Any:
    """
    Commit what was prepared, under the fences that are up since; never refused.
    """
    fences: Any = state.prepared
    host = CommitHost(state, holder, send)
    try:
        return run(conclude(fences), host.perform)
    finally:
        state.prepared = None


def lift_prepared(state: ConnectionState) -> None:
    """
    Take down the fences of what was prepared, if there are any: it came to an end.
    """
    fences, state.prepared = state.prepared, None
    if fences is not None:
        fences.lift()


def fence_statement(state: ConnectionState, holder: Any) -> None:
    """
    Put fences up around one statement that commits by itself.
    """
    lift_statement(state)
    stranger(state.database)
    state.fences = _fences(state, holder, state.tags())


def _fences(
    state: ConnectionState,
    holder: Any,
    names: tuple[str, ...],
    carry: Callable[[Said], bool] | None = None,
) -> Fences:
    return Fences(names, state.blame, Backend(holder, state.database), carry)


def lift_statement(state: ConnectionState) -> None:
    """
    Take down the fences around a statement, if there are any.
    """
    fences, state.fences = state.fences, None
    if fences is not None:
        fences.lift()


def keep_statement(state: ConnectionState) -> None:
    """
    Keep the fences around a statement that commits by itself: nobody knows if it did.
    """
    fences, state.fences = state.fences, None
    if fences is not None:
        _keep(state, fences)


def _keep(state: ConnectionState, fences: Fences) -> None:
    state.orphans.append(fences)
    with _guard:
        _kept.add(fences)


def bump_everywhere(names: tuple[str, ...], blame: Blame) -> None:
    """
    Bump tags in every cache of the process.
    """
    _note_causes(names, blame)
    for machine in machines():
        machine.store.bump(_reached(machine.store, names))


def _note_causes(names: tuple[str, ...], blame: Blame) -> None:
    for machine in machines():
        now = machine.clock()
        for name in names:
            cause = blame.of(name)
            if cause is not None:
                machine.causes.note((name,), cause, now)


def settle_orphans(state: ConnectionState) -> None:
    """
    Lift fences of unknown outcome: the server has answered on the connection since.
    """
    orphans, state.orphans = state.orphans, []
    for fences in orphans:
        fences.lift()


def _reached(store: MemoryStore, names: tuple[str, ...]) -> tuple[str, ...]:
    """
    Add users' own `table:` tags when a whole database was changed.

    A database that doesn't say who it is may be any of those known.
    """
    if ANY_TAG in names:
        return tuple(dict.fromkeys((*names, *store.names())))
    if not any(name.startswith("database:") for name in names):
        return names
    known = store.names()
    own = [n for n in known if n.startswith("table:") and "@" not in n]
    if ANY_DATABASE in names:
        own += [n for n in known if n.startswith("database:")]
    return tuple(dict.fromkeys((*names, *own)))


def _as_fences(fence: Any) -> Fences:
    fences: Fences = fence  # the plan passes on what `_put` gave
    return fences


after_fork(_kept.clear)  # a child's caches begin anew
