"""
Every operation on entries in a Cluster: which parts are asked, and what that means.

Those on tags are in `tagging`. The package says why it is safe that nothing here happens everywhere at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from yokedcache.stores.answers import SAME, Claim
from yokedcache.stores.envelope import unseal
from yokedcache.stores.redis.cluster.parts import (
    Filling,
    asking,
    claiming,
    deleting,
    done,
    holding,
    is_moving,
    measuring,
    reading,
    releasing,
    setting,
    spread,
)
from yokedcache.stores.redis.layout import TAG_BYTES
from yokedcache.stores.redis.operations import GETDEL, Operation, broken
from yokedcache.stores.redis.questions import GETEX
from yokedcache.stores.redis.results import Hit, Miss, Stamp
from yokedcache.stores.redis.wire import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.stores import answers
    from yokedcache.stores.answers import Same
    from yokedcache.stores.envelope import Envelope, Times
    from yokedcache.stores.redis.cluster.layout import ClusterLayout, SpreadTags
    from yokedcache.stores.redis.cluster.parts import Rounds
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


def measure(key: bytes) -> Rounds[int]:
    """
    Tell how many bytes lie under a key.
    """
    size: int = done((yield [measuring(key)])[0])
    return size


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
