"""
What the values of a call lead to: sessions, engines and connections.

They are no part of keys (`core.ignored`), but the databases behind them are. So they
are looked for wherever the walk over a key passes: in containers, and in the
attributes of instances, however deep. Of a class that names its own key, or is no
part of keys, only the attributes themselves are looked at.
"""

from __future__ import annotations

import enum
from collections import deque
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.orm import Session, object_session, scoped_session, sessionmaker

from yokedcache.core.classes import per_class, slot_names
from yokedcache.core.copiers import ATOMS, meet_imported
from yokedcache.core.ignored import is_ignored_class
from yokedcache.sqlalchemy.asynchronous import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
)
from yokedcache.sqlalchemy.functions.told import info_of

if TYPE_CHECKING:
    from collections.abc import Iterable

Means = Session | Engine | Connection

MOST: Final = 20_000
"""Values of one call that are looked at: more are not worth it at each call."""


class Reached:
    """
    What was found behind the values of a call, in the order in which it was met.
    """

    __slots__ = ("detached", "makers", "means", "opaque")

    def __init__(self) -> None:
        self.means: list[Means] = []
        """Each as often as it was met."""
        self.makers: list[Any] = []
        """Makers of sessions."""
        self.detached = False
        """An ORM object without a session was among the values."""
        self.opaque = False
        """There was more to look at than `MOST`, or something can't be looked at."""


def reach(values: Iterable[object]) -> Reached:
    """
    Find what the values of a call lead to.
    """
    reached = Reached()
    try:
        _search(deque(values), reached)
    except Exception:  # noqa: BLE001 - proxies and the like run code of their own
        reached.opaque = True
    return reached


def _search(waiting: deque[Any], reached: Reached) -> None:
    met: set[int] = set()
    while waiting:
        value = waiting.popleft()
        kind = _kind(type(value))
        if kind is _Kind.NOTHING:
            continue
        if kind is _Kind.MEANS:
            found = _means(value)
        elif kind is _Kind.MAPPED:
            found = object_session(value)
            reached.detached = reached.detached or found is None
        else:
            found = None
            if id(value) not in met:
                met.add(id(value))
                if kind is _Kind.MAKER:
                    reached.makers.append(value)
                waiting.extend(_inside(value, kind))
                reached.opaque = reached.opaque or len(met) + len(waiting) > MOST
        if reached.opaque:
            return
        if found is not None:
            reached.means.append(found)
            if isinstance(found, Session) and id(found) not in met:
                met.add(id(found))
                waiting.extend(_direct((info_of(found) or {}).values()))


def unwrap(value: object) -> Session | None:
    """
    Give the session that a value is, or holds inside.
    """
    if isinstance(value, Session):
        return value
    if isinstance(value, AsyncSession):
        return value.sync_session
    if isinstance(value, (scoped_session, async_scoped_session)):
        return unwrap(value.registry())
    return None


class _Kind(enum.Enum):
    """
    What there is to look at in the values of a class.
    """

    NOTHING = enum.auto()
    MEANS = enum.auto()
    MAKER = enum.auto()
    MAPPED = enum.auto()
    ITEMS = enum.auto()
    PAIRS = enum.auto()
    SHALLOW = enum.auto()
    DEEP = enum.auto()


_MEANS: Final = (
    Session, AsyncSession, scoped_session, async_scoped_session, Engine, AsyncEngine,
    Connection, AsyncConnection,
)  # fmt: skip
_KINDS: Final[tuple[tuple[Any, _Kind], ...]] = (
    (_MEANS, _Kind.MEANS),
    ((sessionmaker, async_sessionmaker), _Kind.MAKER),
    ((list, tuple, set, frozenset, deque), _Kind.ITEMS),
    (dict, _Kind.PAIRS),
    ((type, enum.Enum, ModuleType, FunctionType), _Kind.NOTHING),
)


@per_class
def _kind(cls: type) -> _Kind:
    meet_imported()
    if cls in ATOMS:
        return _Kind.NOTHING
    for classes, kind in _KINDS:
        if issubclass(cls, classes):
            return kind
    if hasattr(cls, "_sa_class_manager"):
        return _Kind.MAPPED
    if is_ignored_class(cls) or callable(getattr(cls, "__cache_key__", None)):
        return _Kind.SHALLOW
    return _Kind.DEEP


def _inside(value: Any, kind: _Kind) -> list[Any]:
    """
    Give the parts of a value in which something may be found.
    """
    if kind is _Kind.PAIRS:
        return [*value, *value.values()]
    if kind is _Kind.MAKER:
        binds, info = value.kw.get("binds") or {}, value.kw.get("info") or {}
        return [value.kw.get("bind"), *binds.values(), *_direct(info.values())]
    parts = list(value) if kind is _Kind.ITEMS else []
    parts += [getattr(value, name, None) for name in slot_names(type(value))]
    parts += getattr(value, "__dict__", {}).values()
    return _direct(parts) if kind is _Kind.SHALLOW else parts


def _direct(parts: Iterable[Any]) -> list[Any]:
    return [part for part in parts if _kind(type(part)) in _DIRECT]


_DIRECT: Final = frozenset({_Kind.MEANS, _Kind.MAKER, _Kind.MAPPED})


def _means(value: Any) -> Means | None:
    """
    Give the session, engine or connection that one of `_MEANS` is, or holds inside.
    """
    if isinstance(value, (Engine, Connection)):
        return value
    if isinstance(value, AsyncEngine):
        return value.sync_engine
    if isinstance(value, AsyncConnection):
        return value.sync_connection or value.sync_engine
    return unwrap(value)
