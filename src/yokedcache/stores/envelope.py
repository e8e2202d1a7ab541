"""
What lies under an entry's key: a head that says when it holds, and the payload.

    0    2        3      5         6       7                11     17      21      25
    | YE | layout | tags | origins | width | payload length | born | fresh | stale | checksum

then the origins of the tags' versions, twelve bytes each; the tags' digests; their
numbers in so many bytes as is their width; where there are several origins, for each tag
the place of its own; and the payload. Born is the
writer's wall clock, fresh and stale are seconds from then on; a clock that is wrong
makes a TTL wrong, and never an entry valid. The checksum covers all but the payload,
which has one of its own (`codec.frame`).

All origins are of the incarnation in which the entry was stored; one without tags has
an origin that no version comes from. In a Cluster they differ by slot, on Memcached
by server.
"""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Final

from yokedcache.stores.answers import MOST_TAGS, TAG_BYTES, Times, Vector
from yokedcache.stores.versions import ORIGIN

__all__ = ["LAYOUT", "Envelope", "Hit", "Times", "Vector", "seal", "unseal"]

LAYOUT: Final = 1

_HEAD: Final = struct.Struct(">2sBHBBIHIffI")
_MARK: Final = b"YE"
_CHECK: Final = _HEAD.size - 4
_ORIGIN_BYTES: Final = 12
_NOBODYS: Final = b"AAAAAAAA"


class Envelope:
    """
    A stored entry that is whole, taken apart as far as is asked for.
    """

    __slots__ = ("_start", "_times", "_width", "data", "payload_at", "size")

    def __init__(self, data: bytes, parts: tuple[int, ...]) -> None:
        _, _, self.size, origins, self._width, length, *self._times, _ = parts
        self.data = data
        self._start = _HEAD.size + origins * _ORIGIN_BYTES
        self.payload_at = len(data) - length

    @property
    def payload(self) -> memoryview:
        """
        What was sealed.
        """
        return memoryview(self.data)[self.payload_at :]

    @property
    def times(self) -> Times:
        """
        When it was made, and until when it is fresh and may be served stale.
        """
        high, low, fresh, stale = self._times
        born = (high << 32 | low) / 1000
        return Times(born, born + fresh, born + stale)

    @property
    def digests(self) -> bytes:
        """
        The tags' digests, in order.
        """
        return self.data[self._start : self._start + self.size * TAG_BYTES]

    def versions(self, mark: bytes) -> list[bytes] | None:
        """
        Return the version of each tag, as its value reads while nothing is up.

        `None` if one of them is of another incarnation.
        """
        # runs at every hit, so in one frame
        data, start = self.data, self._start
        text = base64.b64encode(data[_HEAD.size : start], b"-_")
        origins = [text[at : at + ORIGIN] for at in range(0, len(text), ORIGIN)]
        for origin in origins:
            if not origin.startswith(mark):
                return None
        width, versions = self._width, []
        at = start + self.size * TAG_BYTES
        places = at + self.size * width
        several = len(origins) > 1
        for one in range(self.size):
            number = int.from_bytes(data[at : at + width], "big")
            place = data[places + one] if several else 0
            versions.append(b"%b.%d" % (origins[place], number))
            at += width
        return versions

    def each_digest(self) -> list[bytes]:
        """
        Return the digests of the tags, one by one.
        """
        digests = self.digests
        ends = range(0, len(digests), TAG_BYTES)
        return [digests[start : start + TAG_BYTES] for start in ends]


class Hit:
    """
    An entry whose vector held, unfenced, at a moment of the look-up.
    """

    __slots__ = ("_envelope", "_versions")

    def __init__(self, envelope: Envelope, versions: list[bytes]) -> None:
        self._envelope = envelope
        self._versions = versions

    @property
    def payload(self) -> memoryview:
        """
        What was stored, as it was given.
        """
        return self._envelope.payload

    @property
    def data(self) -> bytes:
        """
        All bytes under the entry's key.
        """
        return self._envelope.data

    @property
    def head(self) -> int:
        """
        How many of them come before the payload.
        """
        return self._envelope.payload_at

    @property
    def times(self) -> Times:
        """
        When it was made, and until when it is fresh and may be served stale.
        """
        return self._envelope.times

    @property
    def vector(self) -> Vector:
        """
        The versions under which it holds.
        """
        return Vector(self._envelope.digests, self._versions)


def seal(payload: bytes, *, mark: bytes, vector: Vector, times: Times) -> bytes:
    """
    Put a head before a payload.
    """
    pairs = [version.split(b".") for version in vector.versions]
    origins = list(dict.fromkeys(origin for origin, _ in pairs)) or [mark + _NOBODYS]
    numbers = [int(number) for _, number in pairs]
    width = (max(numbers, default=0).bit_length() + 7) // 8
    places = [origins.index(origin) for origin, _ in pairs] if origins[1:] else ()
    middle = b"".join(
        (
            base64.urlsafe_b64decode(b"".join(origins)),
            vector.digests,
            *(number.to_bytes(width, "big") for number in numbers),
            bytes(places),
        )
    )
    born = max(0, round(times.born * 1000))
    head = _HEAD.pack(
        *(_MARK, LAYOUT, len(pairs), len(origins), width, len(payload)),
        *(born >> 32 & 0xFFFF, born & 0xFFFFFFFF),
        *(times.fresh_until - times.born, times.stale_until - times.born, 0),
    )[:_CHECK]
    check = zlib.crc32(middle, zlib.crc32(head))
    return b"".join((head, check.to_bytes(4, "big"), middle, payload))


def unseal(data: object) -> Envelope | str:
    """
    Take stored bytes apart, or say why they can't be read.
    """
    if not isinstance(data, bytes) or data[:2] != _MARK:
        return "foreign"
    if len(data) < _HEAD.size:
        return "truncated"
    parts = _HEAD.unpack_from(data)
    layout, size, origins, width, length = parts[1:6]
    if layout != LAYOUT:
        return "other_layout"
    each = TAG_BYTES + width + (origins > 1)
    end = _HEAD.size + origins * _ORIGIN_BYTES + size * each
    if len(data) != end + length:
        return "truncated"
    check = zlib.crc32(data[_HEAD.size : end], zlib.crc32(data[:_CHECK]))
    if check != parts[-1] or size > MOST_TAGS:
        return "corrupted"
    return Envelope(data, parts)
