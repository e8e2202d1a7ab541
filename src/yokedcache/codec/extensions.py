"""
The types beyond MessagePack's own, each with a code of its own.

A kind lowers values of one type to bytes (`raw`) or to a simpler value that
the codec encodes in turn, and builds them again. Codes are part of the stored
format: a code once used is never used for something else. Apps and the
SQLAlchemy side add types with `register_extension`, under a name.
"""

from __future__ import annotations

import struct
from collections import OrderedDict, deque
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

from yokedcache.codec import records
from yokedcache.core.classes import per_class
from yokedcache.core.flaws import Flaw
from yokedcache.errors import PayloadError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

NO_KIND: Final = (
    "has no exact form as bytes; return builtins, dataclasses or models, or add the "
    "type with `register_extension`"
)


class Kind(NamedTuple):
    """
    How values of one type are lowered and built again.
    """

    code: int
    to_plain: Callable[[Any], Any]
    from_plain: Callable[[Any], Any]
    raw: bool = False


BIG_INT: Final = 5
NAMED: Final = 100

_DATETIME: Final = struct.Struct(">HBBBBBIB")
_TIME: Final = struct.Struct(">BBBIB")
_OFFSET: Final = struct.Struct(">iiI")
_COMPLEX: Final = struct.Struct(">dd")


def _zone_bytes(zone: tzinfo | None) -> bytes:
    if zone is None:
        return b""
    if zone is timezone.utc:  # noqa: UP017
        return b"U"
    if type(zone) is timezone:
        offset, *name = zone.__getinitargs__()  # type: ignore[attr-defined]
        head = b"N" if name else b"F"
        tail = name[0].encode("utf-8", "surrogatepass") if name else b""
        parts = (offset.days, offset.seconds, offset.microseconds)
        return head + _OFFSET.pack(*parts) + tail
    if type(zone) is ZoneInfo and zone.key and ZoneInfo(zone.key) is zone:
        return b"Z" + zone.key.encode()
    raise Flaw(zone, "is a time zone without an exact form; use timezone or ZoneInfo")


def _zone(data: bytes) -> tzinfo | None:
    head, body = data[:1], data[1:]
    if not head:
        return None
    if head == b"U" and not body:
        return timezone.utc  # noqa: UP017
    if head == b"Z":
        return ZoneInfo(body.decode())
    offset = timedelta(*_OFFSET.unpack(body[: _OFFSET.size]))
    if head == b"F" and len(body) == _OFFSET.size:
        return timezone(offset)
    if head == b"N":
        return timezone(offset, body[_OFFSET.size :].decode("utf-8", "surrogatepass"))
    message = "the payload has a time zone of an unknown form"
    raise PayloadError(message)


def _datetime_bytes(value: datetime) -> bytes:
    day = (value.year, value.month, value.day)
    clock = (value.hour, value.minute, value.second, value.microsecond, value.fold)
    return _DATETIME.pack(*day, *clock) + _zone_bytes(value.tzinfo)


def _datetime(data: bytes) -> datetime:
    *parts, fold = _DATETIME.unpack(data[: _DATETIME.size])
    naive = datetime(*parts, fold=fold)  # noqa: DTZ001  (the zone comes next)
    return naive.replace(tzinfo=_zone(data[_DATETIME.size :]))


def _time_bytes(value: time) -> bytes:
    clock = (value.hour, value.minute, value.second, value.microsecond, value.fold)
    return _TIME.pack(*clock) + _zone_bytes(value.tzinfo)


def _time(data: bytes) -> time:
    *parts, fold = _TIME.unpack(data[: _TIME.size])
    return time(*parts, fold=fold).replace(tzinfo=_zone(data[_TIME.size :]))


def _fraction(parts: list[int]) -> Fraction:
    return Fraction(*parts)


_IP_CLASSES: Final = {
    cls.__name__: cls
    for cls in (
        IPv4Address,
        IPv4Interface,
        IPv4Network,
        IPv6Address,
        IPv6Interface,
        IPv6Network,
    )
}


def _ip(parts: list[str]) -> Any:
    return _IP_CLASSES[parts[0]](parts[1])


def _ascii(value: object) -> bytes:
    return str(value).encode("ascii")


def _decimal(data: bytes) -> Decimal:
    return Decimal(data.decode("ascii"))


def _big_int(data: bytes) -> int:
    return int.from_bytes(data, "big", signed=True)


_BY_CLASS: Final[dict[type, Kind]] = {
    tuple: Kind(1, list, tuple),
    set: Kind(2, list, set),
    frozenset: Kind(3, list, frozenset),
    bytearray: Kind(4, bytes, bytearray, raw=True),
    int: Kind(BIG_INT, _ascii, _big_int, raw=True),
    complex: Kind(
        6,
        lambda value: _COMPLEX.pack(value.real, value.imag),
        lambda data: complex(*_COMPLEX.unpack(data)),
        raw=True,
    ),
    Decimal: Kind(7, _ascii, _decimal, raw=True),
    Fraction: Kind(8, lambda value: [value.numerator, value.denominator], _fraction),
    datetime: Kind(9, _datetime_bytes, _datetime, raw=True),
    date: Kind(
        10,
        lambda value: value.toordinal().to_bytes(4, "big"),
        lambda data: date.fromordinal(int.from_bytes(data, "big")),
        raw=True,
    ),
    time: Kind(11, _time_bytes, _time, raw=True),
    timedelta: Kind(
        12,
        lambda value: _OFFSET.pack(value.days, value.seconds, value.microseconds),
        lambda data: timedelta(*_OFFSET.unpack(data)),
        raw=True,
    ),
    UUID: Kind(
        13, lambda value: value.bytes, lambda data: UUID(bytes=bytes(data)), raw=True
    ),
    range: Kind(
        14,
        lambda value: [value.start, value.stop, value.step],
        lambda parts: range(*parts),
    ),
    timezone: Kind(15, _zone_bytes, _zone, raw=True),
    ZoneInfo: Kind(15, _zone_bytes, _zone, raw=True),
    OrderedDict: Kind(16, lambda value: list(map(list, value.items())), OrderedDict),
    deque: Kind(
        17,
        lambda value: [value.maxlen, list(value)],
        lambda parts: deque(parts[1], parts[0]),
    ),
    **{
        cls: Kind(18, lambda value: [type(value).__name__, str(value)], _ip)
        for cls in _IP_CLASSES.values()
    },
}

_RECORDS: Final = (
    (records.is_enum, Kind(30, records.enum_parts, records.build_enum)),
    (records.is_uuid, Kind(31, records.uuid_parts, records.build_uuid)),
    (records.is_tuple, Kind(32, records.tuple_parts, records.build_tuple)),
    (records.is_model, Kind(33, records.model_parts, records.build_model)),
    (records.is_struct, Kind(34, records.struct_parts, records.build_struct)),
    (records.is_data, Kind(35, records.data_parts, records.build_data)),
)

Matcher: TypeAlias = "type | Callable[[type], bool]"


class _Extension(NamedTuple):
    matches: Matcher
    kind: Kind
    build: Callable[[Any], Any]


_extensions: Final[dict[str, _Extension]] = {}


def _build_named(parts: list[Any]) -> Any:
    name, plain = parts
    found = _extensions.get(name)
    if found is None:
        message = f"the payload has a type {name!r} that nothing here reads"
        raise PayloadError(message, extension=name)
    return found.build(plain)


_BY_CODE: Final = {
    **{kind.code: kind for kind in _BY_CLASS.values()},
    **{kind.code: kind for _, kind in _RECORDS},
    NAMED: Kind(NAMED, list, _build_named),
}


def register_extension(
    matches: Matcher,
    name: str,
    to_plain: Callable[[Any], Any],
    from_plain: Callable[[Any], Any],
) -> None:
    """
    Teach the codec a type.

    Args:
        matches: The class (its subclasses count), or a function from a class
            to whether it is meant.
        name: Stands in stored bytes; never reuse it for another form.
        to_plain: Gives any value that the codec knows.
        from_plain: Builds the value again; it is handed stored bytes' content
            and must not trust it.
    """
    if name in _extensions:
        message = f"an extension named {name!r} is registered already"
        raise SettingsError(message, name=name)
    kind = Kind(NAMED, lambda value: [name, to_plain(value)], _build_named)
    _extensions[name] = _Extension(matches, kind, from_plain)
    kind_of_class.cache_clear()


@per_class
def kind_of_class(cls: type) -> Kind | None:
    """
    Give how values of exactly this class are lowered, or `None`.
    """
    if cls in _BY_CLASS:
        return _BY_CLASS[cls]
    for matches, kind, _ in _extensions.values():
        if issubclass(cls, matches) if isinstance(matches, type) else matches(cls):
            return kind
    return next((kind for fits, kind in _RECORDS if fits(cls)), None)


def kind_of_code(code: int) -> Kind | None:
    """
    Give how an extension's content is built again, or `None`.
    """
    return _BY_CODE.get(code)
