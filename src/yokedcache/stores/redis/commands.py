"""
The door to the operations: keys, tags and durations as callers have them.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from yokedcache.stores.arguments import check_token, milliseconds
from yokedcache.stores.redis.changes import (
    Scope,
    adopt,
    bump,
    fence,
    lift,
    renew,
    take_stamp,
)
from yokedcache.stores.redis.claims import claim, release
from yokedcache.stores.redis.layout import TagSet
from yokedcache.stores.redis.log import follow
from yokedcache.stores.redis.operations import (
    Lookup,
    Operation,
    exists,
    extend,
    look,
    look_again,
    measure,
    note,
    remove,
    store,
)
from yokedcache.stores.redis.questions import Question

if TYPE_CHECKING:
    from collections.abc import Iterable

    from yokedcache.stores import answers
    from yokedcache.stores.envelope import Times
    from yokedcache.stores.redis.layout import Layout
    from yokedcache.stores.redis.results import Hit, Lifted, Miss, RaisedFence

    Key: TypeAlias = bytes | str
    Tags: TypeAlias = answers.TagSet | Iterable[str]


class Commands:
    """
    Makes operations, for one prefix of keys and one lease in seconds.

    Whoever asks for the same tags often makes their set once: `tags`.
    """

    def __init__(self, layout: Layout, *, lease: float = 10.0) -> None:
        self.layout = layout
        self.lease = milliseconds(lease)

    def tags(self, names: Tags) -> TagSet:
        """
        Return a set of tags by their names.
        """
        if isinstance(names, TagSet):
            return names
        return self.layout.tags(cast("Iterable[str]", names))

    def read(self, key: Key, tags: Tags = ()) -> Operation[Hit | Miss]:
        """
        Look an entry up: one trip if it carries no other tags than these, else two.
        """
        entry, known = self.layout.entry(key), self.tags(tags)
        steps = partial(look, self.layout, entry, known)
        same = (entry, known.digests)
        return Operation("read", steps, late=True, same=same, look=Lookup(entry, known))

    def question(
        self, reading: Operation[Any], tags: TagSet, found: Hit
    ) -> Question | None:
        """
        Make of a look-up that found an entry what asks if that still stands.
        """
        if reading.look is None or not tags.count:
            return None
        return Question(reading.look.key, tags, found)

    def again(self, question: Question) -> Operation[answers.Same | Hit | Miss]:
        """
        Look an entry up that was found before.
        """
        steps = partial(look_again, self.layout, question)
        return Operation("read", steps, late=True, same=question, look=question)

    def claim(self, key: Key, tags: TagSet, token: bytes) -> Operation[answers.Claim]:
        """
        Claim the load of an entry for a lease, unless somebody has; and look it up.
        """
        told = (self.layout.claim(key), token, b"%d" % self.lease)
        steps = partial(claim, self.layout, told, self.layout.entry(key), tags)
        return Operation("claim", steps, late=True)

    def release(self, key: Key, token: bytes) -> Operation[bool]:
        """
        Give a claim up; tell whether it was still held.
        """
        steps = partial(release, self.layout.claim(key), token)
        return Operation("release", steps, late=True)

    def exists(self, key: Key, tags: Tags = ()) -> Operation[bool]:
        """
        Tell whether there is an entry that holds.
        """
        steps = partial(exists, self.layout, self.layout.entry(key), self.tags(tags))
        return Operation("exists", steps, late=True)

    def remove(self, key: Key, tags: Tags = ()) -> Operation[bool]:
        """
        Drop an entry; tell whether there was one that held.
        """
        steps = partial(remove, self.layout, self.layout.entry(key), self.tags(tags))
        return Operation("remove", steps, late=True)

    def measure(self, key: Key) -> Operation[int]:
        """
        Tell how many bytes lie under a key.
        """
        steps = partial(measure, self.layout.entry(key))
        return Operation("measure", steps, late=True)

    def extend(
        self, key: Key, times: Times, *, life: float, tags: Tags = ()
    ) -> Operation[bool]:
        """
        Give an entry that holds new times, and seconds to live; tell if there was one.
        """
        entry, known, spent = (
            self.layout.entry(key),
            self.tags(tags),
            milliseconds(life),
        )
        steps = partial(extend, self.layout, entry, known, times=times, life=spent)
        return Operation("extend", steps, late=True)

    def stamp(
        self,
        tags: Tags,
        *,
        keep: float = 0.0,
        noting: bool = True,  # noqa: ARG002 - it comes with the tags, from one server
    ) -> Operation[answers.Stamp]:
        """
        Take the versions of tags, before what they stand for is read.

        Tags that are made for it live `keep` seconds, and a lease at the least.
        """
        life = max(self.lease, milliseconds(keep)) if keep else self.lease
        steps = partial(take_stamp, self._scope(tags), life)
        return Operation("stamp", steps, late=True)

    def store(
        self,
        key: Key,
        payload: bytes,
        stamp: answers.Stamp,
        times: Times,
        *,
        life: float,
    ) -> Operation[str | None]:
        """
        Store an entry for so many seconds if its stamp still holds, or say why not.
        """
        entry, spent = self.layout.entry(key), milliseconds(life)
        own = self.tags(stamp.tags)
        steps = partial(store, entry, own, payload, stamp, times=times, life=spent)
        return Operation("store", steps)

    def fence(
        self, tags: Tags, token: bytes, owner: str = ""
    ) -> Operation[RaisedFence]:
        """
        Bump tags and fence them, under a token that was never used before.
        """
        check_token(token)
        return Operation("fence", partial(fence, self._scope(tags), token, owner))

    def lift(self, fence: RaisedFence) -> Operation[Lifted]:
        """
        Bump a fence's tags and take it down.
        """
        return Operation("lift", partial(lift, self._scope(fence.tags), fence.token))

    def renew(self, fence: RaisedFence) -> Operation[int]:
        """
        Vouch for a fence for another lease; tell on how many tags it was lost.
        """
        scope = self._scope(fence.tags)
        return Operation("renew", partial(renew, scope, fence.token, fence.owner))

    def adopt(
        self, tags: Tags, token: bytes, *, grace: float = 0.0
    ) -> Operation[list[bool]]:
        """
        Take down a fence whose deadline is past by so many seconds.
        """
        spent = milliseconds(grace) if grace else 0
        return Operation("adopt", partial(adopt, self._scope(tags), token, spent))

    def bump(self, tags: Tags) -> Operation[bytes]:
        """
        Make everything that depends on one of the tags unservable.
        """
        return Operation("bump", partial(bump, self._scope(tags)))

    def note(self) -> Operation[bytes | None]:
        """
        Read the counter, before a snapshot is taken.
        """
        return Operation("note", partial(note, self.layout), late=True)

    def follow(self, position: bytes | None = None) -> Operation[answers.Followed]:
        """
        Give what was announced since a position, or a new one to begin from.
        """
        steps = partial(follow, self._scope(()), position)
        return Operation("follow", steps, late=position is not None)

    def _scope(self, tags: Tags) -> Scope:
        layout = self.layout
        return Scope(layout.counter, layout.log, self.tags(tags), self.lease)
