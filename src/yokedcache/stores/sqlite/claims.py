"""
Claims: one process at a time loads a key, as long as it is there.

Who finds a claim only reads, however often; that takes no lock. Nothing is right or wrong
by a claim: all that one which was lost costs is a second load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from yokedcache.stores.answers import Claim, Miss
from yokedcache.stores.sqlite import machine
from yokedcache.stores.sqlite.looking import UNDONE, look
from yokedcache.stores.sqlite.sweeping import sweep

if TYPE_CHECKING:
    from yokedcache.stores.answers import TagSet
    from yokedcache.stores.sqlite.files import Link
    from yokedcache.stores.sqlite.layout import Place


def find(link: Link, place: Place, tags: TagSet, token: bytes) -> Any:
    """
    Give whose a load is and what there is of it; `UNDONE` if it may be claimed.
    """
    found = look(link, place, tags)
    holder = _holder(link, place)
    if holder is None and isinstance(found, Miss):
        return UNDONE
    return Claim(holder or token, found)


def claim(link: Link, place: Place, tags: TagSet, token: bytes, lease: int) -> Claim:
    """
    Claim a load unless somebody has, and look whether it was done meanwhile.
    """
    holder = _holder(link, place)
    if holder is None:
        now = machine.now()
        sweep(link, "claims", now)
        link.execute(
            "INSERT OR REPLACE INTO claims VALUES (?, ?, ?)",
            (place.row, now + lease, token),
        )
    return Claim(holder or token, look(link, place, tags))


def is_free(link: Link, place: Place, token: bytes) -> Any:
    """
    Tell that a claim isn't held any more; `UNDONE` if it is.
    """
    return UNDONE if _holder(link, place) == token else False


def release(link: Link, place: Place, token: bytes) -> bool:
    """
    Give a claim up; tell whether it was still held.
    """
    done = link.execute(
        "DELETE FROM claims WHERE id = ? AND token = ? AND ends > ?",
        (place.row, token, machine.now()),
    )
    return done.rowcount == 1


def _holder(link: Link, place: Place) -> bytes | None:
    rows = link.execute(
        "SELECT token FROM claims WHERE id = ? AND ends > ?",
        (place.row, machine.now()),
    ).fetchall()
    return bytes(rows[0][0]) if rows else None
