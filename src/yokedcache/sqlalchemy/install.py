"""
Attach an answerer to sessions, and detach it.

A target is a session class, a maker of sessions or one session, blocking or
not; what it makes keeps its type (or, for `AsyncSession`, gains a subclass of
the blocking session inside). The only thing overridden is the private
`Session._connection_for_bind`, called by `Session.execute` with the bind alone
and by everybody else (`Session.connection`) with options, in 2.0 and 2.1.
"""

from __future__ import annotations

import contextlib
import types
import weakref
from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from sqlalchemy.sql.selectable import Select

from yokedcache.errors import DeclarationError
from yokedcache.runtime.log import own_fault
from yokedcache.sqlalchemy.answers.beginning import ready
from yokedcache.sqlalchemy.answers.facade import CachingConnection
from yokedcache.sqlalchemy.answers.quick import GETTING, HOT, MISSED, WAITED
from yokedcache.sqlalchemy.asynchronous import (
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from yokedcache.sqlalchemy.answers.facade import Answerer

_METHOD = "_connection_for_bind"
_SHORT_CUTS = ("_execute_internal", "_get_impl")
"""Methods overridden besides, for hits that need no preparation at all."""
_MARK = "__yokedcache_original__"
_ALONE = "_yokedcache_alone"
"""Where a session notes that the statement under way is to be left alone."""
_MADE = "__yokedcache_base__"
ANSWERER = "__yokedcache_answerer__"
"""Where the overriding method keeps its answerer."""


def install(target: Any, answerer: Answerer) -> None:
    """
    Let `answerer` answer the statements of every session that `target` stands for.
    """
    for holder in _holders(target, make=True):
        if isinstance(holder, type):
            uncovered = _original(getattr(holder, _METHOD))
            setattr(holder, _METHOD, _for_class(uncovered, answerer))
            _cut_short(holder, answerer)
        else:
            uncovered = _original(getattr(type(holder), _METHOD))
            holder.__dict__[_METHOD] = _for_instance(holder, uncovered, answerer)
            _cut_short_instance(holder, answerer)


def uninstall(target: Any) -> None:
    """
    Give `target` back its own way to the database; harmless if it had no answerer.
    """
    for holder in _holders(target, make=False):
        for name in (_METHOD, *_SHORT_CUTS):
            _uncover(holder, name)
    _unmake(target)


def _uncover(holder: Any, name: str) -> None:
    own = holder.__dict__.get(name)
    if own is None or not hasattr(own, _MARK):
        return
    delattr(holder, name)
    original = getattr(own, _MARK)
    if isinstance(holder, type) and getattr(holder, name, None) is not original:
        setattr(holder, name, original)


@contextlib.contextmanager
def answering(session: Session, answerer: Answerer) -> Iterator[None]:
    """
    Let another answerer stand in for a session's own, for the block.
    """
    names = (_METHOD, *_SHORT_CUTS)
    before = {name: session.__dict__.get(name) for name in names}
    install(session, answerer)
    try:
        yield
    finally:
        for name, method in before.items():
            session.__dict__.pop(name, None)
            if method is not None:
                session.__dict__[name] = method


def _original(method: Any) -> Any:
    return getattr(method, _MARK, method)


def _for_class(original: Any, answerer: Answerer) -> Any:
    """
    Make the method that a session class gets.
    """

    def _connection_for_bind(self: Session, engine: Any, *args: Any, **kw: Any) -> Any:
        if args or kw or _ALONE in self.__dict__ or not ready(self):
            return original(self, engine, *args, **kw)
        get_connection = types.MethodType(original, self)
        return CachingConnection(self, engine, lambda: get_connection(engine), answerer)

    setattr(_connection_for_bind, _MARK, original)
    setattr(_connection_for_bind, ANSWERER, answerer)
    return _connection_for_bind


def _for_instance(session: Session, original: Any, answerer: Answerer) -> Any:
    """
    Make the function that one session gets; it doesn't keep the session alive.
    """
    method: Callable[..., Any] = _for_class(original, answerer)
    reference = weakref.ref(session)

    def _connection_for_bind(engine: Any, *args: Any, **kw: Any) -> Any:
        return method(reference(), engine, *args, **kw)

    setattr(_connection_for_bind, _MARK, original)
    setattr(_connection_for_bind, ANSWERER, answerer)
    return _connection_for_bind


def _cut_short(cls: Any, answerer: Any) -> None:
    """
    Let a session class answer what it can without getting ready to execute.
    """
    if getattr(answerer, "quick", None) is None:
        return
    for name, shortened in (("_execute_internal", _execute), ("_get_impl", _get)):
        original = _original(getattr(cls, name))
        method = shortened(original, answerer)
        setattr(method, _MARK, original)
        setattr(cls, name, method)


def _execute(execute: Any, answerer: Any) -> Callable[..., Any]:
    quick = answerer.quick

    def _execute_internal(
        self: Any, statement: Any, params: Any = None, **kw: Any
    ) -> Any:
        if statement.__class__ is Select and not params and _is_plain_call(kw):
            result = _shortly(quick.select, self, statement, kw["execution_options"])
            if result is HOT:
                return _left_alone(self, answerer, execute, statement, params, **kw)
            if result is not MISSED:
                return result.scalar() if kw.get("_scalar_result") else result
        if WAITED not in self.__dict__:
            return execute(self, statement, params, **kw)
        try:
            return execute(self, statement, params, **kw)
        finally:
            self.__dict__.pop(WAITED, None)

    return _execute_internal


def _get(get: Any, answerer: Any) -> Callable[..., Any]:
    quick = answerer.quick

    def _get_impl(self: Any, entity: Any, identity: Any, load: Any, **kw: Any) -> Any:
        if any(kw.values()):
            return get(self, entity, identity, load, **kw)
        found = _shortly(quick.get, self, entity, identity)
        if found is HOT:
            return _left_alone(self, answerer, get, entity, identity, load, **kw)
        if found is not MISSED:
            return found
        self.__dict__[GETTING] = inspect(entity, raiseerr=False)
        try:
            return get(self, entity, identity, load, **kw)
        finally:
            self.__dict__.pop(GETTING, None)
            self.__dict__.pop(WAITED, None)

    return _get_impl


def _left_alone(
    session: Session, answerer: Any, method: Any, *args: Any, **kw: Any
) -> Any:
    """
    Have the session do something as if it weren't attached.
    """
    answerer.tally.bypass("hot")
    session.__dict__[_ALONE] = True
    try:
        return method(session, *args, **kw)
    finally:
        session.__dict__.pop(_ALONE, None)


def _cut_short_instance(session: Session, answerer: Any) -> None:
    """
    Do the same for one session, without keeping it alive.
    """
    holder = types.SimpleNamespace(
        _execute_internal=type(session)._execute_internal,
        _get_impl=type(session)._get_impl,
    )
    _cut_short(holder, answerer)
    reference = weakref.ref(session)
    for name in _SHORT_CUTS:
        method = getattr(holder, name)
        if hasattr(method, _MARK):
            session.__dict__[name] = _unbound(method, reference)


def _unbound(method: Any, reference: Any) -> Any:
    def call(*args: Any, **kw: Any) -> Any:
        return method(reference(), *args, **kw)

    setattr(call, _MARK, getattr(method, _MARK))
    return call


def _is_plain_call(kw: dict[str, Any]) -> bool:
    return not (
        kw.get("bind_arguments")
        or kw.get("_parent_execute_state")
        or kw.get("_add_event")
    )


def _shortly(ask: Any, *args: Any) -> Any:
    """
    Ask for an answer; a fault of ours is the long way's chance.
    """
    try:
        return ask(*args)
    except Exception as error:  # noqa: BLE001 - a cache never fails the query
        own_fault(error, "the short way")
        return MISSED


def _holders(target: Any, *, make: bool) -> list[Any]:  # noqa: PLR0911 - one a kind
    """
    List the classes and sessions on which the method is overridden.
    """
    if isinstance(target, (scoped_session, async_scoped_session)):
        holders = _holders(target.session_factory, make=make)
        if target.registry.has():
            holders += _holders(target.registry(), make=make)
        return holders
    if isinstance(target, sessionmaker):
        return [target.class_]
    if isinstance(target, async_sessionmaker):
        return _inner_class(target, make=make)
    if isinstance(target, AsyncSession):
        return [target.sync_session]
    if isinstance(target, Session):
        return [target]
    if isinstance(target, type) and issubclass(target, Session):
        return [target]
    if isinstance(target, type) and issubclass(target, AsyncSession):
        return _inner_class(target, make=make)
    msg = (
        f"can't cache the statements of {target!r}: give a Session or AsyncSession "
        "class, a sessionmaker, a scoped session or one session"
    )
    raise DeclarationError(msg, target=repr(target))


def _inner_class(target: Any, *, make: bool) -> list[type]:
    """
    Find the subclass that was made of an async target's blocking session, or make it.

    A subclass, because the class itself (as a rule `Session`) has other users.
    """
    inner = _inner(target)
    if isinstance(inner, sessionmaker):
        return [inner.class_]
    if not (isinstance(inner, type) and issubclass(inner, Session)):
        msg = f"the sync_session_class of {target!r} is {inner!r}: it must be a class"
        raise DeclarationError(msg, target=repr(target))
    if _MADE in vars(inner):
        return [inner]
    if not make:
        return []
    made = type(
        inner.__name__, (inner,), {_MADE: inner, "__module__": inner.__module__}
    )
    _set_inner(target, made)
    return [made]


def _inner(target: Any) -> Any:
    if isinstance(target, type):
        return target.sync_session_class  # type: ignore[attr-defined]
    given = target.kw.get("sync_session_class")
    return given or target.class_.sync_session_class


def _set_inner(target: Any, inner: Any) -> None:
    if isinstance(target, type):
        target.sync_session_class = inner  # type: ignore[attr-defined]
    else:
        target.kw["sync_session_class"] = inner


def _unmake(target: Any) -> None:
    if isinstance(target, async_scoped_session):
        target = target.session_factory
    if isinstance(target, async_sessionmaker) or (
        isinstance(target, type) and issubclass(target, AsyncSession)
    ):
        made = _inner(target)
        if isinstance(made, type) and _MADE in vars(made):
            _set_inner(target, vars(made)[_MADE])
