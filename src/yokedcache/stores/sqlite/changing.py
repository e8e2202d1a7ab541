"""
Changing: what is done in one transaction, alone among all processes.

The rules are those of Redis' scripts, in Python; each is said where it is followed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from yokedcache.stores.answers import BORN, Lifted, Miss, RaisedFence
from yokedcache.stores.sqlite import machine
from yokedcache.stores.sqlite.layout import (
    NEVER,
    ROW_BYTES,
    Fence,
    Kept,
    is_born,
    numbers,
    read_fences,
    write_fences,
)
from yokedcache.stores.sqlite.looking import (
    look,
    marks,
    note,
    pack_versions,
    read_stamp,
    read_tags,
)
from yokedcache.stores.sqlite.sweeping import make_room, sweep, sweep_entries
from yokedcache.stores.versions import of_incarnation, word

if TYPE_CHECKING:
    from yokedcache.stores.answers import Stamp, TagSet, Times
    from yokedcache.stores.sqlite.files import Link
    from yokedcache.stores.sqlite.layout import Place

_NONCE_BYTES = 6
_LARGEST_SHARE = 8


class Change:
    """
    A change of some tags under way: their rows, and the version that it gives.
    """

    def __init__(self, link: Link, tags: TagSet, lease: int) -> None:
        self.link = link
        self.lease = lease
        self.now = machine.now()
        self.asked = numbers(tags.digests)
        self._found = read_tags(link, self.asked)
        self._drawn = b""
        self._young = 0
        self._rows: list[tuple[Any, ...]] = []

    def draw(self) -> bytes:
        """
        Give the next version, once a change.

        A counter of another incarnation begins a new origin. Fences may have been lost
        with the old one, so tags that are made within a lease from then on are born
        fenced; living writers put theirs back within that time.
        """
        if not self._drawn:
            ((origin, number, birth),) = self.link.execute(
                "SELECT origin, number, birth FROM counter"
            )
            if not of_incarnation(origin, self.link.mark):
                origin = self.link.mark + word(os.urandom(_NONCE_BYTES))
                number, birth = 0, self.now
            birth = min(birth, self.now)
            self.link.execute(
                "UPDATE counter SET origin = ?, number = ?, birth = ?",
                (origin, number + 1, birth),
            )
            self._drawn = b"%b.%d" % (origin, number + 1)
            self._young = birth + self.lease
        return self._drawn

    def take(self, digest: int) -> Kept:
        """
        Read a tag, and what it is.
        """
        row = self._found.get(digest)
        if row is None or row[2] <= self.now:
            return Kept(None, [], "lost")
        _, version, _, text = row
        if not isinstance(version, bytes):
            return Kept(None, [], "foreign")
        try:
            fences = read_fences(text)
        except ValueError:
            return Kept(None, [], "foreign")
        ours = of_incarnation(version, self.link.mark)
        return Kept(version, fences, "ours" if ours else "old")

    def without(self, fences: list[Fence], token: str = "") -> list[Fence]:
        """
        Leave out a fence, and the one for lost fences once its time is over.
        """
        return [
            fence
            for fence in fences
            if fence.token != token
            and not (is_born(fence) and fence.deadline <= self.now)
        ]

    def doubt(self, fences: list[Fence], kind: str) -> list[Fence]:
        """
        Fence a tag whose fences may be lost, from what it is; `draw` was called.
        """
        ends = 0
        if kind == "foreign":
            ends = self.now + self.lease
        elif kind != "ours":
            ends = self._young
        if kind == "old":
            # another life's clock says nothing here
            latest = self.now + self.lease
            fences = [f._replace(deadline=min(f.deadline, latest)) for f in fences]
        stands = any(is_born(fence) and fence.deadline >= ends for fence in fences)
        if ends <= self.now or stands:
            return fences
        born = Fence(BORN.decode(), ends, "")
        return [*(fence for fence in fences if not is_born(fence)), born]

    def put(
        self, digest: int, version: bytes, fences: list[Fence], life: int = 0
    ) -> None:
        """
        Write a tag: for good while a writer's fence is up, else for so long.
        """
        if any(not is_born(fence) for fence in fences):
            ends = NEVER
        else:
            last = max([self.now, *(fence.deadline for fence in fences)])
            ends = last + (life or self.lease)
        self._rows.append((digest, version, ends, write_fences(fences)))

    def renumber(self, digest: int, token: str) -> bool:
        """
        Give a tag that is there a new version, and take a fence down; tell if it was up.

        One that isn't there needs nothing: what carries it is unservable.
        """
        _, fences, kind = self.take(digest)
        if kind != "lost":
            version = self.draw()
            self.put(digest, version, self.doubt(self.without(fences, token), kind))
        return any(fence.token == token for fence in fences)

    def write(self) -> None:
        """
        Write all tags that were put.
        """
        self.link.connection.executemany(
            "INSERT OR REPLACE INTO tags VALUES (?, ?, ?, ?)", self._rows
        )
        sweep(self.link, "tags", self.now)


def make_tags(link: Link, tags: TagSet, lease: int, keep: int) -> Stamp:
    """
    Make tags that aren't there, and end the fence for lost ones when its time is over.
    """
    noted = note(link)
    change = Change(link, tags, lease)
    made = set()
    for place, digest in enumerate(change.asked):
        _, fences, kind = change.take(digest)
        left = change.without(fences)
        if kind == "ours" and len(left) == len(fences):
            continue
        if kind == "lost":
            made.add(place)
        version = change.draw()
        change.put(digest, version, change.doubt(left, kind), keep)
    change.write()
    stamp = read_stamp(link, tags)
    stamp.counter, stamp.made = noted, frozenset(made)
    return stamp


def fence(
    link: Link, tags: TagSet, lease: int, token: bytes, owner: str
) -> RaisedFence:
    """
    Bump tags and fence them: a commit is about to be sent.
    """
    change = Change(link, tags, lease)
    version = change.draw()
    own = Fence(token.decode(), change.now + lease, owner)
    for digest in change.asked:
        _, fences, kind = change.take(digest)
        fences = change.doubt(change.without(fences, own.token), kind)
        change.put(digest, version, [*fences, own])
    change.write()
    return RaisedFence(tags, token, owner, version)


def lift(link: Link, raised: RaisedFence, lease: int) -> Lifted:
    """
    Bump a fence's tags and take it down, also where it is gone already.
    """
    change = Change(link, raised.tags, lease)
    version, token = change.draw(), raised.token.decode()
    found = sum(change.renumber(digest, token) for digest in change.asked)
    change.write()
    return Lifted(version, len(change.asked) - found)


def bump(link: Link, tags: TagSet, lease: int) -> bytes:
    """
    Make everything that depends on one of the tags unservable; give the version.
    """
    change = Change(link, tags, lease)
    version = change.draw()
    for digest in change.asked:
        change.renumber(digest, "")
    change.write()
    return version


def renew(link: Link, raised: RaisedFence, lease: int) -> int:
    """
    Vouch for a fence for another lease; put it back, with a bump, where it was lost.
    """
    change = Change(link, raised.tags, lease)
    own = Fence(raised.token.decode(), change.now + lease, raised.owner)
    lost = 0
    for digest in change.asked:
        version, fences, kind = change.take(digest)
        if kind != "ours" or all(one.token != own.token for one in fences):
            version, lost = change.draw(), lost + 1
            fences = change.doubt(fences, kind)
        fences = change.without(fences, own.token)
        change.put(digest, version or change.draw(), [*fences, own])
    change.write()
    return lost


def adopt(link: Link, tags: TagSet, lease: int, token: bytes, grace: int) -> list[bool]:
    """
    Take down a fence that its writer has ceased to vouch for, with a bump.
    """
    change, name = Change(link, tags, lease), token.decode()
    done = []
    for digest in change.asked:
        _, fences, kind = change.take(digest)
        found = [fence for fence in fences if fence.token == name]
        over = bool(found) and found[0].deadline + grace <= change.now
        if over:
            version = change.draw()
            left = change.doubt(change.without(fences, name), kind)
            change.put(digest, version, left)
        done.append(over)
    change.write()
    return done


def store(
    link: Link,
    place: Place,
    payload: bytes,
    stamp: Stamp,
    *,
    times: Times,
    life: int,
    most: int,
) -> str | None:
    """
    Store an entry if its stamp still holds, unfenced; else say why it was not.
    """
    if stamp.mark != link.mark:
        return "incarnation"
    if (flaw := stamp.unusable) is not None:
        return flaw
    vector, now = stamp.vector, machine.now()
    asked = numbers(vector.digests)
    found = read_tags(link, asked)
    for number, version in zip(asked, vector.versions, strict=True):
        row = found.get(number)
        if row is None or row[1] != version or row[2] <= now:
            return "changed_meanwhile"
        if row[3] is not None:
            return "commit_in_flight"
    versions = pack_versions(vector)
    size = len(payload) + len(vector.digests) + len(versions) + ROW_BYTES
    if size > most // _LARGEST_SHARE:
        return "too_large"
    make_room(link, place, size, most)
    link.execute(
        "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(place.row, now + life, size, link.mark, place.key, vector.digests),
            *(versions, times.born, times.fresh_until, times.stale_until, payload),
        ),
    )
    _keep_tags(link, asked, now + life)
    sweep_entries(link, now)
    return None


def remove(link: Link, place: Place, tags: TagSet) -> bool:
    """
    Drop an entry; tell whether there was one that held.
    """
    found = look(link, place, tags)
    make_room(link, place, 0, NEVER)
    link.execute("DELETE FROM entries WHERE id = ?", (place.row,))
    return not isinstance(found, Miss)


def extend(link: Link, place: Place, tags: TagSet, times: Times, life: int) -> bool:
    """
    Give an entry that holds new times, and milliseconds to live.
    """
    found = look(link, place, tags)
    if isinstance(found, Miss):
        return False
    ends = machine.now() + life
    link.execute(
        "UPDATE entries SET ends = ?, born = ?, fresh = ?, stale = ? WHERE id = ?",
        (ends, times.born, times.fresh_until, times.stale_until, place.row),
    )
    _keep_tags(link, numbers(found.vector.digests), ends)
    return True


def _keep_tags(link: Link, asked: list[int], ends: int) -> None:
    # a tag lives as long as what carries it: never shortened here
    if asked:
        link.execute(
            f"UPDATE tags SET ends = ? WHERE digest IN {marks(len(asked))} AND ends < ?",  # noqa: S608
            (ends, *asked, ends),
        )
