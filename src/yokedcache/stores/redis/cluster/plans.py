"""
Every operation in a Cluster, written once: which parts are asked, and what that means.

The package says why it is safe that nothing here happens everywhere at once.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from yokedcache.stores.answers import SAME, Claim
from yokedcache.stores.redis import changes
from yokedcache.stores.redis.cluster.layout import Share
from yokedcache.stores.redis.cluster.parts import (
    Filling,
    asking,
    changing,
    claiming,
    counting,
    deleting,
    done,
    dropping,
    holding,
    is_moving,
    reading,
    releasing,
    setting,
    spread,
)
from yokedcache.stores.redis.envelope import unseal
from yokedcache.stores.redis.layout import TAG_BYTES, TagSet
from yokedcache.stores.redis.operations import GETDEL, Operation, broken
from yokedcache.stores.redis.questions import GETEX
from yokedcache.stores.redis.results import Hit, Lifted, Miss, RaisedFence, Stamp
from yokedcache.stores.redis.wire import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.stores import answers
    from yokedcache.stores.answers import Same
    from yokedcache.stores.redis.cluster.layout import ClusterLayout, SpreadTags
    from yokedcache.stores.redis.cluster.parts import Part, Rounds
    from yokedcache.stores.redis.envelope import Envelope, Times
    from yokedcache.stores.redis.incarnation import Link
    from yokedcache.stores.redis.questions import Question
    from yokedcache.stores.redis.wire import Steps

R = TypeVar("R")
ANY = b""
"""The mark of a stamp whose tags were looked at one by one: by each node that has them."""


class Plan(Operation[R]):
    """
    An operation over several nodes, whose result is an `R`.
    """

    __slots__ = ("key", "rounds")

    def __init__(
        self,
        asked: str,
        rounds: Callable[[], Rounds[R]],
        *,
        key: bytes | None = None,
    ) -> None:
        super().__init__(asked, _on_one_connection)
        self.rounds = rounds
        self.key = key
        """The key of the entry that a look-up looks for."""


def _on_one_connection(link: Link) -> Steps[Any]:
    raise NotImplementedError(link)  # pragma: no cover - there is no such connection


def look(
    layout: ClusterLayout,
    key: bytes,
    tags: SpreadTags,
    *,
    first: bytes = GETEX,
    asked: str = "read",
) -> Rounds[Hit | Miss]:
    """
    Look an entry up, with the tags that it is expected to have.
    """
    shared = first == GETEX
    parts = [
        reading(key, first, asked, shared=shared),
        *asking(tags, asked, shared=shared),
    ]
    entry, *answers = map(done, (yield parts))
    return (yield from _judged(layout, entry, tags, spread(tags, answers)))


def _judged(
    layout: ClusterLayout,
    entry: tuple[Any, bytes],
    tags: SpreadTags,
    values: list[bytes | None],
) -> Rounds[Hit | Miss]:
    data, mark = entry
    stamp = Stamp(tags, values, ANY)
    found = "absent" if data is None else unseal(_unless_refused(data))
    if isinstance(found, str):
        return Miss(found, stamp)
    # of other tags than some, a version counts by the mark of whoever says it
    versions = found.versions(ANY if found.size else mark)
    if versions is None:
        return Miss("incarnation", stamp)
    standing = values
    if found.digests != tags.digests:
        standing = yield from _others(layout, found, tags, values)
    if versions == standing:
        return Hit(found, versions)
    return Miss(broken(versions, standing), stamp)


def _unless_refused(data: Any) -> Any:
    return None if isinstance(data, Refusal) else data


def _others(
    layout: ClusterLayout, found: Envelope, tags: SpreadTags, values: list[bytes | None]
) -> Rounds[list[bytes | None]]:
    """
    Give the values of an entry's tags: those read already, and the others.
    """
    known = {tags.digest(place): values[place] for place in range(tags.count)}
    digests = found.each_digest()
    missing = [digest for digest in digests if digest not in known]
    if missing:
        others = layout.tags_of(missing)
        answers = map(done, (yield asking(others, "read", shared=True)))
        known.update(zip(missing, spread(others, list(answers)), strict=True))
    return [known[digest] for digest in digests]


def look_again(
    layout: ClusterLayout, question: Question, tags: SpreadTags
) -> Rounds[Same | Hit | Miss]:
    """
    Look an entry up that was seen before.
    """
    parts = [
        reading(question.key, GETEX, "read", shared=True),
        *asking(tags, "read", shared=True),
    ]
    entry, *answers = map(done, (yield parts))
    values = spread(tags, answers)
    if question.stands(entry[0], values):
        return SAME
    return (yield from _judged(layout, entry, tags, values))


def exists(layout: ClusterLayout, key: bytes, tags: SpreadTags) -> Rounds[bool]:
    """
    Tell whether there is an entry that holds.
    """
    found = yield from look(layout, key, tags)
    return isinstance(found, Hit)


def remove(layout: ClusterLayout, key: bytes, tags: SpreadTags) -> Rounds[bool]:
    """
    Drop an entry; tell whether there was one that held.
    """
    found = yield from look(layout, key, tags, first=GETDEL, asked="remove")
    if isinstance(found, Miss) and found.reason == "foreign":
        # something that isn't text is still there
        done((yield [deleting(key, "remove")])[0])
    return isinstance(found, Hit)


def extend(
    layout: ClusterLayout, key: bytes, tags: SpreadTags, *, times: Times, life: int
) -> Rounds[bool]:
    """
    Give an entry that holds new times, and milliseconds to live.
    """
    found = yield from look(layout, key, tags, asked="extend")
    if isinstance(found, Miss):
        return False
    vector = found.vector
    ends = range(0, len(vector.digests), TAG_BYTES)
    own = layout.tags_of(vector.digests[end : end + TAG_BYTES] for end in ends)
    filling = Filling(bytes(found.payload), vector, times, life)
    refused = yield from _put(key, own, filling)
    return refused is None


def store(
    key: bytes,
    tags: SpreadTags,
    payload: bytes,
    stamp: answers.Stamp,
    *,
    times: Times,
    life: int,
) -> Rounds[str | None]:
    """
    Store an entry if its stamp still holds, unfenced; else say why it was not.
    """
    if (flaw := stamp.unusable) is not None:
        return flaw
    filling = Filling(payload, stamp.vector, times, life)
    return (yield from _put(key, tags, filling))


def _put(key: bytes, tags: SpreadTags, filling: Filling) -> Rounds[str | None]:
    refused = yield holding(tags, filling.vector, filling.life)
    if not any(refused):
        refused = yield [setting(key, filling)]
    for reason in refused:
        if is_moving(reason):
            return "changed_meanwhile"
        if done(reason) is not None:
            return str(reason)
    return None


def claim(
    layout: ClusterLayout,
    told: tuple[bytes, bytes, int],
    key: bytes,
    tags: SpreadTags,
) -> Rounds[Claim]:
    """
    Claim a load unless somebody has, and look then whether it was done meanwhile.

    Nobody can have it while its slot is on the move.
    """
    (holder,) = yield [claiming(*told)]
    found = yield from look(layout, key, tags, asked="claim")
    return Claim(None if is_moving(holder) else done(holder), found)


def release(claimed: bytes, token: bytes) -> Rounds[bool]:
    """
    Give a claim up; tell whether it was still held.
    """
    (held,) = yield [releasing(claimed, token)]
    return not is_moving(held) and bool(done(held))


# tags


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
    if keys:
        yield from _drop(keys, asked)
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


def adopt(tags: SpreadTags, lease: int, token: bytes, grace: int) -> Rounds[list[bool]]:
    """
    Take down a fence that nobody vouches for any more; tell for each tag whether it was.
    """

    def make(scope: changes.Scope, link: Link) -> Steps[list[bool]]:
        return changes.adopt(scope, token, grace, link)

    results = yield from _change(tags, "adopt", lease, make)
    return spread(tags, list(map(done, results)))
