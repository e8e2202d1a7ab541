"""
Every operation on tags: what becomes of each, and what is told.

Those on entries are in `looking`. The package says why it is safe that several tags
change one after the other.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from yokedcache.errors import StoreError
from yokedcache.stores.answers import Lifted, RaisedFence, Stamp
from yokedcache.stores.memcached.changing import Change, Leave, Write, counted
from yokedcache.stores.memcached.layout import Fence, Share, read_state
from yokedcache.stores.memcached.steps import get, gets
from yokedcache.stores.versions import word

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.stores.answers import TagState
    from yokedcache.stores.memcached.changing import Changed, Moment
    from yokedcache.stores.memcached.layout import Kept, Names, SpreadTags
    from yokedcache.stores.memcached.steps import Steps

NOBODYS = b""
"""The mark of a stamp: no version is given twice, so none has to be of some life."""


def stamp(
    names: Names, tags: SpreadTags, lease: int, keep: int, *, noting: bool
) -> Steps[Stamp]:
    """
    Take the versions of tags; make those that aren't there.
    """
    states: list[Any] = [None] * tags.count
    notes: list[bytes] = []
    made: set[int] = set()
    for share in tags.shares:
        read, note = yield from _read(names, share, noting=noting)
        if note is not None:
            notes.append(note)
        if _only(read).incomplete:
            making = Change(names, share, lease, partial(_make, keep=keep), draw=False)
            changed = yield from making.steps()
            made.update(place for place, new in changed.told.items() if new)
            read, _ = yield from _read(names, share, noting=False)
        for place, state in zip(share.places, read, strict=True):
            states[place] = state
    if noting:
        asked = {share.server for share in tags.shares}
        others = set(range(names.servers)) - asked
        notes += yield from _notes(names, sorted(others))
    counter = b" ".join(notes) if notes else None
    return Stamp(tags, states, NOBODYS, counter, frozenset(made))


def _only(states: list[TagState]) -> Stamp:
    digests: Any = None
    return Stamp(digests, states, NOBODYS)


def _read(
    names: Names, share: Share, *, noting: bool
) -> Steps[tuple[list[TagState], bytes | None]]:
    """
    Read some tags; and the counter no later than them, beginning it if it isn't there.
    """
    if not noting:
        seen = yield from get(share.server, share.keys)
        return _states(share, seen.found, seen.now), None
    while True:
        seen = yield from gets(share.server, [names.counter, *share.keys])
        _, note = yield from counted(names, share.server, seen)
        if note is not None:
            found = {key: value for key, (value, _) in seen.found.items()}
            return _states(share, found, seen.now), note


def _states(share: Share, found: dict[bytes, Any], now: int) -> list[TagState]:
    wall = time.time() - now / 1000
    return [read_state(found.get(key), wall) for key in share.keys]


def _make(kept: Kept, moment: Moment, *, keep: int) -> Write | Leave:
    left = moment.without(kept.fences)
    if kept.kind == "ours" and len(left) == len(kept.fences):
        return Leave(told=False)
    new = kept.kind == "pending"
    return Write(moment.doubt(left, kept.kind), keep=keep, told=new)


def _everywhere(
    names: Names,
    tags: SpreadTags,
    lease: int,
    decide: Callable[[Kept, Moment], Write | Leave],
    told: set[int] | None = None,
    **how: bool,
) -> Steps[Changed]:
    """
    Change tags on one server after the other; on all that can be asked, if not on all.

    Args:
        told: servers that needn't be asked any more; those that were are added.

    Raises:
        StoreError: a server couldn't be asked; the others were.
    """
    done = set() if told is None else told
    shares = [share for share in tags.shares if share.server not in done]
    if not tags.shares:
        shares.append(Share(0, [], []))
    whole, failed = None, None
    for place, share in enumerate(shares):
        change = Change(names, share, lease, decide, **how)
        try:
            changed = yield from change.steps(1 / (len(shares) - place))
        except StoreError as error:
            failed = failed or error
            continue
        done.add(share.server)
        if whole is not None:
            changed.told.update(whole.told)
        whole = changed
    if failed is not None or whole is None:
        raise failed or StoreError("there is no server")
    return whole


def fence(
    names: Names, tags: SpreadTags, lease: int, token: bytes, owner: str
) -> Steps[RaisedFence]:
    """
    Bump tags and fence them: a commit is about to be sent.
    """

    def decide(kept: Kept, moment: Moment) -> Write:
        others = moment.doubt(moment.without(kept.fences, token), kept.kind)
        return Write((*others, _own(moment, token, owner)))

    changed = yield from _everywhere(names, tags, lease, decide)
    return RaisedFence(tags, token, owner, changed.version)


def _own(moment: Moment, token: bytes, owner: str) -> Fence:
    return Fence(token, moment.now + moment.lease, word(owner.encode()))


def _renumber(kept: Kept, moment: Moment, *, token: bytes) -> Write | Leave:
    """
    Give a tag that is there a new version, and take a fence down; tell if it was up.

    One that isn't there needs nothing: what carries it is unservable.
    """
    if kept.kind == "lost":
        return Leave(told=False)
    found = any(one.token == token for one in kept.fences)
    left = moment.without(kept.fences, token)
    return Write(moment.doubt(left, kept.kind), told=found)


def lift(names: Names, tags: SpreadTags, lease: int, token: bytes) -> Steps[Lifted]:
    """
    Bump a fence's tags and take it down, also where it is gone already.

    Where not all could be told, those that were are left out when it is tried again:
    each time would cost what was loaded since.
    """
    decide = partial(_renumber, token=token)
    told = tags.lifted.setdefault(token, set())
    changed = yield from _everywhere(names, tags, lease, decide, told, make=False)
    tags.lifted.pop(token, None)
    missing = sum(not found for found in changed.told.values())
    return Lifted(changed.version, missing)


def bump(names: Names, tags: SpreadTags, lease: int, told: set[int]) -> Steps[bytes]:
    """
    Make everything that depends on one of the tags unservable; give the version.

    Args:
        told: servers that were told by this operation, before one failed: they needn't
            be again, and each time would cost what was loaded since.
    """
    decide = partial(_renumber, token=b"")
    changed = yield from _everywhere(names, tags, lease, decide, told, make=False)
    told.clear()
    return changed.version


def renew(
    names: Names, tags: SpreadTags, lease: int, token: bytes, owner: str
) -> Steps[int]:
    """
    Vouch for a fence for another lease; put it back, with a bump, where it was lost.
    """

    def decide(kept: Kept, moment: Moment) -> Write:
        own = _own(moment, token, owner)
        found = any(one.token == token for one in kept.fences)
        others = moment.without(kept.fences, token)
        if found:
            return Write((*others, own), fresh=False, told=False)
        return Write((*moment.doubt(others, kept.kind), own), told=True)

    changed = yield from _everywhere(names, tags, lease, decide, draw=False)
    return sum(changed.told.values())


def adopt(
    names: Names, tags: SpreadTags, lease: int, token: bytes, grace: int
) -> Steps[list[bool]]:
    """
    Take down a fence that its writer has ceased to vouch for, with a bump.
    """

    def decide(kept: Kept, moment: Moment) -> Write | Leave:
        ends = [one.deadline for one in kept.fences if one.token == token]
        if not ends or ends[0] + grace > moment.now:
            return Leave(told=False)
        return Write(tuple(moment.without(kept.fences, token)), told=True)

    changed = yield from _everywhere(names, tags, lease, decide, make=False, draw=False)
    return [changed.told[place] for place in range(tags.count)]


def note(names: Names) -> Steps[bytes | None]:
    """
    Read the counters of all servers that can be asked, beginning those that aren't there.

    What comes from one that couldn't is taken for newer than the note.
    """
    found = yield from _notes(names, range(names.servers), needed=True)
    return b" ".join(found)


def _notes(names: Names, servers: Any, *, needed: bool = False) -> Steps[list[bytes]]:
    notes: list[bytes] = []
    failed = None
    for place, server in enumerate(servers):
        part = 1 / (len(servers) - place)
        try:
            version = None
            while version is None:
                seen = yield from gets(server, [names.counter], part)
                _, version = yield from counted(names, server, seen)
            notes.append(version)
        except StoreError as error:
            failed = failed or error
    if needed and not notes and failed is not None:
        raise failed
    return notes
