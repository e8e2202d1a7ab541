"""
The door to the operations: keys, tags and durations as callers have them.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from yokedcache.stores.arguments import check_token, milliseconds
from yokedcache.stores.memcached import looking, tagging
from yokedcache.stores.memcached.layout import SpreadTags, each_digest
from yokedcache.stores.memcached.looking import Question
from yokedcache.stores.memcached.steps import Plan

if TYPE_CHECKING:
    from collections.abc import Iterable

    from yokedcache.stores import answers
    from yokedcache.stores.answers import Lifted, Miss, RaisedFence, Stamp, Times
    from yokedcache.stores.envelope import Hit
    from yokedcache.stores.memcached.layout import Names

    Key: TypeAlias = bytes | str
    Tags: TypeAlias = answers.TagSet | Iterable[str]


class Commands:
    """
    Makes operations, for one prefix of keys on some servers, and one lease in seconds.
    """

    def __init__(self, names: Names, *, lease: float) -> None:
        self.names = names
        self._lease = milliseconds(lease)

    def tags(self, names: Tags) -> SpreadTags:
        """
        Return a set of tags by their names.
        """
        if isinstance(names, SpreadTags):
            return names
        given: Any = names
        if (digests := getattr(given, "digests", None)) is not None:
            return self.names.tags_of(each_digest(digests))
        return self.names.tags(given)

    def copies(self, tag: str) -> tuple[str, ...]:
        """
        Name tags that may stand for one: one on each server.
        """
        return self.names.copies(tag)

    def needed(self, key: Key | None, names: Iterable[str]) -> int:
        """
        Give a server that an entry needs anyway: one of its tags has its place there.
        """
        return self.names.needed(key, names)

    def read(self, key: Key, tags: Tags = ()) -> Plan[Hit | Miss]:
        """
        Look an entry up: once a server if it carries no other tags than these.
        """
        place, known = self.names.entry(key), self.tags(tags)
        steps = partial(looking.look, self.names, place, known)
        return Plan("read", steps, place=place)

    def question(
        self, reading: answers.Operation[Any], tags: answers.TagSet, found: Hit
    ) -> Question | None:
        """
        Make of a look-up that found an entry what asks if that still stands.
        """
        place = getattr(reading, "place", None)
        if place is None or tags.digests != found.vector.digests:
            return None
        return Question(place, self.tags(tags), found)

    def again(self, question: Question) -> Plan[answers.Same | Hit | Miss]:
        """
        Look an entry up that was found before.
        """
        steps = partial(looking.look_again, self.names, question)
        return Plan("read", steps, place=question.place)

    def claim(self, key: Key, tags: Tags, token: bytes) -> Plan[answers.Claim]:
        """
        Claim the load of an entry for a lease, unless somebody has; and look it up.
        """
        place, known = self.names.entry(key), self.tags(tags)
        told = (self.names.claim(key), token, self._lease)
        steps = partial(looking.claim, self.names, told, place, known)
        return Plan("claim", steps, place=place)

    def release(self, key: Key, token: bytes) -> Plan[bool]:
        """
        Give a claim up; tell whether it was still held.
        """
        steps = partial(looking.release, self.names.claim(key), token)
        return Plan("release", steps)

    def exists(self, key: Key, tags: Tags = ()) -> Plan[bool]:
        """
        Tell whether there is an entry that holds.
        """
        place, known = self.names.entry(key), self.tags(tags)
        return Plan("exists", partial(looking.exists, self.names, place, known))

    def remove(self, key: Key, tags: Tags = ()) -> Plan[bool]:
        """
        Drop an entry; tell whether there was one that held.
        """
        place, known = self.names.entry(key), self.tags(tags)
        return Plan("remove", partial(looking.remove, self.names, place, known))

    def extend(
        self, key: Key, times: Times, *, life: float, tags: Tags = ()
    ) -> Plan[bool]:
        """
        Give an entry that holds new times, and seconds to live; tell if there was one.
        """
        place, known, spent = (
            self.names.entry(key),
            self.tags(tags),
            milliseconds(life),
        )
        steps = partial(
            looking.extend, self.names, place, known, times=times, life=spent
        )
        return Plan("extend", steps)

    def stamp(
        self, tags: Tags, *, keep: float = 0.0, noting: bool = True
    ) -> Plan[Stamp]:
        """
        Take the versions of tags, before what they stand for is read.

        Tags that are made for it live `keep` seconds, and a lease at the least.
        """
        life = max(self._lease, milliseconds(keep)) if keep else self._lease
        known = self.tags(tags)
        steps = partial(
            tagging.stamp, self.names, known, self._lease, life, noting=noting
        )
        return Plan("stamp", steps)

    def store(
        self,
        key: Key,
        payload: bytes,
        stamp: answers.Stamp,
        times: Times,
        *,
        life: float,
    ) -> Plan[str | None]:
        """
        Store an entry for so many seconds if its stamp still holds, or say why not.
        """
        place, spent = self.names.entry(key), milliseconds(life)
        known = self.tags(stamp.tags)
        steps = partial(
            looking.store, place, known, payload, stamp, times=times, life=spent
        )
        return Plan("store", steps)

    def fence(self, tags: Tags, token: bytes, owner: str = "") -> Plan[RaisedFence]:
        """
        Bump tags and fence them, under a token that was never used before.
        """
        check_token(token)
        told = (self.tags(tags), self._lease, token, owner)
        return Plan("fence", partial(tagging.fence, self.names, *told))

    def lift(self, fence: RaisedFence) -> Plan[Lifted]:
        """
        Bump a fence's tags and take it down.
        """
        told = (self.tags(fence.tags), self._lease, fence.token)
        return Plan("lift", partial(tagging.lift, self.names, *told))

    def renew(self, fence: RaisedFence) -> Plan[int]:
        """
        Vouch for a fence for another lease; tell on how many tags it was lost.
        """
        told = (self.tags(fence.tags), self._lease, fence.token, fence.owner)
        return Plan("renew", partial(tagging.renew, self.names, *told))

    def adopt(
        self, tags: Tags, token: bytes, *, grace: float = 0.0
    ) -> Plan[list[bool]]:
        """
        Take down a fence whose deadline is past by so many seconds.
        """
        spent = milliseconds(grace) if grace else 0
        told = (self.tags(tags), self._lease, token, spent)
        return Plan("adopt", partial(tagging.adopt, self.names, *told))

    def bump(self, tags: Tags) -> Plan[bytes]:
        """
        Make everything that depends on one of the tags unservable.
        """
        done: set[int] = set()
        told = (self.tags(tags), self._lease, done)
        return Plan("bump", partial(tagging.bump, self.names, *told))

    def note(self) -> Plan[bytes | None]:
        """
        Read the counters, before a snapshot is taken.
        """
        return Plan("note", partial(tagging.note, self.names))
