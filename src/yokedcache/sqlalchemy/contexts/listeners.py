"""
Whether an app's event listeners may change what a database answers.

Caching fails closed: an engine on which the app listens where context can be
set or statements changed is left alone until the app says what answers vary on.
Listeners of SQLAlchemy itself and of this library don't count, nor do those that
are seen to change nothing (`judging`).
"""

from __future__ import annotations

import itertools
import types
from itertools import chain
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from yokedcache.core.classes import name_of
from yokedcache.runtime.forks import Guard
from yokedcache.runtime.naming import this_process
from yokedcache.sqlalchemy.contexts.judging import (
    begins,
    idles,
    is_known,
    keeps_off,
    observes,
    prepares,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    from sqlalchemy.engine import Connection, Engine
    from sqlalchemy.orm import Session
    from sqlalchemy.pool import Pool

_POOL: Final = ("connect", "first_connect", "checkout", "checkin", "reset")
_STATEMENTS: Final = ("do_execute", "do_executemany", "do_execute_no_params")
_DIALECT: Final = ("do_connect", *_STATEMENTS)
_ENGINE: Final = ("engine_connect", "begin")
_CURSOR: Final = ("before_cursor_execute", "after_cursor_execute")
ON_ENGINES: Final = frozenset((*_POOL, *_DIALECT, *_ENGINE, *_CURSOR, "before_execute"))
"""Events of engines and pools whose listeners may change answers."""
ON_SESSIONS: Final = frozenset({"do_orm_execute", "before_compile", "after_begin"})
"""Events of sessions and queries whose listeners may."""
_CLINGING: Final = frozenset((*_POOL, *_ENGINE, "do_connect"))
_WRAPPERS: Final = frozenset({"wrap_before_execute", "wrap_before_cursor_execute"})


class Moment:
    """
    Counts how often somebody began or ceased to listen on an engine.
    """

    def __init__(self) -> None:
        self.number = 0
        self.watched = False


moment: Final = Moment()


class Watch:
    """
    What was found listening on an engine, and how it was judged.

    Whether it still holds is asked at every look-up, so that is one comparison.
    """

    __slots__ = ("_moment", "clinging", "marks", "meddler", "sender")

    def __init__(self, engine: Engine) -> None:
        self._moment = moment.number
        found = list(_listening(engine))
        meddlers = [(name, own) for name, own, harmless in found if not harmless]
        self.meddler = place(meddlers[0][1]) if meddlers else None
        """The first listener that may change answers, with its place in the code."""
        self.clinging = any(name in _CLINGING for name, _ in meddlers)
        """What it sets stays with a connection, whoever uses that later."""
        senders = [own for name, own, _ in found if _sends(name, own)]
        self.sender = place(senders[0]) if senders else None
        """The first that may write over the cursor of a statement."""
        self.marks: tuple[Hashable, ...] = tuple([mark(own) for _, own, _ in found])
        """What tells the engine from others on the same database."""

    def holds(self) -> bool:
        """
        Tell whether nobody has begun or ceased to listen since.
        """
        return self._moment == moment.number and moment.watched


class PoolWatch:
    """
    Who may write over the driver's connections that a pool hands to its listeners.
    """

    __slots__ = ("_moment", "leaving", "opening", "passing")

    def __init__(self, pool: Pool) -> None:
        self._moment = moment.number
        self.opening = _writer(pool, "connect", "first_connect")
        """As a connection is made."""
        self.leaving = _writer(pool, "checkin", "reset")
        """As it is given back."""
        self.passing = _writer(pool, "checkout") or self.leaving
        """Before it is used, each time."""

    def holds(self) -> bool:
        """
        Tell whether nobody has begun or ceased to listen since.
        """
        return self._moment == moment.number and moment.watched


def _writer(pool: Any, *names: str) -> str | None:
    for name in names:
        for listener in getattr(pool.dispatch, name):
            own = own_function(listener)
            if not (own is None or prepares(own) or idles(own) or keeps_off(own)):
                return place(own)
    return None


def stranger_on(connection: Connection) -> str | None:
    """
    Name who listens on one connection alone and may write over its cursors.
    """
    for name in _CURSOR:
        of_engine = set(getattr(connection.engine.dispatch, name))
        for listener in getattr(connection.dispatch, name):
            own = None if listener in of_engine else own_function(listener)
            if own is not None and _sends(name, own):
                return place(own)
    return None


def session_meddler(listeners: Iterable[Any]) -> str | None:
    """
    Name the first of a session's `after_begin` listeners that is the app's.
    """
    for listener in listeners:
        own = own_function(listener)
        if own is not None:
            return place(own)
    return None


def rewriter(session: Session) -> str | None:
    """
    Name the first app listener of a session that may change its statements.
    """
    return session_meddler(chain(session.dispatch.do_orm_execute, _of_queries(session)))


def _of_queries(session: Any) -> Iterator[Any]:
    """
    List who listens on a session's class of queries, or on what that inherits from.
    """
    query: Any = session._query_cls
    for cls in query.__mro__:
        yield from query.dispatch.before_compile._clslevel.get(cls, ())


def _listening(engine: Engine) -> Iterator[tuple[str, Any, bool]]:
    """
    List the app's functions that are no mere observers, and whether they are harmless.
    """
    for name, listener in _candidates(engine):
        own = own_function(listener)
        if own is None:
            continue
        if not (_gives_nothing(name, listener) and only_watches(name, own)):
            yield name, own, _harmless(engine, name, own)
    creator = getattr(engine.pool, "_creator", None)
    if getattr(creator, "__module__", "") != "sqlalchemy.engine.create":
        yield "do_connect", own_function(creator) or creator, False


def only_watches(name: str, own: Any) -> bool:
    """
    Tell whether a listener that gives nothing back only watches.

    What it did over the `Connection` that it is handed would be seen.
    """
    return name == "before_execute" or (name in _CURSOR and observes(own))


def _sends(name: str, own: Any) -> bool:
    return name in _STATEMENTS or (name in _CURSOR and not observes(own))


def _harmless(engine: Engine, name: str, own: Any) -> bool:
    if name in {"connect", "first_connect"}:
        return prepares(own)
    return name == "begin" and engine.dialect.name == "sqlite" and begins(own)


def _gives_nothing(name: str, listener: Any) -> bool:
    return name == "after_cursor_execute" or (
        getattr(listener, "__name__", "") in _WRAPPERS
    )


def _candidates(engine: Engine) -> Iterator[tuple[str, Callable[..., Any]]]:
    on: Any = engine.dispatch
    pool: Any = engine.pool.dispatch
    low: Any = engine.dialect.dispatch
    places = ((pool, _POOL), (low, _DIALECT), (on, (*_ENGINE, *_CURSOR)))
    for dispatch, names in (*places, (on, ("before_execute",))):
        for name in names:
            for listener in getattr(dispatch, name):
                yield name, listener


def own_function(listener: Any, depth: int = 4) -> Any:
    """
    Find the app's function in a listener, which SQLAlchemy may have wrapped.
    """
    module = getattr(listener, "__module__", None) or type(listener).__module__
    if module.partition(".")[0] == "yokedcache" or is_known(listener):
        return None
    if module.partition(".")[0] != "sqlalchemy":
        return listener
    if depth:
        for inner in _wrapped(listener):
            own = own_function(inner, depth - 1)
            if own is not None:
                return own
    return None


def _wrapped(listener: Any) -> Iterator[Any]:
    function = getattr(listener, "__func__", listener)
    for cell in getattr(function, "__closure__", None) or ():
        try:
            content = cell.cell_contents
        except ValueError:
            continue
        for item in content if isinstance(content, list) else (content,):
            if isinstance(item, (types.FunctionType, types.MethodType)):
                yield item


def place(function: Any) -> str:
    """
    Name a function and where it stands.
    """
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    name = getattr(function, "__qualname__", repr(function))
    return (
        name if code is None else f"{name} ({code.co_filename}:{code.co_firstlineno})"
    )


_numbers: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
_kept: dict[int, tuple[Any, int]] = {}
_count = itertools.count(1)
_guard = Guard()


def mark(function: Any) -> Hashable:
    """
    Give what stands for a function in keys: two never have the same.

    A function that its name leads to is the same in every process.
    """
    owner = getattr(function, "__self__", None)
    name = name_of(function) if owner is None else None
    if name is not None:
        return name
    own = _number(getattr(function, "__func__", function)), owner and _number(owner)
    return (this_process(), *own)


def _number(value: Any) -> int:
    with _guard:
        try:
            return _numbers.setdefault(value, _numbers.get(value) or next(_count))
        except TypeError:  # it can't be hashed or referred to: kept, lest its id return
            return _kept.setdefault(id(value), (value, next(_count)))[1]
