"""
Changing tags on one server: all of them are read, a version is drawn, each is replaced.

What is replaced is what was read, or it isn't, and is read again (`gets` and `cas`). A
version is drawn after its tag was read and before it is written. So nothing that was
written meanwhile is overwritten, and a tag's versions come in the order in which they
were drawn. A tag that isn't there is put there first, without a version, so that there
is something to replace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from yokedcache.stores.answers import BORN
from yokedcache.stores.memcached.layout import (
    Fence,
    Kept,
    first_version,
    next_version,
    pending,
    read_counter,
    read_tag,
    seconds,
    write_tag,
)
from yokedcache.stores.memcached.steps import add, cas, gets, is_young

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.stores.memcached.layout import Names, Share
    from yokedcache.stores.memcached.steps import Seen, Steps

SLACK: Final = 2000
"""
Milliseconds by which processes may differ about a server's clock, which it tells in
whole seconds: so much longer stand the fences that only time ends.
"""


class Write(NamedTuple):
    """
    What becomes of a tag: its fences, whether with a new version, and what is told of it.
    """

    fences: tuple[Fence, ...]
    keep: int = 0
    fresh: bool = True
    told: Any = None


class Leave(NamedTuple):
    """
    Nothing becomes of a tag; and what is told of it.
    """

    told: Any = None


class Moment:
    """
    When tags were read, and what follows from it.
    """

    def __init__(self, now: int, lease: int, *, young: bool) -> None:
        self.now = now
        self.lease = lease
        self._young = young

    def without(self, fences: tuple[Fence, ...], token: bytes = b"") -> list[Fence]:
        """
        Leave out a fence, and the one for lost fences once its time is over.
        """
        return [
            fence
            for fence in fences
            if fence.token != token
            and not (fence.is_born and fence.deadline <= self.now)
        ]

    def doubt(self, fences: list[Fence], kind: str) -> tuple[Fence, ...]:
        """
        Fence a tag whose fences may be lost, for a lease from now on.
        """
        if kind == "ours" or (kind == "pending" and not self._young):
            return tuple(fences)
        born = Fence(BORN, self.now + self.lease + SLACK, b"")
        return (*(fence for fence in fences if not fence.is_born), born)


class Changed:
    """
    What came of a change: the last version drawn, and for each place what was told.
    """

    def __init__(self) -> None:
        self.version = b""
        self.told: dict[int, Any] = {}


class Change:
    """
    A change of a share of some tags.

    Args:
        decide: says what becomes of a tag.
        make: tags that aren't there are made; else they are left alone.
        draw: a version is drawn whatever becomes of the tags.
    """

    def __init__(
        self,
        names: Names,
        share: Share,
        lease: int,
        decide: Callable[[Kept, Moment], Write | Leave],
        *,
        make: bool = True,
        draw: bool = True,
    ) -> None:
        self._names = names
        self._server = share.server
        self._left = dict(zip(share.keys, share.places, strict=True))
        self._lease = lease
        self._decide = decide
        self._make = make
        self._draw = draw
        self._changed = Changed()

    def steps(self, part: float = 1.0) -> Steps[Changed]:
        """
        Change what is left until nothing is.
        """
        while self._left or self._draw:
            seen = yield from gets(
                self._server, [self._names.counter, *self._left], part
            )
            unique, version = yield from counted(self._names, self._server, seen)
            missing = [key for key in self._left if key not in seen.found]
            if version is None:
                continue
            if self._make and missing:
                for key in missing:
                    yield from add(self._server, key, pending(), seconds(self._lease))
                continue
            yield from self._try(seen, unique, version)
        return self._changed

    def _try(self, seen: Seen, unique: Any, version: bytes) -> Steps[None]:
        values = {key: seen.found.get(key, (None, None)) for key in self._left}
        kept = {key: read_tag(value) for key, (value, _) in values.items()}
        young = False
        if any(one.kind == "pending" for one in kept.values()):
            # asked after they were read: what was lost before is counted
            young = yield from is_young(self._server, version[:16], self._lease)
        moment = Moment(seen.now, self._lease, young=young)
        writes = {key: self._decide(one, moment) for key, one in kept.items()}
        drawn = b""
        if self._draw or any(
            isinstance(write, Write) and write.fresh for write in writes.values()
        ):
            drawn = next_version(version)
            text = b"%b,%b" % (drawn, self._names.ring)
            counter = self._names.counter
            if not (yield from cas(self._server, counter, text, unique, 0)):
                return
            self._draw = False
            self._changed.version = drawn
        for key, write in writes.items():
            if isinstance(write, Write):
                value, life = self._written(kept[key], write, drawn, seen.now)
                known = values[key][1]
                if not (yield from cas(self._server, key, value, known, life)):
                    continue
            self._changed.told[self._left.pop(key)] = write.told

    def _written(
        self, kept: Kept, write: Write, drawn: bytes, now: int
    ) -> tuple[bytes, int]:
        """
        Write a tag: for good while a writer's fence is up, else for so long.
        """
        last = max([now, *(fence.deadline for fence in write.fences)])
        until = max(kept.until, last + (write.keep or self._lease))
        value = write_tag(drawn if write.fresh else kept.version, until, write.fences)
        for_good = any(not fence.is_born for fence in write.fences)
        return value, 0 if for_good else seconds(until - now)


def counted(names: Names, server: int, seen: Seen) -> Steps[tuple[Any, bytes | None]]:
    """
    Give a counter as it was read; begin it, and give none, if it wasn't there.

    Raises:
        StoreError: the server is used by others together with other servers.
    """
    value, unique = seen.found.get(names.counter, (None, None))
    known = read_counter(value)
    if known is None:
        text = b"%b,%b" % (first_version(), names.ring)
        if unique is None:
            yield from add(server, names.counter, text, 0)
        else:
            yield from cas(server, names.counter, text, unique, 0)
        return None, None
    version, ring = known
    names.check_ring(ring)
    return unique, version
