"""
What lies under an entry's key: a head that says when it holds, and the payload.

    0    2        3   4      6          10        14            22     30      34      38
    | YE | layout | 0 | tags | versions | payload | incarnation | born | fresh | stale | check
                               length     length

then the tags' digests, their versions between commas, and the payload. Born is the
writer's wall clock, fresh and stale are seconds from then on; a clock that is wrong
makes a TTL wrong, and never an entry valid. The checksum covers all but the payload,
which has one of its own (`codec.frame`).

The versions stand there as a tag's value reads that has no fence up. So one comparison
of bytes says whether all of a vector holds, unfenced.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final, NamedTuple

from yokedcache.stores.redis.layout import MOST_TAGS, TAG_BYTES, not_after

_HEAD: Final = struct.Struct(">2sBxHII8sdffI")
_MARK: Final = b"YE"
LAYOUT: Final = 1
_CHECK: Final = _HEAD.size - 4


class Times:
    """
    When an answer was made, and until when it is fresh and may be served stale.

    Seconds of the wall clock.
    """

    __slots__ = ("born", "fresh_until", "stale_until")

    def __init__(self, born: float, fresh_until: float, stale_until: float) -> None:
        self.born = born
        self.fresh_until = fresh_until
        self.stale_until = stale_until


class Vector:
    """
    The tag versions that an answer saw before its data was read.
    """

    __slots__ = ("digests", "versions")

    def __init__(self, digests: bytes, versions: list[bytes]) -> None:
        self.digests = digests
        self.versions = versions

    def not_after(self, note: bytes) -> bool:
        """
        Tell whether nothing in it is newer than a note of the counter (rule 6).
        """
        return all(not_after(version, note) for version in self.versions)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Vector)
            and self.digests == other.digests
            and self.versions == other.versions
        )

    def __hash__(self) -> int:
        return hash((self.digests, *self.versions))


class Envelope(NamedTuple):
    """
    A stored entry, taken apart.
    """

    mark: bytes
    size: int
    digests: bytes
    versions: bytes
    times: Times
    payload: memoryview

    def each_digest(self) -> list[bytes]:
        """
        Return the digests of the tags, in order.
        """
        ends = range(0, len(self.digests), TAG_BYTES)
        return [self.digests[start : start + TAG_BYTES] for start in ends]

    def each_version(self) -> list[bytes]:
        """
        Return the version of each tag.
        """
        return self.versions.split(b",") if self.size else []


def seal(payload: bytes, *, mark: bytes, vector: Vector, times: Times) -> bytes:
    """
    Put a head before a payload.
    """
    digests, versions = vector.digests, b",".join(vector.versions)
    fresh, stale = times.fresh_until - times.born, times.stale_until - times.born
    head = _HEAD.pack(
        *(_MARK, LAYOUT, len(vector.versions), len(versions), len(payload)),
        *(mark, times.born, fresh, stale, 0),
    )[:_CHECK]
    check = zlib.crc32(versions, zlib.crc32(digests, zlib.crc32(head)))
    return b"".join((head, check.to_bytes(4, "big"), digests, versions, payload))


def unseal(data: object) -> Envelope | str:
    """
    Take stored bytes apart, or say why they can't be read.
    """
    if not isinstance(data, bytes) or data[:2] != _MARK:
        return "foreign"
    if len(data) < _HEAD.size:
        return "truncated"
    parts = _HEAD.unpack_from(data)
    _, layout, count, width, length, mark, born, fresh, stale, check = parts
    if layout != LAYOUT:
        return "other_layout"
    middle = _HEAD.size + count * TAG_BYTES
    end = middle + width
    if len(data) != end + length:
        return "truncated"
    versions = data[middle:end]
    if (
        check != zlib.crc32(data[_HEAD.size : end], zlib.crc32(data[:_CHECK]))
        or count > MOST_TAGS
        or count != (versions.count(b",") + 1 if versions else 0)
    ):
        return "corrupted"
    times = Times(born, born + fresh, born + stale)
    digests = data[_HEAD.size : middle]
    return Envelope(mark, count, digests, versions, times, memoryview(data)[end:])
