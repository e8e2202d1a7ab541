"""
Whether an app's event listeners may change what a database answers.

Caching fails closed: an engine on which the app listens where context can be
set or statements changed is left alone until the app says what answers vary on.
Listeners of SQLAlchemy itself and of this library don't count, nor do connect
listeners that run nothing but PRAGMA statements (told by their code).
"""

from __future__ import annotations

import re
import types
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sqlalchemy.engine import Engine
    from sqlalchemy.orm import Session

_POOL = ("connect", "first_connect", "checkout", "reset")
_DIALECT = ("do_connect", "do_execute", "do_executemany", "do_execute_no_params")
_ENGINE = ("engine_connect", "begin")
_VALUED = ("before_execute", "before_cursor_execute")
_WRAPPERS = frozenset({"wrap_before_execute", "wrap_before_cursor_execute"})
_PRAGMA = re.compile(r"\s*PRAGMA\b", re.IGNORECASE)
_PRAGMA_CODE = frozenset({"cursor", "execute", "close", "isinstance", "fetchall"})


class Watch:
    """
    What was found listening on an engine, and how it was judged.

    Whether it is still the same is asked at every look-up, so the listeners are
    compared where SQLAlchemy keeps them, without a call of its own.
    """

    __slots__ = ("_collections", "_empty", "_filled", "_functions", "meddler")

    def __init__(self, engine: Engine) -> None:
        self._collections = _collections(engine)
        deques = [
            deque for collection in self._collections for deque in _deques(collection)
        ]
        # most are empty, and that is seen faster than that a list is as it was
        self._empty = [deque for deque in deques if not deque]
        self._filled = [deque for deque in deques if deque]
        self._functions = list(chain.from_iterable(self._filled))
        self.meddler = meddler(engine)
        """The first listener that may change answers, with its place in the code."""

    def holds(self, engine: Engine) -> bool:
        """
        Tell whether nobody has begun or ceased to listen since.
        """
        return (
            not any(self._empty)
            and list(chain.from_iterable(self._filled)) == self._functions
            and self._collections == _collections(engine)
        )


def _collections(engine: Engine) -> tuple[Any, ...]:
    on: Any = engine.dispatch
    pool: Any = engine.pool.dispatch
    low: Any = engine.dialect.dispatch
    return (
        on.before_cursor_execute,
        on.before_execute,
        on.begin,
        on.engine_connect,
        pool.connect,
        pool.checkout,
        pool.first_connect,
        pool.reset,
        low.do_connect,
        low.do_execute,
        low.do_executemany,
        low.do_execute_no_params,
    )


def _deques(collection: Any) -> list[Any]:
    """
    List where a collection keeps its functions; one that joins others, as itself.
    """
    if hasattr(collection, "parent_dispatch") or not hasattr(
        collection, "parent_listeners"
    ):
        return [collection]
    own = getattr(collection, "listeners", None)
    parents = collection.parent_listeners
    return [parents] if own is None else [parents, own]


def session_meddler(listeners: Iterable[Any]) -> str | None:
    """
    Name the first of a session's `after_begin` listeners that is the app's.
    """
    for listener in listeners:
        own = _own_function(listener)
        if own is not None:
            return _place(own)
    return None


def rewriter(session: Session) -> str | None:
    """
    Name the first app listener of a session that may change its statements.
    """
    for listener in session.dispatch.do_orm_execute:
        own = _own_function(listener)
        if own is not None:
            return _place(own)
    return None


def meddler(engine: Engine) -> str | None:
    """
    Name the first app listener that may change answers, with its place in the code.
    """
    for listener in _candidates(engine):
        own = _own_function(listener)
        if own is not None:
            return _place(own)
    return None


def _candidates(engine: Engine) -> Iterator[Callable[..., Any]]:
    pool: Any = engine.pool.dispatch
    sqlite = engine.dialect.name == "sqlite"
    for name in _POOL:
        for listener in getattr(pool, name):
            if not (sqlite and name == "connect" and _only_pragmas(listener)):
                yield listener
    dialect: Any = engine.dialect.dispatch
    for name in _DIALECT:
        yield from getattr(dialect, name)
    dispatch: Any = engine.dispatch
    for name in _ENGINE:
        yield from getattr(dispatch, name)
    for name in _VALUED:
        for listener in getattr(dispatch, name):
            if getattr(listener, "__name__", "") not in _WRAPPERS:
                yield listener


def _own_function(listener: Any, depth: int = 4) -> Any:
    """
    Find the app's function in a listener, which SQLAlchemy may have wrapped.
    """
    module = getattr(listener, "__module__", None) or type(listener).__module__
    if module.partition(".")[0] == "yokedcache":
        return None
    if module.partition(".")[0] != "sqlalchemy":
        return listener
    if depth:
        for inner in _wrapped(listener):
            own = _own_function(inner, depth - 1)
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


def _only_pragmas(listener: Any) -> bool:
    """
    Tell whether a function's code can do nothing but run constant PRAGMAs.
    """
    own = _own_function(listener)
    if own is None:
        return True
    code = getattr(own, "__code__", None)
    if code is None or code.co_freevars or not _PRAGMA_CODE.issuperset(code.co_names):
        return False
    doc = own.__doc__
    texts = [text for text in code.co_consts if isinstance(text, str) and text != doc]
    return bool(texts) and all(map(_PRAGMA.match, texts))


def _place(function: Any) -> str:
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    name = getattr(function, "__qualname__", repr(function))
    return (
        name if code is None else f"{name} ({code.co_filename}:{code.co_firstlineno})"
    )
