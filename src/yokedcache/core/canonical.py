"""
One binary form for each value that may be part of a key.

The form is injective and exact about types: `1`, `True`, `1.0` and `"1"` all
differ, so do `Decimal("1.0")` and `Decimal("1.00")`, or a tuple and a list.
Every form is self-delimiting (a tag, then a length or an end mark), so forms
put side by side can't run into one another. Sets and dicts have one form
whatever their order. Whatever has no form of its own is refused, never guessed:
two different arguments under one key would be somebody else's answer.

Rules for editors: a new kind takes a tag of its own; no two kinds share one.
"""

from __future__ import annotations

import re
import struct
from collections import deque
from datetime import date, datetime, time, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from yokedcache.core.flaws import Flaw, item

if TYPE_CHECKING:
    from collections import OrderedDict
    from collections.abc import Callable, Collection, Iterable
    from decimal import Decimal
    from fractions import Fraction
    from uuid import UUID
    from zoneinfo import ZoneInfo

DEEPEST: Final = 100
"""Levels of nesting in a key; a circle is found by running into it."""

LARGEST: Final = 250_000
"""Parts in a key; what is shared counts each time that it is met."""

WAYS_OUT: Final = (
    "give the class a `__cache_key__()` method, or say what the key is with `key=`"
)


class Walk:
    """
    How deep and how far one walk over a value has come.
    """

    __slots__ = ("depth", "left")

    def __init__(self) -> None:
        self.depth = 0
        self.left = LARGEST

    def enter(self, value: Collection[object]) -> None:
        """
        Go one level down into a value, within the limits.
        """
        self.depth += 1
        self.left -= len(value)
        if self.depth > DEEPEST:
            reason = f"contains itself, or nests deeper than {DEEPEST} levels"
            raise Flaw(value, f"{reason}; {WAYS_OUT}")
        if self.left < 0:
            raise Flaw(value, f"has more than {LARGEST} parts; {WAYS_OUT}")


Encoder: TypeAlias = "Callable[[Any, Walk], bytes]"

encoders: Final[dict[type, Encoder]] = {}
"""Which function writes values of exactly this class."""


def encode(value: object, walk: Walk) -> bytes:
    """
    Give the form of a value, or raise a `Flaw`.
    """
    encoder = encoders.get(type(value))
    if encoder is None:
        encoder = resolver(type(value))
    return encoder(value, walk)


def unresolved(cls: type) -> Encoder:
    """
    Stand in for `kinds.resolve` until that module is imported.
    """
    raise Flaw(cls, "has no canonical form")


resolver: Callable[[type], Encoder] = unresolved
"""Finds the encoder of a class that isn't in `encoders`; set by `kinds`."""


def sized(tag: bytes, body: bytes) -> bytes:
    """
    Write a tag, the length of a body, and the body.
    """
    return b"%b%x:%b" % (tag, len(body), body)


def text(tag: bytes, body: str) -> bytes:
    """
    Write a tag and text; lone surrogates are text too.
    """
    return sized(tag, body.encode("utf-8", "surrogatepass"))


def series(tag: bytes, values: Collection[object], walk: Walk) -> bytes:
    """
    Write a tag, the number of values, and the values in their order.
    """
    walk.enter(values)
    forms = []
    try:
        for value in values:
            forms.append(encode(value, walk))  # noqa: PERF401  (counts as it goes)
    except Flaw as flaw:
        flaw.at(item(len(forms)))
        raise
    walk.depth -= 1
    return b"%b%x:%b" % (tag, len(forms), b"".join(forms))


def mapping(tag: bytes, pairs: Collection[tuple[Any, Any]], walk: Walk) -> bytes:
    """
    Write a tag and pairs in the order in which they come.
    """
    forms = _pairs(pairs, walk)
    return b"%b%x:%b" % (tag, len(forms), b"".join(forms))


def attributes(tag: bytes, found: dict[str, Any], walk: Walk) -> bytes:
    """
    Write a tag and an object's attributes, ordered by name.
    """
    walk.enter(found)
    forms = []
    for name in sorted(found):
        try:
            form = encode(found[name], walk)
        except Flaw as flaw:
            flaw.at(f".{name}")
            raise
        forms.append(text(b"s", name) + form)
    walk.depth -= 1
    return b"%b%x:%b" % (tag, len(forms), b"".join(forms))


def _pairs(pairs: Collection[tuple[Any, Any]], walk: Walk) -> list[bytes]:
    walk.enter(pairs)
    forms = []
    for key, value in pairs:
        try:
            forms.append(encode(key, walk) + encode(value, walk))
        except Flaw as flaw:
            flaw.at(item(key))
            raise
    walk.depth -= 1
    return forms


def _none(_value: None, _walk: Walk) -> bytes:
    return b"N"


def _bool(value: bool, _walk: Walk) -> bytes:  # noqa: FBT001
    return b"T" if value else b"F"


def _int(value: int, _walk: Walk) -> bytes:
    # Hexadecimal: decimal digits of a huge int are limited by the interpreter.
    return b"i%x;" % value


def _float(value: float, _walk: Walk) -> bytes:
    return b"f" + struct.pack(">d", value)


def _complex(value: complex, _walk: Walk) -> bytes:
    return b"j" + struct.pack(">dd", value.real, value.imag)


def _str(value: str, _walk: Walk) -> bytes:
    body = value.encode("utf-8", "surrogatepass")
    return b"s%x:%b" % (len(body), body)


def _bytes(value: bytes, _walk: Walk) -> bytes:
    return b"b%x:%b" % (len(value), value)


def _bytearray(value: bytearray, _walk: Walk) -> bytes:
    return sized(b"B", bytes(value))


def _decimal(value: Decimal, _walk: Walk) -> bytes:
    # str() keeps sign, digits, exponent and a NaN's payload.
    return text(b"d", str(value))


def _decimal_base(value: Decimal, _walk: Walk) -> bytes:
    from decimal import Decimal

    # a subclass may have a str() of its own
    return text(b"d", Decimal.__str__(value))


def _fraction(value: Fraction, _walk: Walk) -> bytes:
    return b"r%x/%x;" % (value.numerator, value.denominator)


def _zone(value: Any, walk: Walk) -> bytes:
    return b"-" if value is None else encode(value, walk)


def _datetime(value: datetime, walk: Walk) -> bytes:
    naive = datetime.isoformat(value.replace(tzinfo=None))
    return text(b"t%d" % value.fold, naive) + _zone(value.tzinfo, walk)


def _time(value: time, walk: Walk) -> bytes:
    naive = time.isoformat(value.replace(tzinfo=None))
    return text(b"h%d" % value.fold, naive) + _zone(value.tzinfo, walk)


def _date(value: date, _walk: Walk) -> bytes:
    return b"D%x;" % date.toordinal(value)


def _timedelta(value: timedelta, _walk: Walk) -> bytes:
    return b"e%x,%x,%x;" % (value.days, value.seconds, value.microseconds)


def _timezone(value: timezone, walk: Walk) -> bytes:
    return (
        b"z" + _timedelta(value.utcoffset(None), walk) + _str(value.tzname(None), walk)
    )


def _zoneinfo(value: ZoneInfo, _walk: Walk) -> bytes:
    if value.key is None:
        raise Flaw(value, f"was read from a file and has no name; {WAYS_OUT}")
    return text(b"Z", value.key)


def _uuid(value: UUID, _walk: Walk) -> bytes:
    return b"u" + value.bytes


def _tuple(value: tuple[object, ...], walk: Walk) -> bytes:
    return series(b"(", value, walk)


def _list(value: list[object], walk: Walk) -> bytes:
    return series(b"[", value, walk)


def _deque(value: deque[object], walk: Walk) -> bytes:
    return series(b"q" + encode(value.maxlen, walk), value, walk)


def _any_order(tag: bytes, values: Collection[object], walk: Walk) -> bytes:
    walk.enter(values)
    forms = sorted(_members(values, walk))
    walk.depth -= 1
    return b"%b%x:%b" % (tag, len(forms), b"".join(forms))


def _members(values: Iterable[object], walk: Walk) -> Iterable[bytes]:
    for value in values:
        try:
            yield encode(value, walk)
        except Flaw as flaw:
            flaw.at("{...}")
            raise


def _set(value: set[object], walk: Walk) -> bytes:
    return _any_order(b"{", value, walk)


def _frozenset(value: frozenset[object], walk: Walk) -> bytes:
    return _any_order(b"}", value, walk)


def _dict(value: dict[Any, Any], walk: Walk) -> bytes:
    forms = _pairs(dict.items(value), walk)
    forms.sort()
    return b"m%x:%b" % (len(forms), b"".join(forms))


def _ordered_dict(value: OrderedDict[Any, Any], walk: Walk) -> bytes:
    # The order is part of its identity; the name of its class comes before it.
    return mapping(b"o", value.items(), walk)


def _range(value: range, _walk: Walk) -> bytes:
    return b"R%x,%x,%x;" % (value.start, value.stop, value.step)


def _slice(value: slice, walk: Walk) -> bytes:
    return series(b":", (value.start, value.stop, value.step), walk)


def _pattern(value: re.Pattern[Any], walk: Walk) -> bytes:
    return series(b"p", (value.pattern, value.flags), walk)


def _partial(value: partial[Any], walk: Walk) -> bytes:
    return series(b"P", (value.func, value.args, value.keywords), walk)


def _named(value: Any, _walk: Walk) -> bytes:
    """
    Write the short name of a standard class, and its text.
    """
    return text(b"x", type(value).__name__) + text(b"s", str(value))


encoders.update(
    {
        type(None): _none,
        bool: _bool,
        int: _int,
        float: _float,
        complex: _complex,
        str: _str,
        bytes: _bytes,
        bytearray: _bytearray,
        datetime: _datetime,
        date: _date,
        time: _time,
        timedelta: _timedelta,
        timezone: _timezone,
        tuple: _tuple,
        list: _list,
        deque: _deque,
        set: _set,
        frozenset: _frozenset,
        dict: _dict,
        range: _range,
        slice: _slice,
        re.Pattern: _pattern,
        partial: _partial,
    }
)

NAMED: Final[dict[str, Encoder]] = {
    "decimal:Decimal": _decimal,
    "fractions:Fraction": _fraction,
    "zoneinfo:ZoneInfo": _zoneinfo,
    "uuid:UUID": _uuid,
    "ipaddress:IPv4Address": _named,
    "ipaddress:IPv4Interface": _named,
    "ipaddress:IPv4Network": _named,
    "ipaddress:IPv6Address": _named,
    "ipaddress:IPv6Interface": _named,
    "ipaddress:IPv6Network": _named,
    "pathlib:PurePosixPath": _named,
    "pathlib:PureWindowsPath": _named,
    "pathlib:PosixPath": _named,
    "pathlib:WindowsPath": _named,
}
"""The same for classes that the program may never import."""

BASES: Final[tuple[tuple[type | str, Encoder], ...]] = (
    (str, _str),
    (bytes, _bytes),
    (int, _int),
    (float, _float),
    (complex, _complex),
    (bytearray, _bytearray),
    (tuple, _tuple),
    (list, _list),
    (deque, _deque),
    (set, _set),
    (frozenset, _frozenset),
    (dict, _dict),
    (datetime, _datetime),
    (date, _date),
    (time, _time),
    (timedelta, _timedelta),
    ("decimal:Decimal", _decimal_base),
    ("fractions:Fraction", _fraction),
    ("uuid:UUID", _uuid),
    ("pathlib:Path", _named),
    ("pathlib:PurePath", _named),
)
"""
What subclasses of these write after the name of their class.

Those that the program may never import are named.
"""
