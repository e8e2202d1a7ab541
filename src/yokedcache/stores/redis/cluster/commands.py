"""
The door to the plans: the same as `stores.redis.commands`, for a Cluster.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from yokedcache.stores import answers
from yokedcache.stores.arguments import check_token, milliseconds
from yokedcache.stores.redis.cluster import plans, tagging
from yokedcache.stores.redis.cluster.layout import SpreadTags
from yokedcache.stores.redis.cluster.plans import ANY, Plan
from yokedcache.stores.redis.commands import Commands
from yokedcache.stores.redis.questions import Question

if TYPE_CHECKING:
    from yokedcache.stores.envelope import Times
    from yokedcache.stores.redis.cluster.layout import ClusterLayout
    from yokedcache.stores.redis.commands import Key, Tags
    from yokedcache.stores.redis.layout import TagSet
    from yokedcache.stores.redis.results import Hit, Lifted, Miss, RaisedFence, Stamp


class ClusterCommands(Commands):
    """
    Makes plans, for one prefix of keys and one lease in seconds.
    """

    layout: ClusterLayout

    def __init__(self, layout: ClusterLayout, *, lease: float = 10.0) -> None:
        super().__init__(layout, lease=lease)

    def tags(self, names: Tags) -> SpreadTags:
        """
        Return a set of tags by their names.
        """
        if isinstance(names, SpreadTags):
            return names
        found: Any = self.layout.tags(names)  # type: ignore[arg-type]
        return found  # type: ignore[no-any-return]

    def read(self, key: Key, tags: Tags = ()) -> Plan[Hit | Miss]:
        """
        Look an entry up: one round if it carries no other tags than these, else two.
        """
        entry, known = self.layout.entry(key), self.tags(tags)
        steps = partial(plans.look, self.layout, entry, known)
        return Plan("read", steps, key=entry)

    def question(
        self, reading: answers.Operation[Any], tags: TagSet, found: Hit
    ) -> Question | None:
        """
        Make of a look-up that found an entry what asks if that still stands.
        """
        key = getattr(reading, "key", None)
        if key is None or not tags.count:
            return None
        return Question(key, tags, found)

    def again(self, question: Question) -> Plan[answers.Same | Hit | Miss]:
        """
        Look an entry up that was found before.
        """
        known = self.tags(question.tags)
        return Plan("read", partial(plans.look_again, self.layout, question, known))

    def claim(self, key: Key, tags: TagSet, token: bytes) -> Plan[answers.Claim]:
        """
        Claim the load of an entry for a lease, unless somebody has; and look it up.
        """
        told = (self.layout.claim(key), token, self.lease)
        entry, known = self.layout.entry(key), self.tags(tags)
        return Plan("claim", partial(plans.claim, self.layout, told, entry, known))

    def release(self, key: Key, token: bytes) -> Plan[bool]:
        """
        Give a claim up; tell whether it was still held.
        """
        return Plan("release", partial(plans.release, self.layout.claim(key), token))

    def exists(self, key: Key, tags: Tags = ()) -> Plan[bool]:
        """
        Tell whether there is an entry that holds.
        """
        entry, known = self.layout.entry(key), self.tags(tags)
        return Plan("exists", partial(plans.exists, self.layout, entry, known))

    def remove(self, key: Key, tags: Tags = ()) -> Plan[bool]:
        """
        Drop an entry; tell whether there was one that held.
        """
        entry, known = self.layout.entry(key), self.tags(tags)
        return Plan("remove", partial(plans.remove, self.layout, entry, known))

    def measure(self, key: Key) -> Plan[int]:
        """
        Tell how many bytes lie under a key.
        """
        return Plan("measure", partial(plans.measure, self.layout.entry(key)))

    def extend(
        self, key: Key, times: Times, *, life: float, tags: Tags = ()
    ) -> Plan[bool]:
        """
        Give an entry that holds new times, and seconds to live; tell if there was one.
        """
        entry, known = self.layout.entry(key), self.tags(tags)
        spent = milliseconds(life)
        steps = partial(
            plans.extend, self.layout, entry, known, times=times, life=spent
        )
        return Plan("extend", steps)

    def stamp(
        self, tags: Tags, *, keep: float = 0.0, noting: bool = True
    ) -> Plan[Stamp]:
        """
        Take the versions of tags, before what they stand for is read.
        """
        life = max(self.lease, milliseconds(keep)) if keep else self.lease
        known = self.tags(tags)
        steps = partial(
            tagging.stamp, self.layout, known, life, self.lease, noting=noting
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
        entry, spent = self.layout.entry(key), milliseconds(life)
        own = self.tags(stamp.tags)
        # each version is judged by the node that has its tag
        whole = answers.Stamp(own, stamp.states, ANY)
        steps = partial(
            plans.store, entry, own, payload, whole, times=times, life=spent
        )
        return Plan("store", steps)

    def fence(self, tags: Tags, token: bytes, owner: str = "") -> Plan[RaisedFence]:
        """
        Bump tags and fence them, under a token that was never used before.
        """
        check_token(token)
        steps = partial(tagging.fence, self.tags(tags), self.lease, token, owner)
        return Plan("fence", steps)

    def lift(self, fence: RaisedFence) -> Plan[Lifted]:
        """
        Bump a fence's tags and take it down.
        """
        known = self.tags(fence.tags)
        return Plan("lift", partial(tagging.lift, known, self.lease, fence.token))

    def renew(self, fence: RaisedFence) -> Plan[int]:
        """
        Vouch for a fence for another lease; tell on how many tags it was lost.
        """
        known = self.tags(fence.tags)
        steps = partial(tagging.renew, known, self.lease, fence.token, fence.owner)
        return Plan("renew", steps)

    def adopt(
        self, tags: Tags, token: bytes, *, grace: float = 0.0
    ) -> Plan[list[bool]]:
        """
        Take down a fence whose deadline is past by so many seconds.
        """
        spent = milliseconds(grace) if grace else 0
        steps = partial(tagging.adopt, self.tags(tags), self.lease, token, spent)
        return Plan("adopt", steps)

    def bump(self, tags: Tags) -> Plan[bytes]:
        """
        Make everything that depends on one of the tags unservable.
        """
        return Plan("bump", partial(tagging.bump, self.tags(tags), self.lease))

    def follow(self, position: bytes | None = None) -> Plan[answers.Followed]:
        """
        Give what was announced on all islands since a position, or a new one.
        """
        steps = partial(tagging.follow, self.layout, position, self.lease)
        return Plan("follow", steps)

    def note(self) -> Plan[bytes | None]:
        """
        Read the counters, before a snapshot is taken.
        """
        return Plan("note", partial(tagging.note, self.layout))
