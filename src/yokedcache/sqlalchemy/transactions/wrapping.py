"""
Wraps the methods of dialects that send statements and end transactions.

Each dialect *object* is wrapped, when a connection of its engine is first seen:
engines made by `execution_options` share it, and other users of the class don't
pay. A connection may be older than the first cache, and so never be seen. So the
same methods of the classes lead there: the first call for an object that isn't
wrapped yet wraps it, and is made again.
"""

from __future__ import annotations

import functools
from types import MethodType
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.engine.default import DefaultDialect

from yokedcache.sqlalchemy.transactions import ends, sending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_WRAPPED: Final = "_yokedcache_wrapped"
_FIRST: Final = "_yokedcache_first"
_AROUND: Final[dict[str, Callable[..., Any]]] = {**sending.AROUND, **ends.AROUND}


def install() -> None:
    """
    Have dialects wrapped that are in use already.
    """
    for cls in _classes(DefaultDialect):
        for name in _AROUND:
            method = vars(cls).get(name)
            if method is not None and not hasattr(method, _FIRST):
                setattr(cls, name, _wrapping_first(name, method))


def uninstall() -> None:
    """
    Give the classes their own methods back; what is wrapped stays so.
    """
    for cls in _classes(DefaultDialect):
        for name in _AROUND:
            method = vars(cls).get(name)
            if hasattr(method, _FIRST):
                setattr(cls, name, method.__wrapped__)


def wrap(dialect: Any) -> None:
    """
    Stand on both sides of what a dialect sends and ends; once for each.
    """
    if _WRAPPED in dialect.__dict__:
        return
    dialect.__dict__[_WRAPPED] = True
    for name, around in _AROUND.items():
        setattr(dialect, name, functools.partial(around, _own(dialect, name)))
    sending.beware(dialect)


def _own(dialect: Any, name: str) -> Any:
    """
    Give a dialect's method without the way here.
    """
    method = getattr(dialect, name)
    function: Any = getattr(method, "__func__", None)
    if hasattr(function, _FIRST):
        return MethodType(function.__wrapped__, dialect)
    return method


def _wrapping_first(name: str, method: Callable[..., Any]) -> Any:
    @functools.wraps(method)
    def first(dialect: Any, *args: Any, **kw: Any) -> Any:
        if _WRAPPED in dialect.__dict__:  # called by a method that overrides it
            return method(dialect, *args, **kw)
        wrap(dialect)
        return getattr(dialect, name)(*args, **kw)

    setattr(first, _FIRST, True)
    return first


def _classes(cls: type[Any]) -> Iterator[type[Any]]:
    yield cls
    below: type[Any]
    for below in cls.__subclasses__():
        yield from _classes(below)
