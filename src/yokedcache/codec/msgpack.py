"""
The default codec: MessagePack with an extension for each further type.

MessagePack's own types stand for exactly `None`, `bool`, `int`, `float`,
`str`, `bytes`, `list` and `dict`. All else is lowered to an extension before
the packer sees it: the packer would write a bytearray as bytes and an
`ExtType` of the app as one of ours. Classes are only built in the ways of
`records`; nothing is imported or called by name on decoding.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import msgpack  # type: ignore[import-untyped]

from yokedcache.codec import extensions
from yokedcache.codec.extensions import BIG_INT, Kind, kind_of_class, kind_of_code
from yokedcache.core.flaws import Flaw, item, type_name
from yokedcache.errors import PayloadError, ValueNotStorableError

DEEPEST: Final = 100
"""Levels of nesting; a circle is found by running into it."""

DEEPEST_EXTENSION: Final = 16
"""
Levels of extensions within extensions. Each is an unpacker within an unpacker, with
some 40 KiB on the C stack: hostile bytes could end the process without this limit.
"""

NATIVE: Final = frozenset({type(None), bool, int, float, str, bytes})
"""Types that MessagePack keeps as they are; huge ints go to `_big_int`."""


class MessagePackCodec:
    """
    Turn values into MessagePack and back, exactly.
    """

    name = "msgpack"

    def encode(self, value: object) -> bytes:
        """
        Give bytes for a value, or raise `ValueNotStorableError`.
        """
        try:
            return _pack(_lower(value, 0, 0))
        except Flaw as flaw:
            raise _refusal(flaw) from None
        except (ValueError, OverflowError, RecursionError) as error:
            raise _refusal(
                Flaw(value, f"is too large or too deep ({error})")
            ) from error

    def decode(self, data: bytes | memoryview) -> object:
        """
        Give the value of bytes, or raise `PayloadError`.
        """
        try:
            return _unpack(data, 0)
        except PayloadError:
            raise
        except Exception as error:
            message = f"the payload can't be decoded ({type(error).__name__}: {error})"
            raise PayloadError(message[:300]) from error


def _lower(value: Any, depth: int, inside: int) -> Any:
    """
    Give what the packer may see for a value: plain types and extensions.
    """
    cls = type(value)
    if cls in NATIVE:
        return value
    if depth > DEEPEST:
        reason = f"contains itself, or nests deeper than {DEEPEST} levels"
        raise Flaw(value, reason)
    if cls is dict:
        if NATIVE.issuperset(map(type, value)) and NATIVE.issuperset(
            map(type, value.values())
        ):
            return value
        return _lower_dict(value, depth + 1, inside)
    if cls is list:
        if NATIVE.issuperset(map(type, value)):
            return value
        return _lower_list(value, depth + 1, inside)
    kind = kind_of_class(cls)
    if kind is None:
        raise Flaw(value, extensions.NO_KIND)
    return _extension(kind, value, depth + 1, inside)


def _extension(kind: Kind, value: Any, depth: int, inside: int) -> msgpack.ExtType:
    if kind.raw:
        return msgpack.ExtType(kind.code, kind.to_plain(value))
    if inside >= DEEPEST_EXTENSION:
        reason = f"nests tuples, sets or records deeper than {DEEPEST_EXTENSION} levels"
        raise Flaw(value, reason)
    plain = _lower(kind.to_plain(value), depth, inside + 1)
    return msgpack.ExtType(kind.code, _pack(plain))


def _lower_list(value: list[Any], depth: int, inside: int) -> list[Any]:
    lowered: list[Any] = []
    try:
        for part in value:
            lowered.append(_lower(part, depth, inside))  # noqa: PERF401  (counts as it goes)
    except Flaw as flaw:
        flaw.at(item(len(lowered)))
        raise
    return lowered


def _lower_dict(value: dict[Any, Any], depth: int, inside: int) -> dict[Any, Any]:
    lowered = {}
    for key, part in value.items():
        try:
            lowered[_lower(key, depth, inside)] = _lower(part, depth, inside)
        except Flaw as flaw:
            flaw.at(item(key))
            raise
    return lowered


def _big_int(value: object) -> msgpack.ExtType:
    """
    Write an int beyond 64 bits; the packer asks for nothing else.
    """
    if type(value) is not int:
        raise Flaw(value, extensions.NO_KIND)
    size = value.bit_length() // 8 + 1
    return msgpack.ExtType(BIG_INT, value.to_bytes(size, "big", signed=True))


def _pack(lowered: object) -> bytes:
    try:
        return _packb(lowered, None)
    except UnicodeEncodeError:  # a lone surrogate, rare: the whole once more
        return _packb(lowered, "surrogatepass")


def _packb(lowered: object, unicode_errors: str | None) -> bytes:
    packed: bytes = msgpack.packb(
        lowered,
        default=_big_int,
        strict_types=True,
        use_bin_type=True,
        unicode_errors=unicode_errors,
    )
    return packed


def _unpack(data: bytes | memoryview, inside: int) -> Any:
    return msgpack.unpackb(
        data,
        raw=False,
        use_list=True,
        strict_map_key=False,
        unicode_errors="surrogatepass",
        ext_hook=_HOOKS[inside],
    )


def _raise_up(inside: int, code: int, data: bytes) -> Any:
    """
    Give the value of an extension.
    """
    kind = kind_of_code(code)
    if kind is None:
        message = f"the payload has an extension {code} that nothing here reads"
        raise PayloadError(message, extension=code)
    if kind.raw:
        return kind.from_plain(data)
    if inside >= DEEPEST_EXTENSION:
        message = f"the payload nests extensions deeper than {DEEPEST_EXTENSION} levels"
        raise PayloadError(message)
    return kind.from_plain(_unpack(data, inside + 1))


_HOOKS: Final = [partial(_raise_up, inside) for inside in range(DEEPEST_EXTENSION + 1)]
"""What raises extensions up again, by the number of extensions around them."""


def _refusal(flaw: Flaw) -> ValueNotStorableError:
    path = flaw.path("result")
    type_ = type_name(flaw.culprit)
    message = f"{path} ({type_}) can't be stored as bytes: it {flaw.reason}"
    return ValueNotStorableError(message, path=path, type=type_)
