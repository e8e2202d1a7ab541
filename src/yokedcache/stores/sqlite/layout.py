"""
Where things lie in the file, and how they read.

    counter   one row: a nonce drawn with the file and where it was made (see `files`);
              the last version that was given and since when its origin gives them;
              and about how many bytes the entries take
    tags      each tag's version, its open fences, and when it ends
    entries   the payload, its times, and the versions of the tags that it depends on
    claims    the token of the process that loads an entry, and when its claim ends

A tag's row holds its version and its fences, so they are read and lost together; a
version with its fences reads as on other stores (`versions`). Times are milliseconds of
the machine's own clock (`machine`), but those that the near side gave an entry.
"""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from yokedcache.errors import UsageError
from yokedcache.stores.answers import (
    BORN,
    MOST_TAGS,
    TAG_BYTES,
    ListedFence,
    TagSet,
    TagState,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

APPLICATION: Final = 0x59_6F_6B_65
"""What the file's head says it is for; see `PRAGMA application_id`."""

LAYOUT: Final = 1

# what sweeping reads comes first: a long payload lies on pages of its own
SCHEMA: Final = """
CREATE TABLE counter (
    nonce BLOB NOT NULL, home TEXT NOT NULL, origin BLOB NOT NULL,
    number INTEGER NOT NULL, birth INTEGER NOT NULL, bytes INTEGER NOT NULL
);
CREATE TABLE tags (
    digest INTEGER PRIMARY KEY, version BLOB NOT NULL, ends INTEGER NOT NULL, fences TEXT
);
CREATE TABLE entries (
    id INTEGER PRIMARY KEY, ends INTEGER NOT NULL, size INTEGER NOT NULL,
    mark BLOB NOT NULL, key BLOB NOT NULL, digests BLOB NOT NULL, versions BLOB NOT NULL,
    born REAL NOT NULL, fresh REAL NOT NULL, stale REAL NOT NULL, payload BLOB NOT NULL
);
CREATE TABLE claims (
    id INTEGER PRIMARY KEY, ends INTEGER NOT NULL, token BLOB NOT NULL
);
"""

NEVER: Final = 1 << 62
"""When a tag ends on which a writer's fence is up."""

ROW_BYTES: Final = 120
"""About what an entry takes beside its payload and its vector."""

_KEY_BYTES: Final = 16
_LOST: Final = TagState(None, lost=True)
_UNKNOWN: Final = TagState(None)


class Fence(NamedTuple):
    """
    A fence as it is listed: until when its writer vouches for it, in milliseconds.
    """

    token: str
    deadline: int
    owner: str


class Kept(NamedTuple):
    """
    A tag as it was read: `ours`, `old` (of another incarnation), `lost` or `foreign`.
    """

    version: bytes | None
    fences: list[Fence]
    kind: str


class Place(NamedTuple):
    """
    Where an entry lies: a row, whose full key says whether it is the one.
    """

    row: int
    key: bytes


class Names:
    """
    The digests of keys and tags under one prefix.
    """

    def __init__(self, prefix: str) -> None:
        if not prefix or not prefix.isprintable() or set(prefix) & set("{}*?[] "):
            raise UsageError(
                f"{prefix!r} can't begin keys: take letters, digits, '-', '_' and ':'"
            )
        self._prefix = prefix.encode() + b"\0"

    def place(self, key: bytes | str) -> Place:
        """
        Return where a key's entry lies.
        """
        text = key.encode("utf-8", "surrogatepass") if isinstance(key, str) else key
        found = blake2b(self._prefix + text, digest_size=_KEY_BYTES).digest()
        return Place(int.from_bytes(found[:8], "big", signed=True), found)

    def tags(self, names: Iterable[str]) -> TagSet:
        """
        Return a set of tags, by their names.
        """
        found = sorted({self._tag(name) for name in names})
        if len(found) > MOST_TAGS:
            raise UsageError(
                f"{len(found)} tags in one call, of at most {MOST_TAGS}: take wider "
                "ones, of a table or of the whole database",
                tags=len(found),
            )
        return TagSet(b"".join(found))

    def _tag(self, name: str) -> bytes:
        text = self._prefix + name.encode("utf-8", "surrogatepass")
        return blake2b(text, digest_size=TAG_BYTES).digest()


def numbers(digests: bytes) -> list[int]:
    """
    Return the digests of tags as the numbers of their rows.
    """
    ends = range(0, len(digests), TAG_BYTES)
    return [int.from_bytes(digests[at : at + TAG_BYTES], "big") for at in ends]


def read_fences(text: object) -> list[Fence]:
    """
    Read the fences of a tag.

    Raises:
        ValueError: it isn't what was written.
    """
    if text is None:
        return []
    try:
        listed: Any = json.loads(text)  # type: ignore[arg-type]
        return [Fence(str(token), int(ends), str(own)) for token, ends, own in listed]
    except TypeError as error:
        raise ValueError(f"{text!r} lists no fences") from error


def write_fences(fences: list[Fence]) -> str | None:
    """
    Write the fences of a tag.
    """
    return json.dumps(fences) if fences else None


def read_state(row: Any, now: int, wall: float) -> TagState:
    """
    Read a tag's row as everyone understands it; `wall` is the time of day at `now`.
    """
    if row is None:
        return _LOST
    _, version, ends, text = row
    if not isinstance(version, bytes):
        return _UNKNOWN
    if text is None:
        return TagState(version) if ends > now else _LOST
    try:
        fences = tuple(
            ListedFence(token.encode(), wall + (deadline - now) / 1000, owner)
            for token, deadline, owner in read_fences(text)
        )
    except ValueError:
        return _UNKNOWN
    return TagState(version, fences) if ends > now else _LOST


def is_born(fence: Fence) -> bool:
    """
    Tell whether a fence stands for those that may have been lost.
    """
    return fence.token == BORN.decode()
