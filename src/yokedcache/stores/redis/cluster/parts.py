"""
What an operation asks of one slot each, and what a node answers.

A part is an operation on one connection, as all of them are on a single server; a plan
(`plans`, `tagging`) yields lists of parts and is sent, for each, its result or its `StoreError`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from yokedcache.errors import StoreError
from yokedcache.stores.envelope import seal
from yokedcache.stores.redis.changes import Scope
from yokedcache.stores.redis.claims import release
from yokedcache.stores.redis.cluster.layout import SpreadTags, slot_of
from yokedcache.stores.redis.layout import TagSet, of_incarnation
from yokedcache.stores.redis.log import follow
from yokedcache.stores.redis.lua import run_script
from yokedcache.stores.redis.operations import Operation, measure, own_counter
from yokedcache.stores.redis.questions import GETEX
from yokedcache.stores.redis.wire import (
    ASK,
    TRY_AGAIN,
    WRONG_TYPE,
    Refusal,
    Request,
    bulk,
    command,
    fine,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable

    from yokedcache.stores.addresses import Address
    from yokedcache.stores.envelope import Times, Vector
    from yokedcache.stores.redis.cluster.layout import Island, Share
    from yokedcache.stores.redis.incarnation import Link
    from yokedcache.stores.redis.wire import Steps

    T = TypeVar("T")
    Rounds = Generator[list["Part"], list[Any], T]

_MOVING: Final = frozenset({ASK, TRY_AGAIN})
_ASKING: Final = command(b"ASKING")


class Part:
    """
    An operation on one slot; at an address if another node than its owner has the keys.
    """

    __slots__ = ("address", "operation", "slot")

    def __init__(
        self, slot: int, operation: Operation[Any], address: Address | None = None
    ) -> None:
        self.slot = slot
        self.operation = operation
        self.address = address


def part(
    asked: str,
    slot: int,
    steps: Callable[[Link], Steps[Any]],
    *,
    late: bool = False,
    same: Hashable = None,
) -> Part:
    """
    Make a part.
    """
    return Part(slot, Operation(asked, steps, late=late, same=same))


def done(result: Any) -> Any:
    """
    Return a result that is none of failure.
    """
    if isinstance(result, StoreError):
        # another one: whoever has the result would have all that this was raised in
        raise StoreError(result.message, **result.facts) from result.__cause__
    return result


def is_moving(result: Any) -> bool:
    """
    Tell whether a part failed because the keys of its slot are travelling.
    """
    return isinstance(result, StoreError) and result.facts.get("refusal") in _MOVING


def _unless_away(answer: Any) -> Any:
    """
    Take what has to be asked for elsewhere as not there.
    """
    if isinstance(answer, Refusal) and answer.code == ASK:
        return None
    return answer


# entries


def reading(key: bytes, first: bytes, asked: str, *, shared: bool) -> Part:
    """
    Make the part that reads an entry: what is there, and the mark of who says so.
    """
    return part(
        asked,
        slot_of(key),
        partial(_read_entry, first + bulk(key)),
        late=True,
        same=key if shared else None,
    )


def _read_entry(packed: bytes, link: Link) -> Steps[tuple[Any, bytes]]:
    (answer,) = yield Request(packed)
    data = _unless_away(answer)
    if not (isinstance(data, Refusal) and data.code == WRONG_TYPE):
        fine(data)
    return data, link.server.mark


def deleting(key: bytes, asked: str) -> Part:
    """
    Make the part that drops a key, whatever it is.
    """
    return part(asked, slot_of(key), partial(_delete, key), late=True)


def _delete(key: bytes, link: Link) -> Steps[None]:  # noqa: ARG001
    fine((yield Request(command(b"DEL", key)))[0])


def measuring(key: bytes) -> Part:
    """
    Make the part that tells how large something is.
    """
    return part("measure", slot_of(key), partial(measure, key), late=True)


class Filling:
    """
    What an entry is to have, under which versions, and how many milliseconds it lives.
    """

    __slots__ = ("life", "payload", "times", "vector")

    def __init__(self, payload: bytes, vector: Vector, times: Times, life: int) -> None:
        self.payload = payload
        self.vector = vector
        self.times = times
        self.life = life


def setting(key: bytes, filling: Filling) -> Part:
    """
    Make the part that puts an entry.
    """
    return part("store", slot_of(key), partial(_set, key, filling))


def _set(key: bytes, filling: Filling, link: Link) -> Steps[None]:
    data = seal(
        filling.payload,
        mark=link.server.mark,
        vector=filling.vector,
        times=filling.times,
    )
    words = (b"SET", key, data, b"PX", b"%d" % filling.life)
    fine((yield Request(command(*words)))[0])


def claiming(claimed: bytes, token: bytes, life: int) -> Part:
    """
    Make the part that claims a load unless somebody has: who has it then.
    """
    packed = command(b"SET", claimed, token, b"NX", b"PX", b"%d" % life)
    request = packed + command(b"GET", claimed)
    return part("claim", slot_of(claimed), partial(_claim, request), late=True)


def _claim(packed: bytes, link: Link) -> Steps[bytes | None]:  # noqa: ARG001
    _, holder = yield Request(packed, 2)
    if isinstance(holder, Refusal) and holder.code == WRONG_TYPE:
        return None
    found: bytes | None = fine(_unless_away(holder))
    return found


def releasing(claimed: bytes, token: bytes) -> Part:
    """
    Make the part that gives a claim up.
    """
    return part(
        "release", slot_of(claimed), partial(release, claimed, token), late=True
    )


# tags


def asking(tags: SpreadTags, asked: str, *, shared: bool) -> list[Part]:
    """
    Make the parts that read tags, one for each share of them.
    """
    return [
        part(
            asked,
            share.island.slot,
            partial(_read_tags, share),
            late=True,
            same=share.tags.digests if shared else None,
        )
        for share in tags.shares
    ]


def _read_tags(share: Share, link: Link) -> Steps[list[bytes | None]]:
    packed = b"".join(GETEX + key for key in share.asked_each)
    answers = yield Request(packed, share.tags.count)
    return [_own(answer, link.server.mark) for answer in answers]


def _own(answer: Any, mark: bytes) -> bytes | None:
    """
    Give what a tag's key has if it is of the node's present life, else nothing.
    """
    answer = _unless_away(answer)
    if isinstance(answer, Refusal) and answer.code == WRONG_TYPE:
        return b""
    value: bytes | None = fine(answer)
    return value if value is not None and of_incarnation(value, mark) else None


def spread(tags: SpreadTags, answers: list[list[Any]]) -> list[Any]:
    """
    Put what was said of each share in the order of the tags.
    """
    values: list[Any] = [None] * tags.count
    for share, answer in zip(tags.shares, answers, strict=True):
        for place, value in zip(share.places, answer, strict=True):
            values[place] = value
    return values


def holding(tags: SpreadTags, vector: Vector, life: int) -> list[Part]:
    """
    Make the parts that say whether tags still stand, and let them live on.
    """
    return [
        part(
            "store",
            share.island.slot,
            partial(
                _hold, share, [vector.versions[place] for place in share.places], life
            ),
        )
        for share in tags.shares
    ]


def _hold(
    share: Share, versions: list[bytes], life: int, link: Link
) -> Steps[str | None]:
    mark = link.server.mark
    if not all(of_incarnation(version, mark) for version in versions):
        return "incarnation"
    words = [b"%d" % life, *versions]
    place = yield from run_script("hold", share.tags.keys, words)
    if place == 0:
        return None
    return "commit_in_flight" if place < 0 else "changed_meanwhile"


def changing(
    share: Share, asked: str, lease: int, make: Callable[[Scope, Link], Steps[Any]]
) -> Part:
    """
    Make the part that does to a share of the tags what is done on a single server.
    """
    scope = Scope(share.island.counter, share.island.log, share.tags, lease)
    return part(asked, share.island.slot, partial(make, scope))


def following(island: Island, place: bytes | None, lease: int) -> Part:
    """
    Make the part that follows what is announced on an island.
    """
    scope = Scope(island.counter, island.log, TagSet(b"", ()), lease)
    steps = partial(follow, scope, place)
    return part("follow", island.slot, steps, late=place is not None)


def counting(island: Island, asked: str) -> Part:
    """
    Make the part that reads an island's counter.
    """
    steps = partial(_count, GETEX + bulk(island.counter))
    return part(asked, island.slot, steps, late=True)


def _count(packed: bytes, link: Link) -> Steps[bytes | None]:
    (answer,) = yield Request(packed)
    return own_counter(_unless_away(answer), link)


def dropping(key: bytes, slot: int, asked: str, address: Address | None) -> Part:
    """
    Make the part that drops a tag's key; at the node to which its slot is moving.
    """
    if address is None:
        return part(asked, slot, partial(_delete, key), late=True)
    return Part(slot, Operation(asked, partial(_delete_there, key)), address)


def _delete_there(key: bytes, link: Link) -> Steps[None]:  # noqa: ARG001
    leave, answer = yield Request(_ASKING + command(b"DEL", key), 2)
    fine(leave)
    fine(answer)
