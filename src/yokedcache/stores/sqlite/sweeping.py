"""
Taking away what has ended, and what there is no room for: a few rows with each change.

A hand goes round each table, for each connection its own. It meets rows in the order of
their digests, which is no order at all; so making room takes entries at random.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from yokedcache.stores.sqlite.files import Link
    from yokedcache.stores.sqlite.layout import Place

STEP: Final = 8
"""Rows that are looked at with each change."""

MOST_STEPS: Final = 8
"""Steps in which room is made for one entry."""

_LEAST: Final = -(1 << 63)
_NEXT: Final = {
    "tags": "SELECT rowid, ends FROM tags WHERE rowid > ? ORDER BY rowid LIMIT ?",
    "claims": "SELECT rowid, ends FROM claims WHERE rowid > ? ORDER BY rowid LIMIT ?",
}
# columns take whatever they are given: a size that is none counts for nothing
_ENTRIES: Final = (
    "SELECT id, ends, CAST(size AS INTEGER), mark FROM entries WHERE id > ?"
    " ORDER BY id LIMIT ?"
)
_SIZE: Final = "SELECT CAST(size AS INTEGER) FROM entries WHERE id = ?"
_DELETE: Final = {
    "tags": "DELETE FROM tags WHERE rowid = ?",
    "claims": "DELETE FROM claims WHERE rowid = ?",
}


def sweep(link: Link, table: str, now: int) -> None:
    """
    Take away tags, or claims, that ended among the next few.
    """
    rows = link.execute(_NEXT[table], (_hand(link, table), STEP)).fetchall()
    link.hands[table] = rows[-1][0] if len(rows) == STEP else _LEAST
    ended = [(row,) for row, ends in rows if ends <= now]
    if ended:
        link.connection.executemany(_DELETE[table], ended)


def sweep_entries(link: Link, now: int) -> None:
    """
    Take away entries that ended, or are of another incarnation, among the next few.
    """
    _drop(
        link,
        [
            (row, size)
            for row, ends, size, mark in _next(link)
            if type(ends) is not int or ends <= now or mark != link.mark
        ],
    )


def make_room(link: Link, place: Place, size: int, most: int) -> None:
    """
    Count an entry in that is about to be written, and have others go for it.
    """
    old = link.execute(_SIZE, (place.row,)).fetchone()
    more = size - (old[0] if old else 0)
    link.execute("UPDATE counter SET bytes = bytes + ?", (more,))
    for _ in range(MOST_STEPS):
        ((taken,),) = link.execute("SELECT bytes FROM counter")
        if taken <= most:
            return
        _drop(link, [(one, s) for one, _, s, _ in _next(link) if one != place.row])


def _hand(link: Link, table: str) -> int:
    return link.hands.get(table) or random.getrandbits(64) + _LEAST


def _next(link: Link) -> list[tuple[int, int, int, bytes]]:
    rows = link.execute(_ENTRIES, (_hand(link, "entries"), STEP)).fetchall()
    link.hands["entries"] = rows[-1][0] if len(rows) == STEP else _LEAST
    return rows


def _drop(link: Link, victims: list[tuple[int, int]]) -> None:
    if victims:
        link.connection.executemany(
            "DELETE FROM entries WHERE id = ?", [(row,) for row, _ in victims]
        )
        gone = sum(size for _, size in victims)
        link.execute("UPDATE counter SET bytes = bytes - ?", (gone,))
