"""
Each rule of the store is needed: without it the explorer finds a history that breaks.

Fences are heeded where tags are stamped, where an entry is stored and where it is looked
up. Each change of them gives a new version, which does for the last two; so they are
switched off together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.stores.memcached.histories import LEASE, explore
from tests.stores.memcached.world import Actor, World, finished, tags_on_both
from yokedcache.stores import answers
from yokedcache.stores.envelope import Envelope
from yokedcache.stores.memcached import changing, looking, tagging
from yokedcache.stores.memcached.changing import Leave, Moment, Write
from yokedcache.stores.memcached.commands import Commands
from yokedcache.stores.memcached.layout import Names
from yokedcache.stores.memcached.link import Link
from yokedcache.stores.memcached.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services import MemcachedServer
    from yokedcache.stores.memcached.steps import Steps

    Patch = pytest.MonkeyPatch

pytestmark = pytest.mark.timeout(300)

ENOUGH = 30
"""Histories in which each is found; most in a few. The gate goes through as many."""


def lost_fences_are_forgotten(patch: Patch) -> None:
    patch.setattr(Moment, "doubt", lambda _, fences, kind: tuple(fences))


def losses_are_not_asked_for(patch: Patch) -> None:
    patch.setattr(Memory, "is_young", lambda *_: False)


def a_counter_that_began_anew_is_no_loss(patch: Patch) -> None:
    judge = Memory.is_young
    patch.setattr(
        Memory, "is_young", lambda self, _, lease, now: judge(self, b"", lease, now)
    )


def born_fences_are_over_at_once(patch: Patch) -> None:
    patch.setattr(changing, "SLACK", -1000 * LEASE)


def born_fences_end_without_a_bump(patch: Patch) -> None:
    make = tagging._make

    def quietly(kept: Any, moment: Any, *, keep: int) -> Write | Leave:
        made = make(kept, moment, keep=keep)
        ours = kept.kind == "ours" and isinstance(made, Write)
        return made._replace(fresh=False) if ours else made

    patch.setattr(tagging, "_make", quietly)


def writers_do_not_put_back_what_was_lost(patch: Patch) -> None:
    patch.setattr(Commands, "renew", lambda self, _: self.note())


def a_change_takes_down_all_fences(patch: Patch) -> None:
    patch.setattr(Moment, "without", lambda *_: [])


def a_lift_gives_no_version(patch: Patch) -> None:
    renumber = tagging._renumber

    def lower(kept: Any, moment: Any, *, token: bytes) -> Write | Leave:
        done = renumber(kept, moment, token=token)
        return done._replace(fresh=not done.told) if isinstance(done, Write) else done

    patch.setattr(tagging, "_renumber", lower)


def fences_are_not_looked_at(patch: Patch) -> None:
    read_tag = looking.read_tag
    patch.setattr(
        looking, "read_tag", lambda value: read_tag(value)._replace(fences=())
    )
    patch.setattr(looking, "standing", lambda value: value and value.partition(b",")[0])
    patch.setattr(
        answers.Stamp, "_flaw", lambda _, state: None if state.version else "lost"
    )


def tags_are_not_looked_at_before_storing(patch: Patch) -> None:
    def hold(*_: Any) -> Steps[None]:
        yield from ()

    patch.setattr(looking, "_hold", hold)


class Whatever(bytes):
    """
    A version that is equal to all others.
    """

    __slots__ = ()
    __hash__ = bytes.__hash__

    def __eq__(self, other: object) -> bool:
        return True


def one_tag_is_not_compared(patch: Patch) -> None:
    versions = Envelope.versions

    def some(self: Envelope, mark: bytes) -> Any:
        *others, last = versions(self, mark) or []
        return [*others, Whatever(last)]

    patch.setattr(Envelope, "versions", some)


def a_tag_is_replaced_whatever_is_there(patch: Patch) -> None:
    cas = Link._cas

    def put(self: Any, key: bytes, value: bytes, unique: bytes, life: int) -> bool:
        if b":t:" in key:
            return self._set(key, value, life) is None
        return cas(self, key, value, unique, life)

    patch.setattr(Link, "_cas", put)


def a_counter_is_replaced_whatever_is_there(patch: Patch) -> None:
    cas = Link._cas

    def put(self: Any, key: bytes, value: bytes, unique: bytes, life: int) -> bool:
        if key.endswith(b":n"):
            return self._set(key, value, life) is None
        return cas(self, key, value, unique, life)

    patch.setattr(Link, "_cas", put)


def versions_are_not_drawn(patch: Patch) -> None:
    patch.setattr(changing, "next_version", lambda version: version)


def a_lost_counter_has_the_same_origin(patch: Patch) -> None:
    patch.setattr(changing, "first_version", lambda: b"A" * 16 + b".0")


def snapshots_are_served_what_is_newer(patch: Patch) -> None:
    patch.setattr(answers, "not_after", lambda *_: True)


def what_is_of_another_counter_is_older(patch: Patch) -> None:
    judge = answers.not_after

    def lenient(version: bytes, note: bytes) -> bool:
        return version[:16] not in note or judge(version, note)

    patch.setattr(answers, "not_after", lenient)


@pytest.mark.parametrize(
    "without",
    [
        lost_fences_are_forgotten,
        losses_are_not_asked_for,
        a_counter_that_began_anew_is_no_loss,
        born_fences_are_over_at_once,
        born_fences_end_without_a_bump,
        writers_do_not_put_back_what_was_lost,
        a_change_takes_down_all_fences,
        a_lift_gives_no_version,
        fences_are_not_looked_at,
        tags_are_not_looked_at_before_storing,
        one_tag_is_not_compared,
        a_tag_is_replaced_whatever_is_there,
        a_counter_is_replaced_whatever_is_there,
        versions_are_not_drawn,
        a_lost_counter_has_the_same_origin,
        snapshots_are_served_what_is_newer,
        what_is_of_another_counter_is_older,
    ],
    ids=lambda without: without.__name__,
)
def test_without_a_rule_a_promise_breaks(
    without: Callable[[Patch], None],
    two_servers: list[MemcachedServer],
    monkeypatch: Patch,
) -> None:
    without(monkeypatch)
    with pytest.raises(AssertionError):
        explore(two_servers, ENOUGH)


def test_who_makes_a_tag_asks_for_losses_after_reading_it(
    two_servers: list[MemcachedServer],
) -> None:
    world = World(two_servers)
    names = Names("asked", [server.address for server in two_servers])
    one, other, third = (Actor(world, Commands(names, lease=LEASE)) for _ in range(3))
    stops = 0
    while True:
        (tag, *_) = tags_on_both(names, stops)
        making = one.steps(one.commands.stamp([tag], keep=60))
        if sum(1 for _, _ in zip(range(stops), making, strict=False)) < stops:
            break
        # a fence comes and is lost, and somebody else has begun to make the tag
        other.at_once(other.commands.fence([tag], b"lost%d" % stops))
        (share,) = one.commands.tags([tag]).shares
        world.lose(share.server, *share.keys)
        beginning = third.steps(third.commands.stamp([tag], keep=60))
        while next(beginning) != "add t":
            pass
        next(beginning)
        beginning.close()
        (state,) = finished(making).states
        assert not state.usable
        world.now += LEASE + 3
        stops += 1
    assert stops > 5
    for actor in (one, other, third):
        actor.close()
