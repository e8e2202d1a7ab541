"""
The wrapping around every stored payload.

Sixteen bytes say whose bytes these are and whether all of them are there: a
mark, the version of this layout, the codec's number, flags, the payload's
length and a checksum over both. The checksum finds accidents, not attackers;
signing is a layer of its own.

    0    2         3       4       5          8        12         16
    | YC | version | codec | flags | reserved | length | checksum | payload ...
"""

from __future__ import annotations

import struct
import zlib
from typing import Final, NamedTuple

from yokedcache.errors import PayloadError

MARK: Final = b"YC"
VERSION: Final = 1
"""Version of this layout; bytes of another version are a miss."""

COMPRESSED: Final = 1
"""Flag: the payload was compressed after encoding."""

SIGNED: Final = 2
"""Flag: the payload carries a signature."""

KNOWN_FLAGS: Final = COMPRESSED | SIGNED

LARGEST: Final = 64 * 1024 * 1024
"""Bytes of payload that are read unless the caller says otherwise."""

_HEAD: Final = struct.Struct(">2sBBB3xI")
_CHECKSUM: Final = struct.Struct(">I")
HEAD_SIZE: Final = _HEAD.size + _CHECKSUM.size


class Frame(NamedTuple):
    """
    What was found in a wrapping that is whole.
    """

    codec: int
    flags: int
    payload: memoryview


def pack(payload: bytes, *, codec: int = 1, flags: int = 0) -> bytes:
    """
    Wrap a payload.
    """
    head = _HEAD.pack(MARK, VERSION, codec, flags, len(payload))
    checksum = zlib.crc32(payload, zlib.crc32(head))
    return b"".join((head, _CHECKSUM.pack(checksum), payload))


def unpack(data: bytes, *, limit: int = LARGEST) -> Frame:
    """
    Unwrap a payload, or raise `PayloadError` if anything about it is off.
    """
    if len(data) < HEAD_SIZE:
        raise _refusal("is shorter than its head", size=len(data))
    mark, version, codec, flags, length = _HEAD.unpack_from(data)
    if mark != MARK:
        raise _refusal("doesn't begin with the mark of this library")
    if version != VERSION:
        raise _refusal(f"has the layout {version}, not {VERSION}", version=version)
    if length > limit:
        raise _refusal(f"is larger than the limit of {limit} bytes", size=length)
    if length != len(data) - HEAD_SIZE:
        raise _refusal(f"should have {length} bytes", size=len(data) - HEAD_SIZE)
    payload = memoryview(data)[HEAD_SIZE:]
    (checksum,) = _CHECKSUM.unpack_from(data, _HEAD.size)
    if checksum != zlib.crc32(payload, zlib.crc32(memoryview(data)[: _HEAD.size])):
        raise _refusal("is corrupted: its checksum doesn't fit")
    if flags & ~KNOWN_FLAGS:
        raise _refusal(f"has flags {flags:#x} that this version doesn't know")
    return Frame(codec, flags, payload)


def _refusal(reason: str, **facts: int) -> PayloadError:
    return PayloadError(f"the stored payload {reason}", **facts)
