"""
Every operation on entries: what is read, and what that means.

Those on tags are in `tagging`. The package says why it is safe that entry and tags are
read, and checked and stored, at different moments.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from yokedcache.stores.answers import SAME, Claim, Miss, Stamp
from yokedcache.stores.envelope import Envelope, Hit, seal, unseal
from yokedcache.stores.memcached.layout import (
    MOST_SECONDS,
    each_digest,
    read_state,
    read_tag,
    seconds,
    standing,
    write_tag,
)
from yokedcache.stores.memcached.steps import add, cas, drop, get, gets, put
from yokedcache.stores.memcached.tagging import NOBODYS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from yokedcache.stores import answers
    from yokedcache.stores.answers import Same, TagState, Times, Vector
    from yokedcache.stores.memcached.layout import Names, Place, Share, SpreadTags
    from yokedcache.stores.memcached.steps import Steps

KEPT: Final = 1024
"""
Bytes of a payload that are compared, and kept for it.

Its own checksum is among the first of them (`codec.frame`).
"""

_MARK: Final = b"memcache"
"""What an entry without tags has for the life in which it was stored."""


class Read:
    """
    What lay under an entry's key and its tags: the values, and each one's clock.
    """

    def __init__(
        self, data: bytes | None, values: list[Any], clocks: list[int]
    ) -> None:
        self.data = data
        self.values = values
        self._clocks = clocks
        self._wall = time.time()

    def stamp(self, tags: SpreadTags) -> Stamp:
        """
        Read how the tags stood.
        """
        states: list[TagState] = [
            read_state(value, self._wall - now / 1000)
            for value, now in zip(self.values, self._clocks, strict=True)
        ]
        return Stamp(tags, states, NOBODYS)


def _read(place: Place, tags: SpreadTags) -> Steps[Read]:
    """
    Read an entry and tags, with one command for each server that has some of it.
    """
    wanted = {place.server: [place.key]}
    for share in tags.shares:
        wanted.setdefault(share.server, []).extend(share.keys)
    seen = {}
    for server, keys in wanted.items():
        seen[server] = yield from get(server, keys)
    values: list[Any] = [None] * tags.count
    clocks = [0] * tags.count
    for share in tags.shares:
        found, now = seen[share.server]
        for at, key in zip(share.places, share.keys, strict=True):
            values[at], clocks[at] = found.get(key), now
    return Read(seen[place.server].found.get(place.key), values, clocks)


def look(names: Names, place: Place, tags: SpreadTags) -> Steps[Hit | Miss]:
    """
    Look an entry up, with the tags that it is expected to have.
    """
    read = yield from _read(place, tags)
    return (yield from _judged(names, read, tags))


def _judged(names: Names, read: Read, tags: SpreadTags) -> Steps[Hit | Miss]:
    found = "absent" if read.data is None else unseal(read.data)
    if isinstance(found, str):
        return Miss(found, read.stamp(tags))
    versions = found.versions(NOBODYS)
    if versions is None:  # pragma: no cover - every version is of nobody's life
        return Miss("incarnation", read.stamp(tags))
    values = read.values
    if found.digests != tags.digests:
        values = yield from _others(names, found, tags, values)
    if versions == [standing(value) for value in values]:
        return Hit(found, versions)
    return Miss(_why(versions, values), read.stamp(tags))


def _others(
    names: Names, found: Envelope, tags: SpreadTags, values: list[Any]
) -> Steps[list[Any]]:
    """
    Give the values of an entry's tags: those read already, and the others.
    """
    known = dict(zip(each_digest(tags.digests), values, strict=True))
    digests = found.each_digest()
    missing = [digest for digest in digests if digest not in known]
    if missing:
        others = names.tags_of(missing)
        for share in others.shares:
            seen = yield from get(share.server, share.keys)
            for at, key in zip(share.places, share.keys, strict=True):
                known[missing[at]] = seen.found.get(key)
    return [known[digest] for digest in digests]


def _why(versions: list[bytes], values: Sequence[Any]) -> str:
    for version, value in zip(versions, values, strict=True):
        if standing(value) != version:
            state = read_state(value, 0.0)
            if state.version is None:
                return "tag_lost" if state.lost else "tag_unknown"
            return "commit_in_flight" if state.fences else "changed"
    return "changed"  # pragma: no cover - one of them did


class Question:
    """
    What lay under an entry's key, and how its tags stood, when it held.

    Of a long entry the first bytes are compared, and how many there are. They have the
    moment in which it was made, and a checksum over all of it.
    """

    __slots__ = ("_seen", "_size", "_versions", "place", "tags")

    def __init__(self, place: Place, tags: SpreadTags, found: Hit) -> None:
        self.place = place
        self.tags = tags
        self._seen = found.data[: found.head + KEPT]
        self._size = len(found.data)
        self._versions = found.vector.versions

    def stands(self, read: Read) -> bool:
        """
        Tell whether everything stands as it did.
        """
        data = read.data
        return (
            data is not None
            and len(data) == self._size
            and data.startswith(self._seen)
            and [standing(value) for value in read.values] == self._versions
        )


def look_again(names: Names, question: Question) -> Steps[Same | Hit | Miss]:
    """
    Look an entry up that was found before.
    """
    read = yield from _read(question.place, question.tags)
    if question.stands(read):
        return SAME
    return (yield from _judged(names, read, question.tags))


def exists(names: Names, place: Place, tags: SpreadTags) -> Steps[bool]:
    """
    Tell whether there is an entry that holds.
    """
    found = yield from look(names, place, tags)
    return isinstance(found, Hit)


def remove(names: Names, place: Place, tags: SpreadTags) -> Steps[bool]:
    """
    Drop an entry, or what lies in its place; tell whether there was one that held.
    """
    found = yield from look(names, place, tags)
    there = yield from drop(*place)
    return isinstance(found, Hit) and there


def extend(
    names: Names, place: Place, tags: SpreadTags, *, times: Times, life: int
) -> Steps[bool]:
    """
    Give an entry that holds new times, and milliseconds to live; tell if there was one.
    """
    found = yield from look(names, place, tags)
    if isinstance(found, Miss):
        return False
    vector = found.vector
    own = names.tags_of(each_digest(vector.digests))
    if (yield from _hold(own, vector, life)) is not None:
        return False
    seen = yield from gets(place.server, [place.key])
    value, unique = seen.found.get(place.key, (None, None))
    if value != found.data:  # another one, that has times of its own
        return False
    data = seal(bytes(found.payload), mark=_MARK, vector=vector, times=times)
    return (yield from cas(place.server, place.key, data, unique, seconds(life)))


def store(
    place: Place,
    tags: SpreadTags,
    payload: bytes,
    stamp: answers.Stamp,
    *,
    times: Times,
    life: int,
) -> Steps[str | None]:
    """
    Store an entry if its stamp still holds, unfenced; else say why it was not.

    A tag may change between the two; what is stored then is never served.
    """
    # versions are of no life in particular, whatever the stamp says
    whole = Stamp(tags, stamp.states, NOBODYS)
    if (flaw := whole.unusable) is not None:
        return flaw
    vector = whole.vector
    if (refused := (yield from _hold(tags, vector, life))) is not None:
        return refused
    data = seal(payload, mark=_MARK, vector=vector, times=times)
    return (yield from put(place.server, place.key, data, seconds(life)))


def _hold(tags: SpreadTags, vector: Vector, life: int) -> Steps[str | None]:
    """
    Say why tags don't stand as they did; let them live on, if they do, for so long.
    """
    for share in tags.shares:
        versions = [vector.versions[place] for place in share.places]
        wanted = dict(zip(share.keys, versions, strict=True))
        refused = yield from _hold_share(share, wanted, life)
        if refused is not None:
            return refused
    return None


def _hold_share(
    share: Share, wanted: dict[bytes, bytes], life: int
) -> Steps[str | None]:
    left = dict(wanted)
    while left:
        seen = yield from gets(share.server, list(left))
        needed = seen.now + min(life, MOST_SECONDS * 1000)
        for key, version in list(left.items()):
            value, unique = seen.found.get(key, (None, None))
            kept = read_tag(value)
            if kept.version != version:
                return "changed_meanwhile"
            if kept.fences:
                return "commit_in_flight"
            if kept.until < needed:
                text = write_tag(version, needed, ())
                ends = seconds(needed - seen.now)
                if not (yield from cas(share.server, key, text, unique, ends)):
                    continue  # somebody has changed it, or let it live on
            del left[key]
    return None


def claim(
    names: Names, told: tuple[Place, bytes, int], place: Place, tags: SpreadTags
) -> Steps[Claim]:
    """
    Claim a load unless somebody has, and look then whether it was done meanwhile.
    """
    (server, key), token, lease = told
    holder: bytes | None = token
    if not (yield from add(server, key, token, seconds(lease))):
        seen = yield from get(server, [key])
        holder = seen.found.get(key)
    found = yield from look(names, place, tags)
    return Claim(holder, found)


def release(claimed: Place, token: bytes) -> Steps[bool]:
    """
    Give a claim up; tell whether it was still held.
    """
    server, key = claimed
    seen = yield from gets(server, [key])
    value, unique = seen.found.get(key, (None, None))
    if value != token:
        return False
    return (yield from cas(server, key, b"", unique, -1))
