"""
What a call can reach: sessions behind its arguments, and what they mean for it.

The decorator knows nothing of SQLAlchemy. Whoever does registers an examiner
here, which is shown the values of a call and answers with a `Scene`.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, Final, Protocol

from yokedcache.core.snapshots import FRESH, Sight, View
from yokedcache.runtime.forks import Guard

if TYPE_CHECKING:
    from collections.abc import Iterable

    from yokedcache.core.tags import Vector


class Scene:
    """
    What surrounds one call.
    """

    __slots__ = (
        "anew",
        "bypass",
        "contextual",
        "floats",
        "holds_connection",
        "info",
        "key",
        "notes",
        "private",
        "schemas",
        "session",
        "spoiled",
        "varies",
        "vector",
    )

    def __init__(self) -> None:
        self.bypass: str | None = None
        """Why the call must neither be answered from the cache nor stored."""
        self.contextual: str | None = None
        """The same, unless the function says what it varies on."""
        self.key: tuple[Any, ...] = ()
        """What of the surroundings is part of the key: database, `vary` value."""
        self.info: tuple[Any, ...] = ()
        """The same of what the app keeps on sessions, unless it says nothing varies."""
        self.varies: frozenset[Any] = frozenset()
        """The `vary` values of the sessions at hand, which are part of the key."""
        self.schemas: frozenset[bytes] = frozenset()
        """The maps of schemas through which it may read: they are part of the key."""
        self.vector: Vector = ()
        """Versions under which what the sessions hold was read."""
        self.spoiled: str | None = None
        """Why the result may not be stored."""
        self.holds_connection = False
        """Waiting for others would hold a connection that they may need."""
        self.private = False
        """Its own load may serve nobody else."""
        self.session: Any = None
        """The session that loaded objects belong to."""
        self.anew = False
        """Nothing that is stored may answer: the call's first read is a snapshot."""
        self.notes: list[dict[Any, int]] = []
        """Notes of the stores' counters that snapshots at hand have taken."""
        self.floats: list[Any] = []
        """Transactions at hand that want to know what they were served."""

    def view(self, store: Any) -> View:
        """
        Give what the call may be served from a store.
        """
        if not self.notes:
            return FRESH
        return View(Sight.SNAPSHOT, min(note.get(store, -1) for note in self.notes))


NOTHING: Final = Scene()


class Examiner(Protocol):
    """
    Tells what a call's values mean for it.
    """

    def __call__(self, values: Iterable[object]) -> Scene:
        """
        Work out what the values of a call mean for it.
        """

    def open_transaction(self, vector: Vector) -> bool:
        """
        Tell whether an open transaction forbids an answer of this vector.
        """

    def invalidated(self, machine: Any, names: Iterable[str]) -> None:
        """
        Learn that tags were invalidated by hand, maybe inside a transaction.
        """

    def opened(self, machine: Any) -> None:
        """
        Learn that a cache was made.
        """

    def open_context(self, vector: Vector) -> bool:
        """
        Tell whether it does unless the function says what it varies on.
        """

    def begin_noting(self) -> None:
        """
        Learn that it is noted from now on what sessions read.
        """

    def take_down(self, value: object) -> Taken | None:
        """
        Take a value down that has mapped objects in it; `None` if it has none.
        """


class Taken(Protocol):
    """
    A value with mapped objects in it, and how to give it back.
    """

    root: Any

    def __call__(self, root: Any) -> Any:
        """
        Give the value with objects of no session.
        """

    def attach(self, root: Any, session: Any, store: Any, vector: Vector) -> Any:
        """
        Give the value with objects of a session, which remembers their versions.
        """

    def weigh(self) -> int:
        """
        Estimate the bytes it takes.
        """


class Noting:
    """
    Whether it is noted what sessions read: where no function is cached, nobody asks.
    """

    __slots__ = ("on",)

    def __init__(self) -> None:
        self.on = False


noting: Final = Noting()

_examiners: list[Examiner] = []
_installing = Guard()
_INTEGRATION: Final = "yokedcache.sqlalchemy.tracking"


def register(examiner: Examiner) -> None:
    """
    Have calls shown to an examiner from now on.
    """
    if examiner not in _examiners:
        _examiners.append(examiner)


def install_integrations() -> bool:
    """
    Begin to track SQLAlchemy once the process has imported it; tell if it was now.

    Asked whenever a cache is made and a load begins, so that the order in which
    an app imports things doesn't matter.
    """
    if _examiners or "sqlalchemy.orm" not in sys.modules:
        return False
    with _installing:
        if _examiners:
            return False
        importlib.import_module(_INTEGRATION).install()
    return True


def note_sessions() -> None:
    """
    Have it noted from now on what sessions read: a cached function may reach one.
    """
    if not noting.on:
        noting.on = True  # before those that have read already are looked for
        for examiner in _examiners:
            examiner.begin_noting()


def examine(values: Iterable[object]) -> Scene:
    """
    Tell what surrounds a call.
    """
    note_sessions()
    for examiner in _examiners:
        return examiner(values)
    return NOTHING


def open_transaction(vector: Vector) -> bool:
    """
    Tell whether an open transaction of the process forbids this answer (rule 5).
    """
    return any(examiner.open_transaction(vector) for examiner in _examiners)


def invalidated(machine: Any, names: Iterable[str]) -> None:
    """
    Have transactions that are open invalidate tags again when they end.
    """
    for examiner in _examiners:
        examiner.invalidated(machine, names)


def opened(machine: Any) -> None:
    """
    Have a new cache keep nothing of what commits under way may change.
    """
    for examiner in _examiners:
        examiner.opened(machine)


def open_context(vector: Vector) -> bool:
    """
    Tell whether what somebody set over a connection forbids it, if unvaried.
    """
    return any(examiner.open_context(vector) for examiner in _examiners)


def take_down(value: object) -> Taken | None:
    """
    Take a value down that has mapped objects in it; `None` if it has none.
    """
    for examiner in _examiners:
        taken = examiner.take_down(value)
        if taken is not None:
            return taken
    return None
