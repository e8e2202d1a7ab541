"""
What a store tells of changes to those who follow: rule 8, for stores that can.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from yokedcache.stores.contract import Following
from yokedcache.stores.versions import not_after
from yokedcache.testing.stores.basis import Basis
from yokedcache.testing.stores.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.stores.answers import TagSet
    from yokedcache.testing.stores.processes import Process

ENOUGH = 40
"""Changes after which a counter that was lost stands where the old one stood."""


class Announcements(Basis):
    """
    Tests of `follow`, which hold of themselves where a store hasn't got it.
    """

    def lose_log(self, process: Process) -> bool:
        """
        Have the store lose its announcements alone; tell whether one of this kind can.
        """
        return False

    def test_whatever_changes_a_tag_is_announced(
        self, one: Process, other: Process, start: Callable[..., Process], new: Any
    ) -> None:
        if not follows(one):
            return
        tag, more, dying = new(), new(), start(0.05)
        follower = Follower(one, tag, more)
        other.fill(new(), b"x", tag)
        other.bump(tag)
        assert follower.told() == [tag]
        fence = other.fence(tag, more)
        assert follower.told() == sorted([tag, more])
        other.lift(fence)
        assert follower.told() == sorted([tag, more])
        assert other.do(other.commands.renew(fence)) == 2
        assert follower.told() == sorted([tag, more])
        assert other.do(other.commands.renew(fence)) == 0
        assert follower.told() == []
        other.lift(fence)
        follower.told()
        orphan = dying.fence(tag)
        assert follower.told() == [tag]
        adopting = one.commands.adopt([tag, more], orphan.token)
        wait_until(lambda: any(one.do(adopting)))
        assert follower.told() == [tag]
        assert follower.told() == []

    def test_a_change_is_announced_of_tags_that_are_not_there(
        self, one: Process, other: Process, new: Any
    ) -> None:
        if not follows(one):
            return
        tag, more = new(), new()
        follower = Follower(one, tag, more)
        other.bump(tag)
        assert follower.told() == [tag]
        fence = other.fence(more)
        follower.told()
        self.lose_tag(one, more)
        other.lift(fence)
        assert follower.told() == [more]

    def test_who_only_reads_or_stores_announces_nothing(
        self, one: Process, other: Process, new: Any
    ) -> None:
        if not follows(one):
            return
        key, tag = new(), new()
        follower = Follower(one)
        other.fill(key, b"x", tag)
        other.read(key, tag)
        other.stamp(tag, new())
        other.do(other.commands.remove(key, [tag]))
        assert follower.told() == []

    def test_announcements_come_in_order_with_their_versions(
        self, one: Process, other: Process, new: Any
    ) -> None:
        if not follows(one):
            return
        tag = new()
        follower = Follower(one, tag)
        given = [other.bump(tag), other.fence(tag).version, one.bump(tag)]
        assert follower.versions() == given
        assert all(map(not_after, given, given[1:]))

    def test_each_who_follows_is_told_all(
        self, one: Process, other: Process, new: Any
    ) -> None:
        if not follows(one):
            return
        tags = [new(), new(), new()]
        first = Follower(one, *tags)
        one.bump(tags[0])
        second = Follower(other, *tags)
        one.bump(tags[1])
        other.bump(tags[2])
        assert second.told() == sorted(tags[1:])
        assert first.told() == sorted(tags)
        assert first.told() == second.told() == []

    def test_a_place_may_be_asked_for_again(
        self, one: Process, other: Process, new: Any
    ) -> None:
        if not follows(one):
            return
        tag = new()
        follower = Follower(one, tag)
        before = follower.place
        other.bump(tag)
        assert follower.told() == [tag]
        follower.place = before  # the answer was lost
        assert follower.told() == [tag]

    def test_after_lost_memory_it_is_begun_anew(
        self, one: Process, other: Process, new: Any
    ) -> None:
        if not follows(one):
            return
        tag = new()
        self.lose_memory(one)
        first, second = Follower(one, tag), Follower(other, tag)
        other.bump(tag)
        self.lose_memory(one)
        assert first.told() is None
        # it is followed again, and what has the old number now is something else
        for _ in range(ENOUGH):
            other.bump(tag)
        assert first.told() == [tag] * ENOUGH
        assert second.told() is None
        other.bump(tag)
        assert second.told() == [tag]

    def test_after_lost_announcements_it_is_begun_anew(
        self, one: Process, other: Process, new: Any
    ) -> None:
        if not follows(one):
            return
        tag = new()
        first, second = Follower(one, tag), Follower(other, tag)
        if not self.lose_log(one):
            return
        other.bump(tag)
        assert first.told() is None
        other.bump(tag)
        assert second.told() is None
        other.bump(tag)
        assert first.told() == [tag, tag]
        assert second.told() == [tag]


def follows(process: Process) -> bool:
    """
    Tell whether a store announces what changes.
    """
    return isinstance(process.commands, Following)


class Follower:
    """
    Who follows, from a place; `names` are those of the tags that it is about.
    """

    def __init__(self, process: Process, *names: str) -> None:
        self._process = process
        self._commands: Any = process.commands
        self._names = {process.commands.tags([one]).digest(0): one for one in names}
        self.place: bytes | None = None
        assert self.told() is None

    def _asked(self) -> list[tuple[bytes, TagSet]] | None:
        followed = self._process.do(self._commands.follow(self.place))
        self.place = followed.position
        told: list[tuple[bytes, TagSet]] | None = followed.told
        return told

    def told(self) -> list[str] | None:
        """
        Give the tags that were announced, sorted; `None` if that can't be told.
        """
        told = self._asked()
        if told is None:
            return None
        digests = (digest for _, tags in told for digest in tags.each())
        return sorted(self._names.get(one, one.hex()) for one in digests)

    def versions(self) -> list[bytes]:
        """
        Give the versions that were announced, in order.
        """
        return [version for version, _ in self._asked() or ()]
