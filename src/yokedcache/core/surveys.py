"""
Looking through a value once, when it is stored.

A survey finds whether all of a value is immutable, whether it is a plain tree
(no part met twice, nothing unknown) that `copy_tree` may copy without keeping
book, and whether a part must be refused. The copying on each hit then asks
nothing anymore.
"""

from __future__ import annotations

import enum
from collections import OrderedDict, defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Iterator
from types import FrameType, ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Final
from weakref import ReferenceType

from yokedcache.core.classes import (
    dotted_names,
    field_names,
    imported,
    is_struct,
    per_class,
    state,
)
from yokedcache.core.copiers import (
    ATOMS,
    custom_copier,
    is_frozen,
    is_plain_namedtuple,
    is_record,
)
from yokedcache.core.flaws import Flaw, item
from yokedcache.core.ignored import is_ignored_class

if TYPE_CHECKING:
    from collections.abc import Callable

_MOMENTARY: Final = (
    Iterator,
    AsyncIterator,
    Awaitable,
    ModuleType,
    FrameType,
    TracebackType,
    ReferenceType,
    memoryview,
)

_MOMENTARY_NAMES: Final = frozenset(
    {
        # By name: the core imports nothing that does I/O.
        "_io._IOBase",
        "io.IOBase",
        "_socket.socket",
        "sqlalchemy.orm.query.Query",
        "sqlalchemy.engine.result.Result",
        "sqlalchemy.engine.result.ResultInternal",
        "sqlalchemy.ext.asyncio.result.AsyncCommon",
        "sqlalchemy.engine.cursor.CursorResult",
        "sqlalchemy.ext.asyncio.session._AsyncSessionContextManager",
    }
)

# Ignored in keys, and yet something that can be kept.
_KEEPABLE_NAMES: Final = frozenset(
    {"starlette.responses.Response", "starlette.background.BackgroundTask"}
)

_ROW_NAME: Final = "sqlalchemy.engine.row.Row"
_STREAM_NAME: Final = "starlette.responses.StreamingResponse"


class Shape:
    """
    What a survey found.

    Whether parts are shared or unknown, and which have copiers of their own.
    """

    __slots__ = ("custom", "knotted", "seen")

    def __init__(self) -> None:
        self.seen: set[int] = set()
        self.knotted = False
        self.custom: list[Any] = []

    def meet(self, value: object) -> bool:
        """
        Note a mutable part; False if it was met before.
        """
        if id(value) in self.seen:
            self.knotted = True
            return False
        self.seen.add(id(value))
        return True


@per_class
def objection(cls: type) -> str | None:
    """
    Say why values of a class can't be kept, or `None`.
    """
    names = dotted_names(cls)
    if issubclass(cls, _MOMENTARY) or not names.isdisjoint(_MOMENTARY_NAMES):
        return "is used up by reading it or bound to this moment; return what it gives"
    if _STREAM_NAME in names:
        return "is a stream; return its body"
    if is_ignored_class(cls) and names.isdisjoint(_KEEPABLE_NAMES):
        return "is a means of the call (session, client, lock, ...), not a result"
    if hasattr(cls, "_sa_class_manager"):
        return "is an ORM entity and no copier for entities is registered"
    return None


@per_class
def _is_immutable(cls: type) -> bool:
    """
    Tell a class whose values are immutable, whatever is derived from it.
    """
    known = (enum.Enum, type, *imported("pathlib:PurePath", "uuid:UUID"))
    return issubclass(cls, known)


def survey(value: Any, shape: Shape) -> bool:
    """
    Look through a value; True if it is immutable to the core.
    """
    cls = type(value)
    if cls in ATOMS:
        return True
    surveyor = _SURVEYORS.get(cls)
    if surveyor is not None:
        return surveyor(value, shape)
    if custom_copier(cls) is not None:
        if shape.meet(value):
            shape.custom.append(value)
        return False
    reason = objection(cls)
    if reason is not None:
        raise Flaw(value, reason)
    if _is_immutable(cls):
        return True
    return _survey_object(value, shape)


def _survey_object(value: Any, shape: Shape) -> bool:
    """
    Survey an instance of some class: records are trees, the rest is unknown.
    """
    cls = type(value)
    frozen = is_frozen(cls)
    if not frozen and not shape.meet(value):
        return False
    immutable = True
    for name, part in _parts(value).items():
        try:
            immutable = survey(part, shape) and immutable
        except Flaw as flaw:
            flaw.at(f".{name}")
            raise
    if frozen and immutable:
        return True
    # What is frozen is met only now: two values may well share an immutable one.
    if frozen and not shape.meet(value):
        return False
    if not is_record(cls) and not is_plain_namedtuple(cls):
        shape.knotted = True
    return False


def _parts(value: Any) -> dict[str, Any]:
    cls = type(value)
    if is_struct(cls):
        return {name: getattr(value, name) for name in field_names(cls) or ()}
    if isinstance(value, tuple) or _ROW_NAME in dotted_names(cls):
        return {f"[{index}]": part for index, part in enumerate(value)}
    return state(value)


def _survey_series(value: Any, shape: Shape) -> bool:
    if not shape.meet(value):
        return False
    _survey_items(value, shape)
    return False


def _survey_items(value: Any, shape: Shape) -> bool:
    immutable = True
    index = 0
    try:
        for index, part in enumerate(value):  # noqa: B007
            immutable = survey(part, shape) and immutable
    except Flaw as flaw:
        flaw.at(f"[{index}]")
        raise
    return immutable


def _survey_mapping(value: Any, shape: Shape) -> bool:
    if not shape.meet(value):
        return False
    for key, part in value.items():
        try:
            # A key that would be copied could lose its place: leave it to deepcopy.
            if not survey(key, shape):
                shape.knotted = True
            survey(part, shape)
        except Flaw as flaw:
            flaw.at(item(key))
            raise
    return False


def _survey_set(value: Any, shape: Shape) -> bool:
    if not shape.meet(value):
        return False
    if not _survey_items(value, shape):
        shape.knotted = True
    return False


def _survey_frozenset(value: Any, shape: Shape) -> bool:
    immutable = _survey_items(value, shape)
    if not immutable:
        shape.knotted = True
    return immutable


_SURVEYORS: Final[dict[type, Callable[[Any, Shape], bool]]] = {
    dict: _survey_mapping,
    OrderedDict: _survey_mapping,
    defaultdict: _survey_mapping,
    list: _survey_series,
    deque: _survey_series,
    bytearray: lambda value, shape: not shape.meet(value) and False,
    set: _survey_set,
    frozenset: _survey_frozenset,
    tuple: _survey_items,
}
