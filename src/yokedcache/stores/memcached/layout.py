"""
Where things lie on the servers, and how they read.

    {prefix}:n           a counter  origin.number,ring
    {prefix}:t:{digest}  a tag      origin.number,until;token,deadline,owner;...
    {prefix}:e:{digest}  an entry   see `stores.envelope`
    {prefix}:f:{digest}  a claim    token of the process that loads the entry

Each server has a counter; everything else lies on the server that its digest leads to.
`ring` stands for the servers that the process knows, which have to be the same for all.
Times are the server's, in milliseconds. `until` is how long a tag is to be kept.

A tag that is being made reads `new:` and a nonce, and is taken as not there. What reads
like none of this isn't ours: nothing is served or stored on it, and the first change
that meets it replaces it, as a tag that was lost.
"""

from __future__ import annotations

import base64
import itertools
import os
import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

from yokedcache.errors import StoreError, UsageError
from yokedcache.stores import answers
from yokedcache.stores.answers import (
    BORN,
    MOST_TAGS,
    TAG_BYTES,
    ListedFence,
    TagState,
    digest_of,
)
from yokedcache.stores.versions import word

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LONGEST_PREFIX: Final = 200
"""Keys have 250 bytes at most, and no blanks."""

MOST_SECONDS: Final = 30 * 24 * 3600
"""What is told to live longer is taken for a date."""

OTHER_SERVERS: Final = "OTHERSERVERS"
"""The refusal to use a server that others use together with other servers."""

LOST: Final = TagState(None, lost=True)
UNKNOWN: Final = TagState(None)

_ENTRY_BYTES: Final = 15
_RING_BYTES: Final = 6
_ORIGIN_BYTES: Final = 12
_VERSION: Final = rb"[\w-]{16}\.\d{1,14}"
_FENCE: Final = rb";[\w-]+,\d{1,15},[\w-]*"
_TAG: Final = re.compile(rb"(%b),(\d{1,15})((?:%b)*)" % (_VERSION, _FENCE), re.ASCII)
_COUNTER: Final = re.compile(rb"(%b),([\w-]+)" % _VERSION, re.ASCII)
_PENDING: Final = b"new:"


class Fence(NamedTuple):
    """
    A fence as it is listed: until when its writer vouches for it, on the server's clock.
    """

    token: bytes
    deadline: int
    owner: bytes

    @property
    def is_born(self) -> bool:
        """
        Whether it stands for those that may have been lost.
        """
        return self.token == BORN


class Kept(NamedTuple):
    """
    A tag as it was read: `ours`, `pending`, `lost` or `foreign`.
    """

    kind: str
    version: bytes = b""
    until: int = 0
    fences: tuple[Fence, ...] = ()


def read_tag(value: bytes | None) -> Kept:
    """
    Read what lies under a tag's key.
    """
    if value is None:
        return Kept("lost")
    if value.startswith(_PENDING):
        return Kept("pending")
    found = _TAG.fullmatch(value)
    if found is None:
        return Kept("foreign")
    fences = []
    for text in found[3].split(b";")[1:]:
        token, deadline, owner = text.split(b",")
        fences.append(Fence(token, int(deadline), owner))
    return Kept("ours", found[1], int(found[2]), tuple(fences))


def write_tag(version: bytes, until: int, fences: Iterable[Fence]) -> bytes:
    """
    Write a tag.
    """
    listed = (b";%b,%d,%b" % fence for fence in fences)
    return b"%b,%d%b" % (version, until, b"".join(listed))


def pending() -> bytes:
    """
    Write a tag that is being made.
    """
    return _PENDING + word(os.urandom(_RING_BYTES))


def standing(value: bytes | None) -> bytes | None:
    """
    Give the version of a tag that has one and is not fenced.
    """
    if value is None or b";" in value:
        return None
    return value.partition(b",")[0]


def read_state(value: bytes | None, wall: float) -> TagState:
    """
    Read a tag as everyone understands it; `wall` is added to the server's seconds.
    """
    kept = read_tag(value)
    if kept.kind == "foreign":
        return UNKNOWN
    if kept.kind != "ours":
        return LOST
    return TagState(
        kept.version,
        tuple(
            ListedFence(one.token, one.deadline / 1000 + wall, _owner(one.owner))
            for one in kept.fences
        ),
    )


def _owner(text: bytes) -> str:
    padded = text + b"=" * (-len(text) % 4)
    try:
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except ValueError:
        # names no transaction that anybody could ask about; the fence is up all the same
        return ""


def read_counter(value: bytes | None) -> tuple[bytes, bytes] | None:
    """
    Give the last version that was given, and the ring; `None` if nothing of ours says so.
    """
    found = _COUNTER.fullmatch(value) if value is not None else None
    return None if found is None else (found[1], found[2])


def first_version() -> bytes:
    """
    Give the version with which a counter begins, of an origin that never was.
    """
    return word(os.urandom(_ORIGIN_BYTES)) + b".0"


def next_version(version: bytes) -> bytes:
    """
    Give the one after it.
    """
    origin, _, number = version.partition(b".")
    return b"%b.%d" % (origin, int(number) + 1)


def seconds(milliseconds: int) -> int:
    """
    Return how long something is told to live, so that it lives at least that long.

    Servers count whole seconds, of which the first may be over in an instant.
    """
    return min(MOST_SECONDS, -(-milliseconds // 1000) + 1)


class Share(NamedTuple):
    """
    Those of some tags that lie on one server, and their places among all of them.
    """

    server: int
    places: list[int]
    keys: list[bytes]


class SpreadTags(answers.TagSet):
    """
    Tags that are asked for together, though they lie on several servers.
    """

    __slots__ = ("lifted", "shares")

    def __init__(self, digests: bytes, shares: tuple[Share, ...]) -> None:
        super().__init__(digests)
        self.shares = shares
        self.lifted: dict[bytes, set[int]] = {}
        """By its token, the servers where a fence is down that couldn't be lifted on all."""


class Place(NamedTuple):
    """
    Where an entry lies, or a claim.
    """

    server: int
    key: bytes


class Names:
    """
    The names of all keys under one prefix, and the servers where they lie.
    """

    def __init__(self, prefix: str, servers: Sequence[str]) -> None:
        _check_prefix(prefix)
        start = prefix.encode()
        self.servers = len(servers)
        text = ",".join(servers).encode()
        self.ring = word(blake2b(text, digest_size=_RING_BYTES).digest())
        self.counter = start + b":n"
        self._tag = start + b":t:"
        self._entry = start + b":e:"
        self._claim = start + b":f:"

    def check_ring(self, ring: bytes) -> None:
        """
        Refuse a server that others use together with other servers.

        Raises:
            StoreError: its counter says so.
        """
        if ring != self.ring:
            raise StoreError(
                "it is used with other servers than these, or was: all processes have to "
                "name the same ones; to change them stop all, and empty the servers",
                refusal=OTHER_SERVERS,
            )

    def entry(self, key: bytes | str) -> Place:
        """
        Return where a key's entry lies.
        """
        return self._place(self._entry, key)

    def claim(self, key: bytes | str) -> Place:
        """
        Return where the claim to load a key lies.
        """
        return self._place(self._claim, key)

    def _place(self, start: bytes, key: bytes | str) -> Place:
        text = key.encode("utf-8", "surrogatepass") if isinstance(key, str) else key
        digest = blake2b(text, digest_size=_ENTRY_BYTES).digest()
        return Place(self._server(digest), start + word(digest))

    def tags(self, names: Iterable[str]) -> SpreadTags:
        """
        Return a set of tags, by their names.
        """
        return self.tags_of(sorted(set(map(digest_of, names))))

    def tags_of(self, digests: list[bytes]) -> SpreadTags:
        """
        Return a set of tags, by their digests in order.
        """
        if len(digests) > MOST_TAGS:
            raise UsageError(
                f"{len(digests)} tags in one call, of at most {MOST_TAGS}: take wider "
                "ones, of a table or of the whole database",
                tags=len(digests),
            )
        shares: dict[int, Share] = {}
        for place, digest in enumerate(digests):
            server = self._server(digest)
            share = shares.setdefault(server, Share(server, [], []))
            share.places.append(place)
            share.keys.append(self._tag + word(digest))
        ordered = tuple(shares[server] for server in sorted(shares))
        return SpreadTags(b"".join(digests), ordered)

    def copies(self, tag: str) -> tuple[str, ...]:
        """
        Name a tag and others after it, of which one lies on each server.
        """
        found: dict[int, str] = {}
        for number in itertools.count():
            if len(found) == self.servers:
                return tuple(found[server] for server in range(self.servers))
            name = f"{tag} {number}" if number else tag
            found.setdefault(self._server(digest_of(name)), name)
        raise AssertionError  # pragma: no cover - it counts for ever

    def needed(self, key: bytes | str | None, names: Iterable[str]) -> int:
        """
        Give a server that has one of some tags; where there are none, the entry's.
        """
        digest = min(map(digest_of, names), default=None)
        if digest is not None:
            return self._server(digest)
        return 0 if key is None else self.entry(key).server

    def _server(self, digest: bytes) -> int:
        return int.from_bytes(digest[-4:], "big") % self.servers


def each_digest(digests: bytes) -> list[bytes]:
    """
    Take the digests of tags apart.
    """
    ends = range(0, len(digests), TAG_BYTES)
    return [digests[at : at + TAG_BYTES] for at in ends]


def _check_prefix(prefix: str) -> None:
    printable = prefix.isprintable() and prefix.isascii() and prefix != ""
    if not printable or set(prefix) & set("{}*?[] "):
        raise UsageError(
            f"{prefix!r} can't begin keys: take letters, digits, '-', '_' and ':'"
        )
    if len(prefix) > LONGEST_PREFIX:
        raise UsageError(
            f"{prefix!r} can't begin keys: take {LONGEST_PREFIX} characters at most"
        )
