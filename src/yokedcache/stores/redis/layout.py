"""
Where things lie on a server of Redis' kind, and how a tag's value reads.

Three kinds of keys, under one prefix:

    {prefix}:n           the counter      origin.number.birth
    {prefix}:t:{digest}  a tag            origin.number;token,deadline,owner;...
    {prefix}:e:{digest}  an entry         see `envelope`

An `origin` is where a number comes from: eight characters that stand for the server's
incarnation (`incarnation`), and eight that were drawn at random when the counter was
made. A number of one origin is never given twice; a counter that was lost, or lives in
another incarnation, begins a new origin. So a version, `origin.number`, is never used
again, and two of them can be compared where their origins are equal.

One key holds a tag's version and its open fences, so both are read, evicted and lost
together. Deadlines are the server's time, in milliseconds; readers don't judge them and
take any fence that is listed as up. The fence with the token `BORN` belongs to nobody:
it stands on a tag whose memory may have been lost with somebody's fence in it.

A tag's value that doesn't read like this isn't ours. Nothing is served or stored on
such a tag; the first script that meets it replaces it, as a tag that was lost.

In a Cluster each key lies in a slot of its own. Nothing here needs two of them in one
script but the counter, which every script that gives a version draws from: there the
number has to be drawn by a call of its own, after COMMIT for the second bump, and
handed to the scripts of the tags' slots.
"""

from __future__ import annotations

import base64
import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from yokedcache.errors import UsageError
from yokedcache.stores.redis.wire import bulk

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_TAGS: Final = 256
"""Tags that one call takes: a script holds the server up while it runs."""

BORN: Final = b"0"
"""The token of a fence that stands for those that may have been lost."""

TAG_BYTES: Final = 6
"""Two tags of one digest would only share their invalidations."""

ENTRY_BYTES: Final = 15
"""Two keys of one digest would share an answer."""

ORIGIN: Final = 16
MARK: Final = 8
"""Characters of an origin, and those of it that stand for the incarnation."""

# the scripts read values in the same way (`common.lua`)
_VERSION: Final = rb"[\w-]{16}\.\d{1,14}"
_FENCE: Final = rb";[\w-]+,\d{1,15},[\w-]*"
_TAG: Final = re.compile(rb"(%b)((?:%b)*)" % (_VERSION, _FENCE), re.ASCII)
_COUNTER: Final = re.compile(rb"(%b)\.\d{1,15}" % _VERSION, re.ASCII)


class ListedFence:
    """
    A fence as a tag lists it: whose it is, and until when its writer vouches for it.

    `owner` is the writer's own text, which names the transaction of the database.
    """

    __slots__ = ("deadline", "owner", "token")

    def __init__(self, token: bytes, deadline: float, owner: str) -> None:
        self.token = token
        self.deadline = deadline
        self.owner = owner

    def __repr__(self) -> str:
        return f"<ListedFence {self.token!r} until {self.deadline} of {self.owner!r}>"


class TagState:
    """
    A tag as it stood when it was read: its version, and the fences that were up.

    Without a version it can't be relied on. `lost` says that the tag was not there,
    else there was something that isn't ours.
    """

    __slots__ = ("fences", "lost", "version")

    def __init__(
        self,
        version: bytes | None,
        fences: tuple[ListedFence, ...] = (),
        *,
        lost: bool = False,
    ) -> None:
        self.version = version
        self.fences = fences
        self.lost = lost

    @property
    def usable(self) -> bool:
        """
        Whether something may be served or stored on the tag.
        """
        return self.version is not None and not self.fences

    @property
    def orphaned(self) -> bool:
        """
        Whether all that stands on the tag is what was put there for lost fences.
        """
        return bool(self.fences) and all(f.token == BORN for f in self.fences)

    def __repr__(self) -> str:
        return f"<TagState {self.version!r} {list(self.fences)}>"


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


def not_after(version: bytes, note: bytes) -> bool:
    """
    Tell whether a version was surely given no later than another one (rule 6).
    """
    origin, _, number = version.partition(b".")
    noted, _, limit = note.partition(b".")
    return origin == noted and int(number) <= int(limit)


def is_next(version: bytes, note: bytes) -> bool:
    """
    Tell whether a version was the first that was given after another one.
    """
    origin, _, number = version.partition(b".")
    noted, _, limit = note.partition(b".")
    return origin == noted and int(number) == int(limit) + 1


def of_incarnation(version: bytes, mark: bytes) -> bool:
    """
    Tell whether a version was given in an incarnation.
    """
    return version[:MARK] == mark


def word(raw: bytes) -> bytes:
    """
    Write bytes as nonces, tokens and owners stand in a value.
    """
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _owner(text: bytes) -> str:
    padded = text + b"=" * (-len(text) % 4)
    try:
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode()
    except ValueError:
        # names no transaction that anybody could ask about; the fence is up all the same
        return ""


class TagSet:
    """
    Tags that are asked for together: their keys, and the digests entries name them by.

    In the order of their digests, each once, so that two sets of the same tags are equal
    byte by byte. `asked` is the part of a command that names the keys.
    """

    __slots__ = ("asked", "count", "digests", "keys")

    def __init__(self, digests: bytes, keys: tuple[bytes, ...]) -> None:
        self.digests = digests
        self.keys = keys
        self.count = len(keys)
        self.asked = b"".join(map(bulk, keys))

    def digest(self, place: int) -> bytes:
        """
        Return the digest of the tag at a place.
        """
        return self.digests[place * TAG_BYTES : (place + 1) * TAG_BYTES]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TagSet) and self.keys == other.keys

    def __hash__(self) -> int:
        return hash(self.keys)


def digest_of(tag: str) -> bytes:
    """
    Return what stands for a tag in keys and entries.
    """
    return blake2b(tag.encode("utf-8", "surrogatepass"), digest_size=TAG_BYTES).digest()


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
        self._entry = f"{prefix}:e:".encode()
        self._tag = f"{prefix}:t:".encode()

    def entry(self, key: bytes | str) -> bytes:
        """
        Return the name of a key's entry.
        """
        text = key.encode("utf-8", "surrogatepass") if isinstance(key, str) else key
        found = blake2b(text, digest_size=ENTRY_BYTES).digest()
        return self._entry + word(found)

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
        if len(found) > MOST_TAGS:
            raise UsageError(
                f"{len(found)} tags in one call, of at most {MOST_TAGS}: take wider "
                "ones, of a table or of the whole database",
                tags=len(found),
            )
        keys = tuple(self._tag + word(one) for one in found)
        return TagSet(b"".join(found), keys)
