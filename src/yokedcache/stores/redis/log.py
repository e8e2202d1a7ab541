"""
The log of announcements, by which answers near by are followed: the backplane.

Each script that changes tags draws a number, and writes the tags' digests into a stream
under that number, if there is one: who follows makes it. So an entry's number says of
which version it tells. Numbers grow, and none is used twice while the counter has one
origin; a position is the version of the last entry that was read.

**Nothing is missed.** What comes after a position is all there as long as the entry of the
position itself is: a log is only ever cut at its old end, and one that was lost and made
anew (deleted, evicted, expired, flushed) lacks the entry. Else one number could stand for
two entries; but after it was read the counter is seen to have the position's origin, which
is of the server's present life, and an origin that was left never comes back. In all
other cases it is begun anew, with an entry that stands for the new position.

Nobody's log is kept: one that nobody follows goes by itself after `LIFE`. It is short as
well, for who is far behind had better begin anew.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from yokedcache.stores.answers import TAG_BYTES, Followed, TagSet
from yokedcache.stores.redis.operations import own_counter
from yokedcache.stores.redis.questions import GETEX
from yokedcache.stores.redis.wire import (
    WRONG_TYPE,
    Refusal,
    Request,
    bulk,
    command,
    fine,
)

if TYPE_CHECKING:
    from yokedcache.stores.redis.changes import Scope
    from yokedcache.stores.redis.incarnation import Link
    from yokedcache.stores.redis.wire import Steps

LIFE: Final = 60_000
"""Milliseconds that a log lives which nobody follows."""
MOST: Final = 1000
"""Entries that are read at once; the log has hardly more (`common.lua`)."""


def follow(scope: Scope, position: bytes | None, link: Link) -> Steps[Followed]:
    """
    Give what was announced since a position, or a new one to begin from.
    """
    if position is not None:
        ask = _asking(scope, position)
        entries, left, counter = yield Request(ask, 3)
        # a server that was made a replica refuses this, though not the others
        version = own_counter(counter, link)
        told = _read(entries, position, version)
        if told is not None:
            if fine(left) < LIFE // 2:
                fine((yield Request(_living(scope.log)))[0])
            return Followed(told[-1][0] if told else position, told)
    begun = yield from scope.tell("follow", link, b"%d" % LIFE)
    return Followed(begun, None)


def _asking(scope: Scope, position: bytes) -> bytes:
    number = position.partition(b".")[2]
    count = b"%d" % (MOST + 1)
    reading = command(b"XRANGE", scope.log, number, b"+", b"COUNT", count)
    return reading + command(b"PTTL", scope.log) + GETEX + bulk(scope.counter)


def _living(log: bytes) -> bytes:
    return command(b"PEXPIRE", log, b"%d" % LIFE)


def _read(
    entries: Any, position: bytes, counter: bytes | None
) -> list[tuple[bytes, TagSet]] | None:
    """
    Read what comes after a position; `None` if that may not be all.
    """
    origin, _, number = position.partition(b".")
    if isinstance(entries, Refusal) and entries.code == WRONG_TYPE:
        return None
    found = fine(entries)
    if counter is None or not counter.startswith(origin + b"."):
        return None
    if not found or found[0][0] != number + b"-0" or len(found) > MOST:
        return None
    told: list[tuple[bytes, TagSet]] = []
    for name, fields in found[1:]:
        tags = _tags(fields)
        if tags is None or not name.endswith(b"-0"):
            return None
        told.append((origin + b"." + name[:-2], tags))
    return told


def _tags(fields: Any) -> TagSet | None:
    """
    Read the tags that an entry is about; `None` if it is none of ours.
    """
    if len(fields) != 2 or fields[0] != b"t":  # noqa: PLR2004 - a name, and what it has
        return None
    try:
        read = base64.b64decode(fields[1], altchars=b"-_", validate=True)
    except ValueError:
        return None
    return None if len(read) % TAG_BYTES else TagSet(read)
