"""
Where things lie on a server of Redis' kind, and how a tag's value reads.

Five kinds of keys, under one prefix:

    {prefix}:n           the counter      origin.number.birth
    {prefix}:l           the log          a stream of numbers and the digests of tags
    {prefix}:t:{digest}  a tag            origin.number;token,deadline,owner;...
    {prefix}:e:{digest}  an entry         see `stores.envelope`
    {prefix}:f:{digest}  a claim          token of the process that loads the entry

What an `origin` is, `versions` says; the server's incarnation is that of `incarnation`.

One key holds a tag's version and its open fences, so both are read, evicted and lost
together. Deadlines are the server's time, in milliseconds; readers don't judge them and
take any fence that is listed as up. The fence with the token `BORN` belongs to nobody:
it stands on a tag whose memory may have been lost with somebody's fence in it.

A tag's value that doesn't read like this isn't ours. Nothing is served or stored on
such a tag; the first script that meets it replaces it, as a tag that was lost.

What the log is, `log` says. In a Cluster there are many counters, each with its log and
the tags that draw from it in one slot: see `cluster`.
"""

from __future__ import annotations

import base64
import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from yokedcache.errors import UsageError
from yokedcache.stores import answers
from yokedcache.stores.answers import (
    BORN,
    MOST_TAGS,
    TAG_BYTES,
    ListedFence,
    TagState,
    digest_of,
)
from yokedcache.stores.redis.wire import bulk
from yokedcache.stores.versions import (
    MARK,
    ORIGIN,
    is_next,
    not_after,
    of_incarnation,
    word,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "BORN",
    "LOST",
    "MARK",
    "MOST_TAGS",
    "ORIGIN",
    "TAG_BYTES",
    "UNKNOWN",
    "Layout",
    "ListedFence",
    "TagSet",
    "TagState",
    "digest_of",
    "is_next",
    "not_after",
    "of_incarnation",
    "read_counter",
    "read_tag",
    "word",
]

ENTRY_BYTES: Final = 15
"""Two keys of one digest would share an answer."""

# the scripts read values in the same way (`common.lua`)
_VERSION: Final = rb"[\w-]{16}\.\d{1,14}"
_FENCE: Final = rb";[\w-]+,\d{1,15},[\w-]*"
_TAG: Final = re.compile(rb"(%b)((?:%b)*)" % (_VERSION, _FENCE), re.ASCII)
_COUNTER: Final = re.compile(rb"(%b)\.\d{1,15}" % _VERSION, re.ASCII)


LOST: Final = TagState(None, lost=True)
UNKNOWN: Final = TagState(None)


def read_tag(value: object) -> TagState:
    """
    Read what lies under a tag's key.
    """
    if value is None:
        return LOST
    if not isinstance(value, bytes) or not (found := _TAG.fullmatch(value)):
        return UNKNOWN
    fences: list[ListedFence] = []
    for text in found[2].split(b";")[1:]:
        token, deadline, owner = text.split(b",")
        fences.append(ListedFence(token, int(deadline) / 1000, _owner(owner)))
    return TagState(found[1], tuple(fences))


def read_counter(value: object) -> bytes | None:
    """
    Return the last version that was given, `None` if nothing of ours says so.
    """
    if not isinstance(value, bytes) or not (found := _COUNTER.fullmatch(value)):
        return None
    return found[1]


def _owner(text: bytes) -> str:
    padded = text + b"=" * (-len(text) % 4)
    try:
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except ValueError:
        # names no transaction that anybody could ask about; the fence is up all the same
        return ""


class TagSet(answers.TagSet):
    """
    Tags that are asked for together, and their keys.

    `asked` is the part of a command that names the keys.
    """

    __slots__ = ("asked", "keys")

    def __init__(self, digests: bytes, keys: tuple[bytes, ...]) -> None:
        super().__init__(digests)
        self.keys = keys
        self.asked = b"".join(map(bulk, keys))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TagSet) and self.keys == other.keys

    def __hash__(self) -> int:
        return hash(self.keys)


class Layout:
    """
    The names of all keys under one prefix.
    """

    def __init__(self, prefix: str = "yc") -> None:
        if not prefix or not prefix.isprintable() or set(prefix) & set("{}*?[] "):
            raise UsageError(
                f"{prefix!r} can't begin keys: take letters, digits, '-', '_' and ':'"
            )
        self.prefix = prefix
        self.counter = f"{prefix}:n".encode()
        self.log = f"{prefix}:l".encode()
        self._entry = f"{prefix}:e:".encode()
        self._claim = f"{prefix}:f:".encode()
        self._tag = f"{prefix}:t:".encode()

    def entry(self, key: bytes | str) -> bytes:
        """
        Return the name of a key's entry.
        """
        text = key.encode("utf-8", "surrogatepass") if isinstance(key, str) else key
        found = blake2b(text, digest_size=ENTRY_BYTES).digest()
        return self._entry + word(found)

    def claim(self, key: bytes | str) -> bytes:
        """
        Return the name of the claim to load a key.
        """
        return self._claim + self.entry(key)[len(self._entry) :]

    def tags(self, names: Iterable[str]) -> TagSet:
        """
        Return a set of tags, by their names.
        """
        return self.tags_of(sorted(set(map(digest_of, names))))

    def tags_of(self, digests: Iterable[bytes]) -> TagSet:
        """
        Return a set of tags, by their digests in order.
        """
        found = list(digests)
        self.check_size(found)
        keys = tuple(self._tag + word(one) for one in found)
        return TagSet(b"".join(found), keys)

    @staticmethod
    def check_size(digests: list[bytes]) -> None:
        """
        Refuse more tags than a call takes.
        """
        if len(digests) > MOST_TAGS:
            raise UsageError(
                f"{len(digests)} tags in one call, of at most {MOST_TAGS}: take wider "
                "ones, of a table or of the whole database",
                tags=len(digests),
            )
