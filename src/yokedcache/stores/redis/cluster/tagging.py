"""
Every operation on tags in a Cluster: stamps for loads, fences and bumps for commits.

The package says why it is safe that nothing here happens everywhere at once.
"""

from __future__ import annotations

from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Any

from yokedcache.errors import StoreError
from yokedcache.stores.answers import Followed
from yokedcache.stores.redis import changes
from yokedcache.stores.redis.cluster.layout import Share
from yokedcache.stores.redis.cluster.parts import (
    asking,
    changing,
    counting,
    done,
    dropping,
    following,
    is_moving,
    spread,
)
from yokedcache.stores.redis.cluster.plans import ANY
from yokedcache.stores.redis.layout import TagSet
from yokedcache.stores.redis.results import Lifted, RaisedFence, Stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from yokedcache.stores.redis.cluster.layout import ClusterLayout, SpreadTags
    from yokedcache.stores.redis.cluster.parts import Part, Rounds
    from yokedcache.stores.redis.incarnation import Link
    from yokedcache.stores.redis.wire import Steps


def stamp(
    layout: ClusterLayout, tags: SpreadTags, keep: int, lease: int, *, noting: bool
) -> Rounds[Stamp]:
    """
    Take the versions of tags and a note; tags that aren't there are made.
    """
    counters = [counting(island, "stamp") for island in layout.islands]
    answers = yield [*asking(tags, "stamp", shared=False), *(counters * noting)]
    noted = answers[len(tags.shares) :]
    values = spread(tags, list(map(done, answers[: len(tags.shares)])))
    taken = Stamp(tags, values, ANY)
    made = frozenset(at for at, value in enumerate(values) if value is None)
    new = [share for share in tags.shares if _is_incomplete(share, taken)]
    opened = [_opening(share, keep, lease) for share in new]
    begun = _beginning(layout, noted, lease)
    answers = (yield [*opened, *begun]) if opened or begun else []
    for share, answer in zip(new, answers, strict=False):
        if not is_moving(answer):
            for place, value in zip(share.places, done(answer), strict=True):
                values[place] = value
    said = [*noted, *answers[len(new) :]]
    note = b" ".join(one for one in said if isinstance(one, bytes))
    return Stamp(tags, values, ANY, note or None, made if new else frozenset())


def _is_incomplete(share: Share, taken: Stamp) -> bool:
    own = Stamp(share.tags, [taken.values[place] for place in share.places], ANY)
    return own.incomplete


def _opening(share: Share, keep: int, lease: int) -> Part:
    run = partial(_run, "open", b"%d" % keep)
    return changing(share, "stamp", lease, run)


def _run(name: str, word: bytes, scope: changes.Scope, link: Link) -> Steps[Any]:
    return scope.run(name, link, word)


def _beginning(layout: ClusterLayout, noted: list[Any], lease: int) -> list[Part]:
    """
    Make the parts that begin the counters that aren't there.
    """
    return [
        changing(Share(island, [], TagSet(b"", ())), "stamp", lease, changes.bump)
        for island, one in zip(layout.islands, noted, strict=False)
        if one is None
    ]


def note(layout: ClusterLayout) -> Rounds[bytes | None]:
    """
    Note all counters, for a snapshot (rule 6); `None` if there is nothing to compare.
    """
    answers = yield [counting(island, "note") for island in layout.islands]
    return b" ".join(one for one in map(done, answers) if one is not None) or None


def _change(
    tags: SpreadTags,
    asked: str,
    lease: int,
    make: Callable[[changes.Scope, Link], Steps[Any]],
) -> Rounds[list[Any]]:
    """
    Do the same to every share of some tags; all are tried before one that failed says so.
    """
    parts = [changing(share, asked, lease, make) for share in tags.shares]
    return (yield parts) if parts else []


def _announce(
    tags: SpreadTags,
    asked: str,
    lease: int,
    make: Callable[[changes.Scope, Link], Steps[Any]],
) -> Rounds[list[Any]]:
    """
    The same for what has to be said; where keys are travelling their tags are dropped.
    """
    results = yield from _change(tags, asked, lease, make)
    keys = [
        (share.island.slot, key)
        for share, result in zip(tags.shares, results, strict=True)
        if is_moving(result)
        for key in share.tags.keys
    ]
    logs = [
        (share.island.slot, share.island.log)
        for share, result in zip(tags.shares, results, strict=True)
        if is_moving(result)
    ]
    if keys:
        yield from _drop(keys, asked)
        # after them: who begins to follow in between hears of none of this
        yield from _drop(logs, asked)
    return [None if is_moving(result) else done(result) for result in results]


def _drop(keys: list[tuple[int, bytes]], asked: str) -> Rounds[None]:
    answers = yield [dropping(key, slot, asked, None) for slot, key in keys]
    there = [
        dropping(key, slot, asked, (answer.__cause__.host, answer.__cause__.port))
        for (slot, key), answer in zip(keys, answers, strict=True)
        if is_moving(answer)
    ]
    if there:
        for answer in (yield there):
            done(answer)
    for answer in answers:
        if not is_moving(answer):
            done(answer)


def bump(tags: SpreadTags, lease: int) -> Rounds[bytes]:
    """
    Make everything that depends on one of the tags unservable; give a note of that.
    """
    said = yield from _announce(tags, "bump", lease, changes.bump)
    return b" ".join(version for version in said if version is not None)


def fence(
    tags: SpreadTags, lease: int, token: bytes, owner: str
) -> Rounds[RaisedFence]:
    """
    Bump tags and fence them: a commit is about to be sent.
    """

    def make(scope: changes.Scope, link: Link) -> Steps[RaisedFence]:
        return changes.fence(scope, token, owner, link)

    said = yield from _announce(tags, "fence", lease, make)
    note = b" ".join(raised.version for raised in said if raised is not None)
    return RaisedFence(tags, token, owner, note)


def lift(tags: SpreadTags, lease: int, token: bytes) -> Rounds[Lifted]:
    """
    Bump a fence's tags and take it down; tags whose fence was lost are bumped too.
    """

    def make(scope: changes.Scope, link: Link) -> Steps[Lifted]:
        return changes.lift(scope, token, link)

    said = yield from _announce(tags, "lift", lease, make)
    lifted = [
        Lifted(b"", share.tags.count) if one is None else one
        for share, one in zip(tags.shares, said, strict=True)
    ]
    note = b" ".join(one.version for one in lifted if one.version)
    return Lifted(note, sum(one.missing for one in lifted))


def renew(tags: SpreadTags, lease: int, token: bytes, owner: str) -> Rounds[int]:
    """
    Vouch for a fence for another lease; tell on how many tags it was lost meanwhile.
    """

    def make(scope: changes.Scope, link: Link) -> Steps[int]:
        return changes.renew(scope, token, owner, link)

    results = yield from _change(tags, "renew", lease, make)
    return sum(map(done, results))


def follow(
    layout: ClusterLayout, position: bytes | None, lease: int
) -> Rounds[Followed]:
    """
    Give what was announced on all islands since a position, or a new one.

    A position is one of each island, with blanks between them. Where some nodes don't
    answer nothing can be said, though the others are asked as ever.
    """
    islands = layout.islands
    places: Iterable[bytes | None] = repeat(None)
    if position is not None:
        places = position.split(b" ")
    results = yield [
        following(island, place, lease)
        for island, place in zip(islands, places, strict=False)
    ]
    failed = [result for result in results if isinstance(result, StoreError)]
    if failed:
        partly = len(failed) < len(results)
        raise StoreError(failed[0].message, **{**failed[0].facts, "partly": partly})
    position = b" ".join(result.position for result in results)
    if any(result.told is None for result in results):
        return Followed(position, None)
    return Followed(position, [one for result in results for one in result.told])


def adopt(tags: SpreadTags, lease: int, token: bytes, grace: int) -> Rounds[list[bool]]:
    """
    Take down a fence that nobody vouches for any more; tell for each tag whether it was.
    """

    def make(scope: changes.Scope, link: Link) -> Steps[list[bool]]:
        return changes.adopt(scope, token, grace, link)

    results = yield from _change(tags, "adopt", lease, make)
    return spread(tags, list(map(done, results)))
