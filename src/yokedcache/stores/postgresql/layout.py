"""
What things are called, and how that reads which comes back.
"""

from __future__ import annotations

import json
import re
import time
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

from yokedcache.errors import UsageError
from yokedcache.stores.answers import (
    MOST_TAGS,
    TAG_BYTES,
    ListedFence,
    TagSet,
    TagState,
    digest_of,
)
from yokedcache.stores.versions import is_version

if TYPE_CHECKING:
    from collections.abc import Iterable

LAYOUT: Final = "yokedcache 5"
"""What a comment on the table of tags says; it changes with the functions, too."""

_LONGEST: Final = 40
_PLAIN: Final = re.compile(rf"[a-z0-9_]{{1,{_LONGEST}}}")
_LOST: Final = TagState(None, lost=True)
_UNKNOWN: Final = TagState(None)


class Place(NamedTuple):
    """
    Where an entry lies: a row, whose full key says whether it is the one.
    """

    row: int
    key: bytes


def schema_of(prefix: str) -> str:
    """
    Name the schema of a prefix: a plain word, whatever the prefix is.
    """
    if not prefix or not prefix.isprintable() or set(prefix) & set("{}*?[] "):
        raise UsageError(
            f"{prefix!r} can't begin keys: take letters, digits, '-', '_' and ':'"
        )
    if _PLAIN.fullmatch(prefix):
        return f"yokedcache_{prefix}"
    # told apart by a digest: words are neither case sensitive nor long
    shown = re.sub(r"[^a-z0-9_]", "_", prefix.lower())[:_LONGEST]
    told = blake2b(prefix.encode(), digest_size=4).hexdigest()
    return f"yokedcache_{shown}_{told}"


def place(key: bytes | str) -> Place:
    """
    Return where a key's entry lies.
    """
    text = key.encode("utf-8", "surrogatepass") if isinstance(key, str) else key
    found = blake2b(text, digest_size=16).digest()
    return Place(int.from_bytes(found[:8], "big", signed=True), found)


def tag_set(names: TagSet | Iterable[str]) -> TagSet:
    """
    Return a set of tags by their names; a set is returned as it is.
    """
    if isinstance(names, TagSet):
        return names
    found = sorted({digest_of(name) for name in names})
    if len(found) > MOST_TAGS:
        raise UsageError(
            f"{len(found)} tags in one call, of at most {MOST_TAGS}: take wider ones, "
            "of a table or of the whole database",
            tags=len(found),
        )
    return TagSet(b"".join(found))


def numbers(digests: bytes) -> list[int]:
    """
    Return the digests of tags as the numbers of their rows.
    """
    ends = range(0, len(digests), TAG_BYTES)
    return [int.from_bytes(digests[at : at + TAG_BYTES], "big") for at in ends]


def read_digests(text: bytes) -> bytes:
    """
    Return the digests of tags, of the numbers of their rows.
    """
    return b"".join(int(number).to_bytes(TAG_BYTES, "big") for number in text.split())


def read_states(text: bytes | None, count: int, at: int) -> list[TagState]:
    """
    Read how so many tags stand: a line for each, its version and its fences.

    Where the server knows of no incarnation, all of them are lost. `at` is its clock.
    """
    if text is None:
        return [_LOST] * count
    lines = text.split(b"\n") if count else []
    if len(lines) != count:  # somebody has written something else into a version
        return [_UNKNOWN] * count
    wall = time.time()
    return [_read_state(line, wall - at / 1000) for line in lines]


def _read_state(line: bytes, shift: float) -> TagState:
    version, _, listed = line.partition(b" ")
    if not line:
        return _LOST
    if not is_version(version):
        return _UNKNOWN
    if not listed:
        return TagState(version)
    try:
        fences = tuple(
            ListedFence(
                fence["token"].encode(),
                fence["deadline"] / 1000 + shift,
                json.loads(fence["owner"]) if fence["owner"] else "",
            )
            for fence in json.loads(listed)
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return _UNKNOWN
    return TagState(version, fences) if fences else _UNKNOWN


def write_owner(owner: str) -> str:
    """
    Write an owner as any database takes it.
    """
    return json.dumps(owner) if owner else ""
