"""
A store of one server, as the near side sees it: the model that the explorer runs over.

Small enough to be looked through, and to lose what a store may lose. Each of its
promises can be broken, to see that it is needed. It is no store of the library's: that
it answers as a real one does is the matter of `test_shared_model`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.explorer.shared_memory import LEASE, Found, Memory, Standing
from yokedcache.stores.answers import (
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
    digest_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from yokedcache.stores.answers import Times


class Deed(Operation[Any]):
    """
    An operation, and what does it.
    """

    __slots__ = ("do", "key")

    def __init__(
        self, model: Memory, asked: str, act: Callable[[], Any], key: bytes = b""
    ) -> None:
        super().__init__(asked)
        self.key = key

        def do() -> Any:
            model.drawn = None
            return act()

        self.do = do


class Model(Memory):
    """
    What is stored. It makes its operations itself, and does them one at a time.
    """

    # operations

    def tags(self, names: TagSet | Iterable[str]) -> TagSet:
        if isinstance(names, TagSet):
            return names
        return TagSet(b"".join(sorted(set(map(digest_of, names)))))

    def _deed(self, asked: str, act: Callable[[], Any], key: bytes = b"") -> Deed:
        return Deed(self, asked, act, key)

    def read(self, key: bytes, tags: Any = ()) -> Deed:
        return self._deed("read", lambda: self._read(key, self.tags(tags)), key)

    def question(self, reading: Deed, tags: TagSet, found: Found) -> Hashable:
        # the moment when it was made stands for the bytes: no two entries share it
        versions = tuple(found.vector.versions)
        asked = (reading.key, tags, found.times.born, found.payload, versions)
        return asked if tags.count else None

    def again(self, question: Any) -> Deed:
        return self._deed("again", lambda: self._again(*question), question[0])

    def claim(self, key: bytes, tags: Any, token: bytes) -> Deed:
        return self._deed(
            "claim", lambda: self._claim(key, self.tags(tags), token), key
        )

    def release(self, key: bytes, token: bytes) -> Deed:
        def released() -> bool:
            mine = self.claims.get(key) == token
            return bool(mine and self.claims.pop(key))

        return self._deed("release", released)

    def stamp(self, tags: Any, *, keep: float = 0.0, noting: bool = True) -> Deed:
        return self._deed("stamp", lambda: self._stamp(self.tags(tags)))

    def store(
        self, key: bytes, payload: bytes, stamp: Stamp, times: Times, *, life: float
    ) -> Deed:
        found = Found(payload, times, stamp.vector, stamp.mark)
        return self._deed("store", lambda: self._store(key, stamp, found))

    def fence(self, tags: Any, token: bytes, owner: str = "") -> Deed:
        return self._deed("fence", lambda: self._fence(self.tags(tags), token, owner))

    def lift(self, fence: RaisedFence) -> Deed:
        return self._deed("lift", lambda: self._lift(fence))

    def renew(self, fence: RaisedFence) -> Deed:
        return self._deed("renew", lambda: self._renew(fence))

    def adopt(self, tags: Any, token: bytes, *, grace: float = 0.0) -> Deed:
        return self._deed("adopt", lambda: self._adopt(self.tags(tags), token, grace))

    def bump(self, tags: Any) -> Deed:
        return self._deed("bump", lambda: self._bump(self.tags(tags)))

    def note(self) -> Deed:
        return self._deed("note", self.noted)

    def exists(self, key: bytes, tags: Any = ()) -> Deed:
        known = self.tags(tags)
        return self._deed("exists", lambda: isinstance(self._read(key, known), Found))

    def remove(self, key: bytes, tags: Any = ()) -> Deed:
        raise NotImplementedError(key, tags)

    def extend(self, key: bytes, times: Times, *, life: float, tags: Any = ()) -> Deed:
        raise NotImplementedError(key, times, life, tags)

    def say(self, tags: Any, mark: bytes) -> Said:
        # whoever commits takes it to `commit`
        return Said(self.tags(tags).digests.hex(), mark.decode())

    def fold(self) -> Deed:
        return self._deed("fold", self._fold)

    def follow(self, position: bytes | None = None) -> Deed:
        return self._deed("follow", lambda: self._follow(position))

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
            self.draw()
            for digest in known:
                self._renumber(digest)
            self.drawn = None  # an operation of its own, whoever has it done
        return len(told)

    def _is_said(self, digest: bytes) -> bool:
        return any(digest in tags.each() for tags in self.said)

    def _follow(self, position: bytes | None) -> Followed:
        log, _, place = (position or b"").partition(b".")
        told = None
        if self.log is not None and log == b"%d" % self.logs:
            told = self.log[int(place) :]
        else:
            if self.log is None:
                self.logs, self.log = self.logs + 1, []
            self.log.append((self.draw(), TagSet(b"")))
        return Followed(b"%d.%d" % (self.logs, len(self.log)), told)

    def _states(self, tags: TagSet) -> list[TagState]:
        states = []
        for digest in tags.each():
            tag = self.kept.get(digest)
            if tag is None or (self.off != "inside-look" and self._is_said(digest)):
                states.append(TagState(None, lost=True))
                continue
            each = tag.fences.items() if self.off != "3" else ()
            listed = [ListedFence(token, one.ends, one.owner) for token, one in each]
            states.append(TagState(tag.version, tuple(listed)))
        return states

    def _read(self, key: bytes, tags: TagSet) -> Found | Miss:
        found = self.entries.get(key)
        why = "absent" if found is None else self._broken(found)
        if found is not None and why is None:
            return found
        return Miss(str(why), Stamp(tags, self._states(tags), self.mark))

    def _broken(self, found: Found) -> str | None:
        """
        Say why an entry doesn't hold.
        """
        if found.mark != self.mark:
            return "incarnation"
        states = self._states(TagSet(found.vector.digests))
        for state, version in zip(states, found.vector.versions, strict=True):
            if state.version is None:
                return "tag_lost"
            if state.fences:
                return "commit_in_flight"
            if state.version != version:
                return "changed"
        return None

    def _again(self, key: bytes, tags: TagSet, *seen: Any) -> Any:
        found = self._read(key, tags)
        if isinstance(found, Miss):
            return found
        born, versions = found.times.born, tuple(found.vector.versions)
        return SAME if seen == (born, found.payload, versions) else found

    def _claim(self, key: bytes, tags: TagSet, token: bytes) -> Claim:
        holder = self.claims.setdefault(key, token)
        return Claim(holder, self._read(key, tags))

    def _stamp(self, tags: TagSet) -> Stamp:
        self._fold()
        noted = self.noted()
        stamp = Stamp(tags, self._states(tags), self.mark, noted)
        if not stamp.incomplete:
            return stamp
        made = [at for at, one in enumerate(tags.each()) if one not in self.kept]
        for digest in tags.each():
            tag, kind = self.take(digest)
            left = self.left(tag)
            if tag is None or kind != "ours" or left != tag.fences:
                self.put(digest, self.draw(), left, kind)
        return Stamp(tags, self._states(tags), self.mark, noted, frozenset(made))

    def _store(self, key: bytes, stamp: Stamp, found: Found) -> str | None:
        if stamp.mark != self.mark:
            return "incarnation"
        if stamp.unusable:
            return stamp.unusable
        states = self._states(stamp.tags)
        for now, version in zip(states, found.vector.versions, strict=True):
            if now.fences:
                return "commit_in_flight"
            if now.version != version:
                return "changed_meanwhile"
        self.entries[key] = found
        return None

    def _fence(self, tags: TagSet, token: bytes, owner: str) -> RaisedFence:
        version = self.draw()
        self.announce(tags.each())
        for digest in tags.each():
            tag, kind = self.take(digest)
            self.put(digest, version, self.left(tag, token), kind)
            self.kept[digest].fences[token] = Standing(self.now + LEASE, owner)
        return RaisedFence(tags, token, owner, version)

    def _renumber(
        self, digest: bytes, token: bytes = b"", *, bump: bool = True
    ) -> bool:
        """
        Give a tag that is there a new version; tell whether a fence was on it.
        """
        tag, kind = self.take(digest)
        if tag is None:
            return False
        version = self.draw() if bump else tag.version
        self.put(digest, version, self.left(tag, token), kind)
        return token in tag.fences

    def _lift(self, fence: RaisedFence) -> Lifted:
        version, bump = self.draw(), self.off != "2-last-bump"
        self.announce(fence.tags.each())
        found = [
            self._renumber(digest, fence.token, bump=bump)
            for digest in fence.tags.each()
        ]
        return Lifted(version, found.count(False))

    def _renew(self, fence: RaisedFence) -> int:
        lost = []
        for digest in fence.tags.each():
            tag, kind = self.take(digest)
            left = self.left(tag, fence.token)
            if tag is None or kind != "ours" or fence.token not in tag.fences:
                lost.append(digest)
                self.put(digest, self.draw(), left, kind)
            else:
                self.put(digest, tag.version, left, kind)
            mine = Standing(self.now + LEASE, fence.owner)
            self.kept[digest].fences[fence.token] = mine
        self.announce(lost)
        return len(lost)

    def _adopt(self, tags: TagSet, token: bytes, grace: float) -> list[bool]:
        over = []
        for digest in tags.each():
            tag = self.kept.get(digest)
            fence = None if tag is None else tag.fences.get(token)
            if fence is not None and fence.ends + grace <= self.now:
                over.append(digest)
        if over:
            self.draw()
        for digest in over:
            self._renumber(digest, token, bump=self.off != "4-bump")
        self.announce(over)
        return [digest in over for digest in tags.each()]

    def _bump(self, tags: TagSet) -> bytes:
        version = self.draw()
        self.announce(tags.each())
        for digest in tags.each():
            self._renumber(digest)
        return version
