"""
Looking up: one statement, which sees the file at one moment.

Tags of an entry that weren't expected are read after it, by a second one. That is sound
as well: an entry was stored while its tags stood as its vector says, unfenced, and no
version is given twice; so a tag that stands like that later has stood like that ever
since, also when the entry was read.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from yokedcache.stores.answers import (
    MOST_TAGS,
    SAME,
    TAG_BYTES,
    Miss,
    Same,
    Stamp,
    TagSet,
    TagState,
    Times,
    Vector,
)
from yokedcache.stores.sqlite import machine
from yokedcache.stores.sqlite.layout import numbers, read_state
from yokedcache.stores.versions import is_version, of_incarnation

if TYPE_CHECKING:
    from yokedcache.stores.sqlite.files import Link
    from yokedcache.stores.sqlite.layout import Place

_BOTH: Final = (
    "SELECT ends, mark, key, digests, versions, born, fresh, stale, size, payload"
    " FROM entries WHERE id = ? UNION ALL SELECT digest, version, ends, fences,"
    " NULL, NULL, NULL, NULL, NULL, NULL FROM tags WHERE digest IN "
)
_AGAIN: Final = (
    "SELECT ends, mark, key, digests, versions, born, fresh, stale, size"
    " FROM entries WHERE id = ? UNION ALL SELECT digest, version, ends, fences,"
    " NULL, NULL, NULL, NULL, NULL FROM tags WHERE digest IN "
)
_TAGS: Final = "SELECT digest, version, ends, fences FROM tags WHERE digest IN "
_COUNTED: Final = (
    "SELECT origin, number, NULL, NULL FROM counter"
    " UNION ALL SELECT digest, version, ends, fences FROM tags WHERE digest IN "
)
_COUNTER: Final = "SELECT origin, number FROM counter"
_BETWEEN: Final = b" "
_TYPES: Final = (int, bytes, bytes, bytes, bytes, float, float, float, int, bytes)
"""What an entry's row has in its columns."""

UNDONE: Final = object()
"""What a look gives when there is something to change."""


class SqliteHit:
    """
    An entry whose vector held, unfenced, when it was read.
    """

    __slots__ = ("payload", "row", "times", "vector")

    def __init__(self, row: Any, versions: list[bytes]) -> None:
        self.row = row[1:-1]
        """All of it but when it ends, and the payload."""
        self.payload: bytes = row[-1]
        self.times = Times(row[5], row[6], row[7])
        self.vector = Vector(row[3], versions)


class Question:
    """
    An entry and its tags as they were found: whether all that stands is to be asked.

    The payload is not compared. One that is stored under the same key, with the same
    vector, made at the very same moment and as long is as good.
    """

    __slots__ = ("_row", "_versions", "asked", "place", "tags")

    def __init__(self, place: Place, tags: TagSet, found: SqliteHit) -> None:
        self.place = place
        self.tags = tags
        self.asked = (place.row, *numbers(tags.digests))
        self._row = found.row
        self._versions = found.vector.versions

    def answered(self, rows: list[Any], now: int) -> bool:
        """
        Tell whether everything stands as it did.
        """
        if len(rows) != len(self.asked) or rows[0][1:] != self._row:
            return False
        ends = rows[0][0]
        if type(ends) is not int or ends <= now:
            return False
        return all(
            row[0] == number and row[1] == version and row[3] is None and row[2] > now
            for row, number, version in zip(
                rows[1:], self.asked[1:], self._versions, strict=True
            )
        )


def marks(count: int) -> str:
    """
    Write the place for so many values.
    """
    return f"({', '.join('?' * count)})"


_both = [_BOTH + marks(count) for count in range(257)]
_again = [_AGAIN + marks(count) for count in range(257)]
_tags = [_TAGS + marks(count) for count in range(257)]
_counted = [_COUNTED + marks(count) for count in range(257)]


def look(link: Link, place: Place, tags: TagSet) -> SqliteHit | Miss:
    """
    Look an entry up, with the tags that it is expected to have.
    """
    asked = numbers(tags.digests)
    rows = link.execute(_both[len(asked)], (place.row, *asked)).fetchall()
    now = machine.now()
    entry: Any = None
    if rows and rows[0][-1] is not None:
        entry, *rows = rows
    found = {row[0]: row[:4] for row in rows}
    flaw = _flaw(entry, place, link, now)
    if flaw is not None:
        return Miss(flaw, _stamp(link, tags, asked, found, now))
    _, _, _, digests, packed, *_ = entry
    versions = packed.split(_BETWEEN) if packed else []
    if len(digests) != len(versions) * TAG_BYTES or len(versions) > MOST_TAGS:
        return Miss("corrupted", _stamp(link, tags, asked, found, now))
    own = asked if digests == tags.digests else numbers(digests)
    missing = [number for number in own if number not in found]
    if missing and own is not asked:
        late = link.execute(_tags[len(missing)], missing)
        found.update((row[0], row) for row in late)
    for number, version in zip(own, versions, strict=True):
        row = found.get(number)
        if row is None or row[1] != version or row[3] is not None or row[2] <= now:
            state = read_state(row, now, time.time())
            why = _why(state) if is_version(version) else "corrupted"
            return Miss(why, _stamp(link, tags, asked, found, now))
    return SqliteHit(entry, versions)


def _flaw(entry: Any, place: Place, link: Link, now: int) -> str | None:
    """
    Name why an entry's row isn't what is looked for.
    """
    if entry is None:
        return "absent"
    if tuple(map(type, entry)) != _TYPES:  # columns take whatever they are given
        return "foreign"
    ends, mark, key, *_ = entry
    if key != place.key or ends <= now:
        return "absent"
    if mark != link.mark:
        return "incarnation" if len(mark) == len(link.mark) else "corrupted"
    return None


def look_again(link: Link, question: Question) -> Same | SqliteHit | Miss:
    """
    Look an entry up that was found before.
    """
    asked = question.asked
    rows = link.execute(_again[len(asked) - 1], asked).fetchall()
    if question.answered(rows, machine.now()):
        return SAME
    return look(link, question.place, question.tags)


def exists(link: Link, place: Place, tags: TagSet) -> bool:
    """
    Tell whether there is an entry that holds.
    """
    return not isinstance(look(link, place, tags), Miss)


def read_tags(link: Link, asked: list[int]) -> dict[int, Any]:
    """
    Give the rows of tags, by their digests.
    """
    if not asked:
        return {}
    return {row[0]: row for row in link.execute(_tags[len(asked)], asked)}


def read_stamp(link: Link, tags: TagSet) -> Stamp:
    """
    Take the versions of tags and the counter, as they stand.
    """
    asked = numbers(tags.digests)
    rows = link.execute(_counted[len(asked)], asked).fetchall()
    origin, number, _, _ = rows.pop(0)
    found = {row[0]: row for row in rows}
    stamp = _stamp(link, tags, asked, found, machine.now())
    stamp.counter = _version(link, origin, number)
    return stamp


def note(link: Link) -> bytes | None:
    """
    Read the counter; `None` if nothing can be compared with it.
    """
    ((origin, number),) = link.execute(_COUNTER)
    return _version(link, origin, number)


def states_of(asked: list[int], found: dict[int, Any], now: int) -> list[TagState]:
    """
    Read the rows of tags, in their order.
    """
    wall = time.time()
    return [read_state(found.get(number), now, wall) for number in asked]


def pack_versions(vector: Vector) -> bytes:
    """
    Write the versions of a vector.
    """
    return _BETWEEN.join(vector.versions)


def _stamp(
    link: Link,
    tags: TagSet,
    asked: list[int],
    found: dict[int, Any],
    now: int,
) -> Stamp:
    return Stamp(tags, states_of(asked, found, now), link.mark)


def _version(link: Link, origin: bytes, number: int) -> bytes | None:
    ours = of_incarnation(origin, link.mark)
    return b"%b.%d" % (origin, number) if ours else None


def _why(state: TagState) -> str:
    if state.version is None:
        return "tag_lost" if state.lost else "tag_unknown"
    return "commit_in_flight" if state.fences else "changed"
