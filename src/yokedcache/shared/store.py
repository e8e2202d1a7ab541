"""
The near side of a shared store: what this process has decoded, and its mirror of tags.

What takes asking is written as conversations: generators that yield operations of the
shared store and are sent what came of them. `run` and `run_async` of `runtime.drive`
hold them; the methods that blocking code calls hold them where the caller is.

A shared store that fails makes misses here, and what can't be announced is owed
(`fencing`): the application's query goes on.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from yokedcache.core.tags import holds, unfenced
from yokedcache.errors import StoreError, ValueNotStorableError
from yokedcache.shared.claiming import Claiming
from yokedcache.shared.fencing import Fencing, SharedFence
from yokedcache.shared.hearing import listener
from yokedcache.shared.here import Here
from yokedcache.shared.keys import key_tag, shared_key
from yokedcache.shared.losses import Losses
from yokedcache.shared.mirror import Mirror
from yokedcache.shared.payloads import imprint, pack
from yokedcache.shared.suspects import Suspects
from yokedcache.shared.tagging import MOST, is_shared
from yokedcache.shared.timing import Timing
from yokedcache.stores.answers import Stamp as SharedStamp
from yokedcache.stores.answers import TagState
from yokedcache.stores.contract import Following
from yokedcache.stores.memory import MemoryStore
from yokedcache.stores.versions import MARK, is_next, not_after

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from yokedcache.core.entry import Entry
    from yokedcache.core.tags import Fence, Stamp, Tag, Vector
    from yokedcache.shared.belonging import Belonging
    from yokedcache.shared.journal import Journal
    from yokedcache.shared.server import Server
    from yokedcache.stores.answers import Said
    from yokedcache.stores.silent import Asking


class SharedStore(Here, Claiming):
    """
    Entries and tags that many processes share, as one of them has them.
    """

    name = "shared"
    shares = True
    unproven = 0.0

    def __init__(
        self,
        clock: Callable[[], float],
        server: Server,
        *,
        max_entries: int,
        max_bytes: int,
        refuse: bool = False,
        near: float = 0.0,
        grace: float = 60.0,
        journal: Journal | None = None,
        belonging: Belonging,
        wall: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(clock, max_entries=max_entries, max_bytes=max_bytes)
        self.server = server
        self.everything = server.universal.names
        self.near_for = near
        self.belonging = belonging
        self.suspects = Suspects(server, clock)
        # wrappers serve by themselves what may be given out without asking
        self.plain = self.entries if near else {}
        self.unreadable = 0
        self.missed = {}
        self.losses = Losses()
        self._wall = wall
        self._timing = Timing(clock, wall)
        self._announces = isinstance(server.commands, Following)
        self._listener = listener(server, clock, self._unlearn, near)
        hears = self._listener is not None
        self._mirror = Mirror(
            self.tags, server.commands.tags, server.universal, hears=hears
        )
        self._fencing = Fencing(
            server, self._settled, refuse=refuse, grace=grace, journal=journal
        )

    def use(self, identity: str) -> None:
        """
        Learn that the application uses a database.
        """
        self.belonging.meet(identity)

    # what is stored

    def take(
        self, names: Iterable[str], key: Hashable, *, late: bool = False
    ) -> Asking[Stamp]:
        """
        Take the versions of tags, before what they stand for is read (rule 1).

        Asks only for what isn't known: who knows too old a version stores nothing. If
        it isn't known what will be read, or how that stands (or tags are `late`), the
        shared store's counter is noted, by which tags that turn up later are judged.
        """
        given = tuple(names)
        hinted = self._mirror.hinted(key) and not late
        with self._lock:
            near = self.entries.get(key)
            of_all = self._mirror.universal(key, near, given)
            wanted = tuple(dict.fromkeys((*given, of_all)))
            asked = self._mirror.expected(key, near, wanted)
            stamp = self.tags.stamp(wanted)
            known = hinted and self._mirror.knows(asked)
        if known and not stamp.fenced:
            return stamp
        try:
            found = yield self.server.commands.stamp(asked.tags, noting=not hinted)
        except StoreError:
            return stamp
        with self._lock:
            self._mirror.learn(asked, found)
            stamp = self.tags.stamp(wanted)
        stamp.noted = found.counter
        if stamp.fenced:
            self.losses.meet(found.states)
            yield from self._fencing.adopting(asked.names, found.states, self._wall())
        return stamp

    def keep(
        self,
        key: Hashable,
        entry: Entry,
        guard: Vector = (),
        *,
        late: Iterable[Tag] = (),
        noted: bytes | None = None,
        given: Iterable[str] = (),
    ) -> Asking[str | None]:
        """
        Store an entry if its vector holds unfenced; see `Silent.keep`.
        """
        raw = shared_key(key)
        if raw is None:
            return "unshareable_key"
        refused = _refusal(entry.vector, guard)
        if refused is not None:
            return refused
        entry.vector = self.server.universal.once(key, entry.vector)
        self._mirror.hear(key, entry)
        self._mirror.hint(key, entry, given)
        own = {tag for tag, _ in entry.vector if is_shared(tag.name)}
        undated = {tag for tag in late if tag.shared is None and tag in own}
        if undated:
            refused = yield from self._date(entry, undated, noted)
            if refused is not None:
                return refused
        return (yield from self._store(key, raw, entry, guard))

    def _store(
        self, key: Hashable, raw: bytes, entry: Entry, guard: Vector
    ) -> Asking[str | None]:
        tags = [tag for tag, _ in entry.vector if is_shared(tag.name)]
        versions = {str(tag.name): tag.shared or b"" for tag in tags}
        if b"" in versions.values() or not holds(entry.vector):
            return "changed_meanwhile"
        try:
            payload = pack(entry, self.belonging)
        except ValueNotStorableError as error:
            return "too_large" if "size" in error.facts else "unstorable"
        asked = self._mirror.asked(versions)
        states = [TagState(versions[name]) for name in asked.names]
        of_all = next(n for n in self.server.universal.names if n in versions)
        mark = versions[of_all][:MARK]
        stamp = SharedStamp(asked.tags, states, mark)
        times, life = self._timing.times(entry)
        storing = self.server.commands.store(raw, payload, stamp, times, life=life)
        began = self._clock()
        try:
            refused = yield storing
        except StoreError:
            return "store_unreachable"
        if refused is not None:
            with self._lock:
                self._mirror.doubt(tags)
            return str(refused)
        self.losses.kept()
        entry.proven = storing.sent
        entry.imprint = imprint(payload, times.born)
        self._bring_near(entry, began)
        MemoryStore.put(self, key, entry, guard)  # if it holds here, too
        return None

    def _date(
        self, entry: Entry, late: set[Tag], noted: bytes | None
    ) -> Asking[str | None]:
        """
        Tell whether tags that turned up late haven't changed since the counter was noted.
        """
        asked = self._mirror.asked(str(tag.name) for tag in late)
        try:
            keep = entry.gone_at - entry.born
            found = yield self.server.commands.stamp(
                asked.tags, keep=keep, noting=False
            )
        except StoreError:
            return "store_unreachable"
        held = {tag for tag, version in entry.vector if tag.version == version}
        with self._lock:
            self._mirror.learn(asked, found)
            entry.vector = tuple(
                (tag, tag.version if tag in late & held else version)
                for tag, version in entry.vector
            )
        if noted is None or found.unusable:
            return found.unusable or "changed_meanwhile"
        # who makes a tag draws its number, as whoever changes one does: if that is the
        # only one drawn since, nobody has changed anything
        dated = all(
            not_after(version, noted)
            or (place in found.made and is_next(version, noted))
            for place, version in enumerate(found.vector.versions)
        )
        return None if dated else "changed_meanwhile"

    def _unlearn(self, version: bytes, digests: Iterable[bytes]) -> None:
        with self._lock:
            self._mirror.unlearn(version, digests)

    @property
    def near_by(self) -> str:
        """
        Tell by what answers near by end now.
        """
        if not self.near_for:
            return ""
        heard = self._listener is not None and self._listener.follows
        return "heard" if heard else "age"

    # what is changed

    def fence(
        self,
        names: Iterable[str],
        owner: str = "",
        carry: Callable[[Said], bool] | None = None,
    ) -> Fence:
        """
        Bump tags and fence them, here and for every process.

        If the transaction itself can tell the others, they need no fence.

        Args:
            owner: names the transaction, for others to ask for it if this process dies.
            carry: has the transaction announce something, or tells that it can't.

        Raises:
            StoreError: nobody can be told, and commits are refused then.
        """
        given = tuple(names)
        written = self.server.universal.written
        with self._lock:
            fence = SharedFence(self.tags.fence(given).tags, written(given), owner)
        try:
            if carry is None or not self._fencing.say(fence, self._mirror.mark, carry):
                self._fencing.raise_fence(fence)
        except BaseException:
            MemoryStore.lift(self, fence)
            raise
        self._mirror.mark = fence.mark or self._mirror.mark
        return fence

    def lift(self, fence: Fence) -> None:
        """
        Bump the fence's tags and take it down, for every process and here.

        Where nobody can be told it stays up here until they can.
        """
        if isinstance(fence, SharedFence):
            self._fencing.lift(fence)
        else:  # pragma: no cover - there are no others
            MemoryStore.lift(self, fence)

    def _settled(self, fence: Fence) -> None:
        with self._lock:
            if isinstance(fence, SharedFence) and fence.said:
                # they have versions that nobody has drawn yet
                self._mirror.doubt(tag for tag in fence.tags if tag.shared)
            MemoryStore.lift(self, fence)

    def bumping(self, names: Iterable[str]) -> Asking[None]:
        """
        Make everything that depends on one of the tags unservable, in every process.
        """
        given = tuple(names)
        MemoryStore.bump(self, given)
        shared = self.server.universal.written(given)
        if shared:
            yield from self._fencing.bumping(shared)

    def removing(self, key: Hashable) -> Asking[bool]:
        """
        Drop the entry under a key; tell whether there was one that still held.
        """
        tags = self._mirror.expected(key, self.entries.get(key), ()).tags
        MemoryStore.remove(self, key)
        raw = shared_key(key)
        if raw is None:
            return False
        try:
            dropped = bool((yield self.server.commands.remove(raw, tags)))
        except StoreError:
            return False
        yield from self.replacing(key)
        return dropped

    def replacing(self, key: Hashable) -> Asking[None]:
        """
        Tell those who have the answer of a call near that there is another one, or none.

        Only when that is so: who hears of it asks again.
        """
        name = key_tag(key)
        if name is not None and self._announces:
            yield from self._fencing.bumping((name,))

    def renewing(self, key: Hashable, entry: Entry, ttl: float) -> Asking[bool]:
        """
        Give an entry a new time to live from now, in seconds.
        """
        raw = shared_key(key)
        if raw is None:  # pragma: no cover - it was found under its key
            return False
        tags = self._mirror.expected(key, entry, ()).tags
        times, life = self._timing.renewed(entry, ttl)
        with self._lock:
            self._forget(key)
        extending = self.server.commands.extend(raw, times, life=life, tags=tags)
        try:
            return bool((yield extending))
        except StoreError:
            return False

    def clearing(self) -> Asking[None]:
        """
        Drop all entries, in every process.
        """
        self.clear()
        yield from self._fencing.bumping(self.server.universal.names)

    # what comes and goes with the process

    def close(self) -> None:
        """
        Say what is owed, if that can be done now, and let the connections go.
        """
        if self._listener is not None:
            self._listener.close()
        self._fencing.close()
        self.server.close()

    async def close_async(self) -> None:
        """
        Let go of the connections of the running event loop.
        """
        await self.server.close_async()

    def begin_anew(self) -> None:
        """
        Begin anew in a forked child: connections aren't shared with the parent.
        """
        super().begin_anew()
        self.server.begin_anew()
        self._fencing.begin_anew()
        self._mirror.forget()
        if self._listener is not None:
            self._listener.begin_anew()


def _refusal(vector: Vector, guard: Vector) -> str | None:
    """
    Say why an entry isn't to be kept, as far as this process knows.
    """
    if not unfenced(vector):
        return "commit_in_flight"
    if not holds(guard):
        return "removed_meanwhile"
    if sum(is_shared(tag.name) for tag, _ in vector) > MOST:
        return "too_many_tags"
    return None if holds(vector) else "changed_meanwhile"
