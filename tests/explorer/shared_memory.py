"""
What the explored store remembers, and how it loses that.

Tags, their fences and the counter are as those of a server of Redis' kind
(`stores/redis/scripts/common.lua`), so that the two can be asked the same
(`test_shared_model`). Nothing ends with its time to live: no history lasts so long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from yokedcache.stores.answers import BORN, TagSet, digest_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from yokedcache.stores.answers import Times, Vector

LEASE: Final = 1.0


class Standing(NamedTuple):
    """
    A fence: until when it is vouched for, and whose it is.
    """

    ends: float
    owner: str = ""


Fences = dict[bytes, Standing]


class Kept(NamedTuple):
    """
    A tag: its version, and the fences on it by their tokens.
    """

    version: bytes
    fences: Fences


class Counter(NamedTuple):
    """
    What versions are drawn from, and when it began.
    """

    origin: bytes
    number: int
    birth: float

    @property
    def version(self) -> bytes:
        """
        The last one that was drawn.
        """
        return b"%b.%d" % (self.origin, self.number)


class Found(NamedTuple):
    """
    An entry as it was stored, and as it is found.
    """

    payload: bytes
    times: Times
    vector: Vector
    mark: bytes
    """The incarnation that stored it."""


class Saved(NamedTuple):
    """
    What lies on the store's disk.
    """

    kept: dict[bytes, Kept]
    entries: dict[bytes, Found]
    counter: Counter | None


class Memory:
    """
    The store's memory, one rule of which may be off.
    """

    def __init__(self, off: str = "") -> None:
        self.off = off
        self.now = 1000.0
        self.life = 0
        """Which incarnation of the store this is."""
        self.origins = 0
        self.kept: dict[bytes, Kept] = {}
        self.entries: dict[bytes, Found] = {}
        self.claims: dict[bytes, bytes] = {}
        self.said: list[TagSet] = []
        """What commits have said inside themselves, and nobody has folded yet."""
        self.logs = 0
        self.log: list[tuple[bytes, TagSet]] | None = None
        """What was announced, once somebody follows."""
        self.saved: Saved | None = None
        self.drawn: bytes | None = None
        """What the operation under way has drawn."""
        # it has been there for long: none of its tags is one that lost its fences
        self.counter: Counter | None = Counter(self._origin(), 0, 0.0)

    @property
    def mark(self) -> bytes:
        return b"life%04d" % self.life

    def _origin(self) -> bytes:
        self.origins += 1
        return b"%bdrawn%03d" % (self.mark, self.origins)

    # what happens to a store

    def evict(self, name: str) -> None:
        """
        Lose a tag, with the fences on it, and know that it may have been any.
        """
        self.kept.pop(digest_of(name), None)
        if self.counter is not None:
            self.counter = self.counter._replace(birth=self.now)

    def flush(self) -> None:
        """
        Lose everything, and go on.
        """
        self.counter = self.log = None
        for lost in (self.kept, self.entries, self.claims, self.said):
            lost.clear()

    def save(self) -> None:
        """
        Write down everything, as it is now.
        """
        self.saved = Saved({**self.kept}, {**self.entries}, self.counter)

    def restore(self) -> None:
        """
        Restart as it was saved: what was changed since is lost.
        """
        assert self.saved is not None
        self.flush()
        self.kept.update(self.saved.kept)
        self.entries.update(self.saved.entries)
        self.counter = self.saved.counter
        self.life += self.off != "7-incarnation"

    def portrait(self) -> Hashable:
        """
        Draw all of it.
        """
        saved = self.saved
        return (
            (self.now, self.life, self.origins, self.counter),
            _drawn(self.kept, self.entries),
            tuple(sorted(self.claims.items())),
            tuple(tags.digests for tags in self.said),
            (self.logs, None if self.log is None else len(self.log)),
            saved and (_drawn(saved.kept, saved.entries), saved.counter),
        )

    # versions, and tags under them

    def noted(self) -> bytes | None:
        """
        Give the last version that was drawn in this life; `None` if that was lost.
        """
        counter = self.counter
        mine = counter is not None and counter.origin.startswith(self.mark)
        return counter.version if counter is not None and mine else None

    def draw(self) -> bytes:
        """
        Give the next version, once an operation.
        """
        if self.drawn is None:
            counter = self.counter
            if counter is None or self.noted() is None:
                counter = Counter(self._origin(), 0, self.now)
            self.counter = counter._replace(number=counter.number + 1)
            self.drawn = self.counter.version
        return self.drawn

    def take(self, digest: bytes) -> tuple[Kept | None, str]:
        """
        Give a tag, and what it is: `ours`, `old` (of another life) or `lost`.
        """
        tag = self.kept.get(digest)
        if tag is None:
            return None, "lost"
        return tag, "ours" if tag.version.startswith(self.mark) else "old"

    def left(self, tag: Kept | None, token: bytes = b"") -> Fences:
        """
        Leave a fence out, and the one for lost fences once its time is over.
        """
        return {
            own: one
            for own, one in (tag.fences if tag is not None else {}).items()
            if own != token and (own != BORN or one.ends > self.now)
        }

    def put(self, digest: bytes, version: bytes, fences: Fences, kind: str) -> None:
        """
        Write a tag down, fenced if its fences may be lost; a version was drawn before.
        """
        assert self.counter is not None
        ends = self.counter.birth + LEASE
        born = fences.get(BORN, Standing(self.now)).ends
        if kind != "ours" and self.off != "7" and ends > born:
            fences = {**fences, BORN: Standing(ends)}
        self.kept[digest] = Kept(version, fences)

    def announce(self, digests: Iterable[bytes]) -> None:
        """
        Tell those who follow.
        """
        told = b"".join(digests)
        if self.log is not None and told:
            self.log.append((self.draw(), TagSet(told)))


def _drawn(kept: dict[bytes, Kept], entries: dict[bytes, Found]) -> Hashable:
    tags = sorted(kept.items())
    return (
        tuple(
            (one, tag.version, tuple(sorted(tag.fences.items()))) for one, tag in tags
        ),
        tuple(
            (key, one.payload, one.vector.digests, tuple(one.vector.versions), one.mark)
            for key, one in sorted(entries.items())
        ),
    )
