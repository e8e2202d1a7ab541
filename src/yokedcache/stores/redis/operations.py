"""
Every operation of the store, written once: what is sent, and what the answers mean.

An operation yields requests and is sent their answers; a driver (`sync`, `aio`) does
the waiting, on one connection from beginning to end. Nothing here does I/O.

**Why the order of a look-up is safe.** The entry is read first, its tags in the same
go or later. An entry is only stored while its tags stand as its vector says, unfenced,
and no version is given twice. So a tag that stands like that after the entry was read
has stood like that ever since it was stored: no fence was raised in between, since
raising one bumps. If that is so of every tag, whenever each was read, then all of them
held at the moment when the entry was read; the answer is right at that moment, which
is after the look-up began. That holds for tags that lie on other servers too.

Entries are read by GETEX, which changes nothing but counts as a write: a server that was
made a replica refuses it, where a plain GET would go on to answer from data that lags.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from yokedcache.stores import answers
from yokedcache.stores.envelope import seal, unseal
from yokedcache.stores.redis.layout import (
    TAG_BYTES,
    read_counter,
    read_tag,
)
from yokedcache.stores.redis.lua import run_script
from yokedcache.stores.redis.questions import GETEX, ask_tags
from yokedcache.stores.redis.results import Hit, Miss, Stamp
from yokedcache.stores.redis.wire import (
    ASK,
    WRONG_TYPE,
    Refusal,
    Request,
    bulk,
    command,
    fine,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from yokedcache.stores.envelope import Envelope, Times, Vector
    from yokedcache.stores.redis.incarnation import Link
    from yokedcache.stores.redis.layout import Layout, TagSet
    from yokedcache.stores.redis.questions import Question
    from yokedcache.stores.redis.wire import Steps

R_co = TypeVar("R_co", covariant=True)
GETDEL = b"*2\r\n$6\r\nGETDEL\r\n"


class Lookup:
    """
    What a look-up reads: an entry's key, and the tags that it is expected to have.
    """

    __slots__ = ("asked", "key", "tags")

    def __init__(self, key: bytes, tags: TagSet) -> None:
        self.key = key
        self.tags = tags
        self.asked = bulk(key)


class Operation(answers.Operation[R_co]):
    """
    An operation whose result is an `R_co`, still to be done.

    Of a `late` one the first request is the same whatever the server's incarnation. One
    that begins with a plain look-up says so in `look`.
    """

    __slots__ = ("late", "look", "steps")

    def __init__(
        self,
        asked: str,
        steps: Callable[[Link], Steps[R_co]],
        *,
        late: bool = False,
        same: Hashable = None,
        look: Lookup | Question | None = None,
    ) -> None:
        # in one frame, as one is made for each look-up
        self.asked = asked
        self.same = same
        self.at = self.sent = self.until = 0.0
        self.steps = steps
        self.late = late
        self.look = look


def look(
    layout: Layout, key: bytes, tags: TagSet, link: Link, *, first: bytes = GETEX
) -> Steps[Hit | Miss]:
    """
    Look an entry up, with the tags that it is expected to have.
    """
    packed = first + bulk(key)
    if tags.count:
        data, values = yield Request(packed + ask_tags(tags), 2)
        fine(values)
    else:
        (data,) = yield Request(packed)
        values = []
    return (yield from judge_read(layout, data, tags, values, link))


def look_again(
    layout: Layout, question: Question, link: Link
) -> Steps[answers.Same | Hit | Miss]:
    """
    Look an entry up that was seen before.
    """
    data, values = yield Request(question.packed, 2)
    if question.answered(data, values, link.server.mark):
        return answers.SAME
    return (yield from judge_read(layout, data, question.tags, fine(values), link))


def judge_read(
    layout: Layout, data: Any, tags: TagSet, values: list[bytes | None], link: Link
) -> Steps[Hit | Miss]:
    """
    Judge what lies under an entry's key by its tags.
    """
    mark = link.server.mark
    found = "absent" if data is None else unseal(_unless_foreign(data))
    if isinstance(found, str):
        return Miss(found, Stamp(tags, values, mark))
    versions = found.versions(mark)
    if versions is None:
        return Miss("incarnation", Stamp(tags, values, mark))
    if found.digests == tags.digests:
        standing = values
    else:
        standing = yield from _others(layout, found, tags, values)
    if versions == standing:
        return Hit(found, versions)
    return Miss(broken(versions, standing), Stamp(tags, values, mark))


def _unless_foreign(data: Any) -> Any:
    if isinstance(data, Refusal) and data.code == WRONG_TYPE:
        return None
    return fine(data)


def _others(
    layout: Layout, found: Envelope, tags: TagSet, values: list[bytes | None]
) -> Steps[list[bytes | None]]:
    """
    Give the values of an entry's tags: those read already, and the others.
    """
    known = {tags.digest(place): values[place] for place in range(tags.count)}
    digests = found.each_digest()
    missing = [digest for digest in digests if digest not in known]
    if missing:
        (answer,) = yield Request(ask_tags(layout.tags_of(missing)))
        known.update(zip(missing, fine(answer), strict=True))
    return [known[digest] for digest in digests]


def broken(versions: list[bytes], standing: list[bytes | None]) -> str:
    """
    Say what became of the first tag that doesn't stand as an entry says.
    """
    for version, value in zip(versions, standing, strict=True):
        if value != version:
            state = read_tag(value)
            if state.version is None:
                return "tag_lost" if state.lost else "tag_unknown"
            return "commit_in_flight" if state.fences else "changed"
    return "changed"


def exists(layout: Layout, key: bytes, tags: TagSet, link: Link) -> Steps[bool]:
    """
    Tell whether there is an entry that holds.
    """
    found = yield from look(layout, key, tags, link)
    return isinstance(found, Hit)


def remove(layout: Layout, key: bytes, tags: TagSet, link: Link) -> Steps[bool]:
    """
    Drop an entry; tell whether there was one that held.
    """
    found = yield from look(layout, key, tags, link, first=GETDEL)
    if isinstance(found, Miss) and found.reason == "foreign":
        # something that isn't text is still there
        fine((yield Request(command(b"DEL", key)))[0])
    return isinstance(found, Hit)


def measure(key: bytes, _: Link) -> Steps[int]:
    """
    Tell how many bytes lie under a key, if it is text and it is here.
    """
    (size,) = yield Request(command(b"STRLEN", key))
    if isinstance(size, Refusal) and size.code in (WRONG_TYPE, ASK):
        return 0
    return int(fine(size))


def extend(
    layout: Layout, key: bytes, tags: TagSet, link: Link, *, times: Times, life: int
) -> Steps[bool]:
    """
    Give an entry that holds new times, and milliseconds to live.
    """
    found = yield from look(layout, key, tags, link)
    if isinstance(found, Miss):
        return False
    vector, mark = found.vector, link.server.mark
    ends = range(0, len(vector.digests), TAG_BYTES)
    own = layout.tags_of(vector.digests[end : end + TAG_BYTES] for end in ends)
    data = seal(bytes(found.payload), mark=mark, vector=vector, times=times)
    refused = yield from _put(key, own, vector, data, life)
    return refused is None


def store(
    key: bytes,
    tags: TagSet,
    payload: bytes,
    stamp: answers.Stamp,
    link: Link,
    *,
    times: Times,
    life: int,
) -> Steps[str | None]:
    """
    Store an entry if its stamp still holds, unfenced; else say why it was not.
    """
    mark = link.server.mark
    if stamp.mark != mark:
        return "incarnation"
    if (flaw := stamp.unusable) is not None:
        return flaw
    vector = stamp.vector
    data = seal(payload, mark=mark, vector=vector, times=times)
    return (yield from _put(key, tags, vector, data, life))


def _put(
    key: bytes, tags: TagSet, vector: Vector, data: bytes, life: int
) -> Steps[str | None]:
    words = [b"%d" % life, data, *vector.versions]
    place = yield from run_script("store", [key, *tags.keys], words)
    if place == 0:
        return None
    return "commit_in_flight" if place < 0 else "changed_meanwhile"


def note(layout: Layout, link: Link) -> Steps[bytes | None]:
    """
    Read the counter, for a snapshot (rule 6); `None` if nothing can be compared with it.
    """
    (answer,) = yield Request(GETEX + bulk(layout.counter))
    return own_counter(answer, link)


def own_counter(answer: Any, link: Link) -> bytes | None:
    """
    Return the version that a counter of this incarnation stands at.
    """
    if isinstance(answer, Refusal) and answer.code == WRONG_TYPE:
        return None
    version = read_counter(fine(answer))
    ours = version is not None and version.startswith(link.server.mark)
    return version if ours else None
