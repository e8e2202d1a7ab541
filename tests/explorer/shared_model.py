"""
A store that keeps the contract of `stores.contract`, and nothing that isn't promised.

Small enough to be looked through, and to lose what a store may lose. Each of its
promises can be broken, to see that it is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from yokedcache.stores.answers import (
    BORN,
    SAME,
    Claim,
    Followed,
    Lifted,
    ListedFence,
    Miss,
    Operation,
    RaisedFence,
    Said,
    Stamp,
    TagSet,
    TagState,
    Vector,
    digest_of,
)
from yokedcache.stores.versions import of_incarnation

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from yokedcache.stores.answers import Times

LEASE: Final = 1.0


class Kept(NamedTuple):
    """
    A tag: its version, and the deadlines of the fences on it by their tokens.
    """

    version: bytes
    fences: dict[bytes, float]


class Found(NamedTuple):
    """
    An entry as it was stored, and as it is found.
    """

    payload: bytes
    times: Times
    vector: Vector


class Deed(Operation[Any]):
    """
    An operation, and what does it.
    """

    __slots__ = ("do",)

    def __init__(self, asked: str, do: Callable[[], Any]) -> None:
        super().__init__(asked)
        self.do = do


class Model:
    """
    What is stored. It makes its operations itself, and does them one at a time.
    """

    def __init__(self, off: str = "") -> None:
        self.off = off
        self.now = 1000.0
        self.life = 0
        self.counter = 0
        self.young_until = 0.0
        """Until when a tag that is made may be one that lost its fences."""
        self.kept: dict[bytes, Kept] = {}
        self.entries: dict[bytes, Found] = {}
        self.claims: dict[bytes, bytes] = {}
        self.said: list[TagSet] = []
        """What commits have said inside themselves, and nobody has folded yet."""
        self.logs = 0
        self.log: list[tuple[bytes, TagSet]] | None = None
        """What was announced, once somebody follows."""

    # what happens to a store

    def evict(self, name: str) -> None:
        """
        Lose a tag, with the fences on it.
        """
        self.kept.pop(digest_of(name), None)
        self.young_until = self.now + LEASE

    def flush(self) -> None:
        """
        Lose everything, as a restart does.
        """
        self.life += self.off != "7-incarnation"
        self.counter = 0
        self.kept.clear()
        self.entries.clear()
        self.claims.clear()
        self.said.clear()
        self.log = None
        self.young_until = self.now + LEASE

    def portrait(self) -> Hashable:
        """
        Draw all of it.
        """
        return (
            (self.now, self.life, self.counter, self.young_until),
            tuple(
                (digest, tag.version, tuple(sorted(tag.fences.items())))
                for digest, tag in sorted(self.kept.items())
            ),
            tuple(
                (key, one.payload, one.vector.digests, tuple(one.vector.versions))
                for key, one in sorted(self.entries.items())
            ),
            tuple(sorted(self.claims.items())),
            tuple(tags.digests for tags in self.said),
            (self.logs, None if self.log is None else len(self.log)),
        )

    # operations

    def tags(self, names: TagSet | Iterable[str]) -> TagSet:
        if isinstance(names, TagSet):
            return names
        return TagSet(b"".join(sorted(set(map(digest_of, names)))))

    def read(self, key: bytes, tags: Any = ()) -> Deed:
        return Deed("read", lambda: self._read(key, self.tags(tags)))

    def question(self, _: Any, tags: Any, found: Found) -> Hashable:
        # the moment when it was made stands for the bytes: no two entries share it
        return (tags, found.times.born, found.payload, tuple(found.vector.versions))

    def again(self, question: Any) -> Deed:
        return Deed("again", lambda: self._again(*question))

    def claim(self, key: bytes, tags: Any, token: bytes) -> Deed:
        return Deed("claim", lambda: self._claim(key, self.tags(tags), token))

    def release(self, key: bytes, token: bytes) -> Deed:
        def released() -> bool:
            mine = self.claims.get(key) == token
            return bool(mine and self.claims.pop(key))

        return Deed("release", released)

    def stamp(self, tags: Any, *, keep: float = 0.0, noting: bool = True) -> Deed:
        return Deed("stamp", lambda: self._stamp(self.tags(tags)))

    def store(
        self, key: bytes, payload: bytes, stamp: Stamp, times: Times, *, life: float
    ) -> Deed:
        del life  # no history lasts so long
        found = Found(payload, times, stamp.vector)
        return Deed("store", lambda: self._store(key, stamp, found))

    def fence(self, tags: Any, token: bytes, owner: str = "") -> Deed:
        return Deed("fence", lambda: self._fence(self.tags(tags), token, owner))

    def lift(self, fence: RaisedFence) -> Deed:
        return Deed("lift", lambda: self._lift(fence))

    def renew(self, fence: RaisedFence) -> Deed:
        return Deed("renew", lambda: self._renew(fence))

    def adopt(self, tags: Any, token: bytes, *, grace: float = 0.0) -> Deed:
        return Deed("adopt", lambda: self._adopt(self.tags(tags), token, grace))

    def bump(self, tags: Any) -> Deed:
        return Deed("bump", lambda: self._bump(self.tags(tags)))

    def note(self) -> Deed:
        return Deed("note", self._number)

    def exists(self, key: bytes, tags: Any = ()) -> Deed:
        found = self._read(key, self.tags(tags))
        return Deed("exists", lambda: isinstance(found, Found))

    def remove(self, key: bytes, tags: Any = ()) -> Deed:
        raise NotImplementedError(key, tags)

    def extend(self, key: bytes, times: Times, *, life: float, tags: Any = ()) -> Deed:
        raise NotImplementedError(key, times, life, tags)

    def say(self, tags: Any, mark: bytes) -> Said:
        # whoever commits takes it to `commit`
        return Said(self.tags(tags).digests.hex(), mark.decode())

    def fold(self) -> Deed:
        return Deed("fold", self._fold)

    def follow(self, position: bytes | None = None) -> Deed:
        return Deed("follow", lambda: self._follow(position))

    # what they do

    def commit(self, said: list[Said]) -> None:
        """
        Let be seen what a transaction has said, in one step with its commit.
        """
        self.said += [TagSet(bytes.fromhex(one.sql)) for one in said]

    def _fold(self) -> int:
        """
        Bump what was said, under a number drawn now, whether anything has it or not.
        """
        told = {digest for tags in self.said for digest in tags.each()}
        self.said.clear()
        known = sorted(told & self.kept.keys())
        if known or (told and self.off != "inside-drawn"):
            version = self._draw()
            for digest in known:
                self.kept[digest] = Kept(version, self._make(digest))
        return len(told)

    def _is_said(self, digest: bytes) -> bool:
        return any(digest in tags.each() for tags in self.said)

    def _announce(self, digests: Iterable[bytes]) -> None:
        if self.log is not None:
            self.log.append((self._number(), TagSet(b"".join(digests))))

    def _follow(self, position: bytes | None) -> Followed:
        log, _, place = (position or b"").partition(b".")
        told = None
        if self.log is None:
            self.logs, self.log = self.logs + 1, []
        elif log == b"%d" % self.logs:
            told = self.log[int(place) :]
        return Followed(b"%d.%d" % (self.logs, len(self.log)), told)

    @property
    def mark(self) -> bytes:
        return b"life%04d" % self.life

    def _number(self) -> bytes:
        return b"%b%b.%d" % (self.mark, b"drawn%03d" % self.life, self.counter)

    def _draw(self) -> bytes:
        self.counter += 1
        return self._number()

    def _states(self, tags: TagSet) -> list[TagState]:
        states = []
        for place in range(tags.count):
            tag = self.kept.get(tags.digest(place))
            heeded = self.off != "inside-look" and self._is_said(tags.digest(place))
            if tag is None or heeded:
                states.append(TagState(None, lost=True))
                continue
            listed = [ListedFence(t, ends, "") for t, ends in tag.fences.items()]
            if self.off == "3":
                listed = []
            states.append(TagState(tag.version, tuple(listed)))
        return states

    def _read(self, key: bytes, tags: TagSet) -> Found | Miss:
        found = self.entries.get(key)
        if found is None:
            return Miss("absent", self._seen(tags))
        own = TagSet(found.vector.digests)
        for state, version in zip(
            self._states(own), found.vector.versions, strict=True
        ):
            if state.version != version:
                return Miss("changed", self._seen(tags))
            if state.fences:
                return Miss("commit_in_flight", self._seen(tags))
        return found

    def _seen(self, tags: TagSet) -> Stamp:
        return Stamp(tags, self._states(tags), self.mark)

    def _again(
        self, tags: TagSet, born: float, payload: bytes, versions: tuple[bytes, ...]
    ) -> Any:
        for key, one in self.entries.items():
            if one.times.born == born and one.payload == payload:
                found = self._read(key, tags)
                same = isinstance(found, Found) and versions == tuple(
                    one.vector.versions
                )
                return SAME if same else found
        return Miss("absent", self._seen(tags))

    def _claim(self, key: bytes, tags: TagSet, token: bytes) -> Claim:
        holder = self.claims.setdefault(key, token)
        return Claim(holder, self._read(key, tags))

    def _make(self, digest: bytes) -> dict[bytes, float]:
        """
        Give the fences of a tag, which may have to be made.
        """
        tag = self.kept.get(digest)
        if tag is not None:
            return {t: e for t, e in tag.fences.items() if t != BORN or e > self.now}
        born = self.now < self.young_until and self.off != "7"
        return {BORN: self.young_until} if born else {}

    def _stamp(self, tags: TagSet) -> Stamp:
        self._fold()
        noted, made = self._number(), set()
        for place in range(tags.count):
            digest = tags.digest(place)
            tag, fences = self.kept.get(digest), self._make(tags.digest(place))
            if tag is None or tag.fences != fences:
                self.kept[digest] = Kept(self._draw(), fences)
            if tag is None:
                made.add(place)
        states = self._states(tags)
        return Stamp(tags, states, self.mark, noted, frozenset(made))

    def _store(self, key: bytes, stamp: Stamp, found: Found) -> str | None:
        if stamp.mark != self.mark:
            return "incarnation"
        if stamp.unusable:
            return stamp.unusable
        states = self._states(stamp.tags)
        for now, version in zip(states, found.vector.versions, strict=True):
            if now.version != version:
                return "changed_meanwhile"
            if now.fences:
                return "commit_in_flight"
        self.entries[key] = found
        return None

    def _fence(self, tags: TagSet, token: bytes, owner: str) -> RaisedFence:
        version = self._draw()
        for digest in map(tags.digest, range(tags.count)):
            fences = {**self._make(digest), token: self.now + LEASE}
            self.kept[digest] = Kept(version, fences)
        self._announce(tags.each())
        return RaisedFence(tags, token, owner, version)

    def _lift(self, fence: RaisedFence) -> Lifted:
        missing = 0
        for digest in map(fence.tags.digest, range(fence.tags.count)):
            tag = self.kept.get(digest)
            missing += tag is None or fence.token not in tag.fences
            if tag is not None:
                left = {t: e for t, e in self._make(digest).items() if t != fence.token}
                bumped = self.off != "2-last-bump"
                self.kept[digest] = Kept(self._draw() if bumped else tag.version, left)
        self._announce(fence.tags.each())
        return Lifted(self._number(), missing)

    def _renew(self, fence: RaisedFence) -> int:
        lost = 0
        for digest in map(fence.tags.digest, range(fence.tags.count)):
            tag, fences = self.kept.get(digest), self._make(digest)
            there = tag is not None and fence.token in tag.fences
            if not there:
                lost += 1
                self._announce([digest])
            fences[fence.token] = self.now + LEASE
            version = tag.version if tag is not None and there else self._draw()
            self.kept[digest] = Kept(version, fences)
        return lost

    def _adopt(self, tags: TagSet, token: bytes, grace: float) -> list[bool]:
        done = []
        for digest in map(tags.digest, range(tags.count)):
            tag = self.kept.get(digest)
            ends = None if tag is None else tag.fences.get(token)
            over = ends is not None and ends + grace <= self.now
            if tag is not None and over:
                left = {t: e for t, e in self._make(digest).items() if t != token}
                bumped = self.off != "4-bump"
                self.kept[digest] = Kept(self._draw() if bumped else tag.version, left)
                self._announce([digest])
            done.append(over)
        return done

    def _bump(self, tags: TagSet) -> bytes:
        for digest in map(tags.digest, range(tags.count)):
            if digest in self.kept:
                self.kept[digest] = Kept(self._draw(), self._make(digest))
        self._announce(tags.each())
        return self._number()

    def flaw(self) -> str | None:
        """
        Name a version that doesn't belong to this life, which no store may give.
        """
        for tag in self.kept.values():
            if not of_incarnation(tag.version, self.mark):
                return f"{tag.version!r} is of another life"
        return None
