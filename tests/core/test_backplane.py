"""
How long an answer near by may be given out: each comparison, and all orders of events.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from yokedcache.core.backplane import Backplane

if TYPE_CHECKING:
    from collections.abc import Iterator

BOUND = 10.0
NEVER = -inf
TAGS = ("a", "b", "c")


def following(*, most: int = 100) -> Backplane:
    """
    Give one that has followed since 2, and heard all that was announced before 5.
    """
    backplane = Backplane(BOUND, most=most)
    backplane.begin(1.0, 2.0)
    backplane.vouch(5.0)
    return backplane


def test_who_has_heard_nothing_gives_out_nothing() -> None:
    new = Backplane(BOUND)
    assert (new.vouched, new.since) == (-inf, inf)
    assert new.until(inf, []) == NEVER
    assert Backplane(BOUND).until(3.0, [b"a"]) == NEVER


def test_what_was_asked_since_is_given_out_for_the_bound_after_it_was_vouched_for() -> (
    None
):
    assert following().until(3.0, [b"a"]) == 15.0


def test_to_begin_vouches_from_when_it_was_asked() -> None:
    backplane = Backplane(BOUND)
    backplane.begin(1.0, 2.0)
    assert backplane.until(2.5, []) == 11.0


def test_what_was_asked_before_it_began_is_not_given_out() -> None:
    assert following().until(2.0, []) == NEVER  # the clock may be as coarse as that
    assert following().until(1.5, []) == NEVER
    anew = following()
    anew.begin(6.0, 7.0)
    assert anew.until(6.5, []) == NEVER
    assert anew.until(7.5, []) == 16.0


def test_hole_18_what_was_asked_before_its_tag_was_heard_of_is_not_given_out() -> None:
    backplane = following()
    backplane.hear([b"a", b"b"], 4.0)
    backplane.vouch(5.0)
    for tags in ([b"a"], [b"b"], [b"c", b"b"]):
        assert backplane.until(3.0, tags) == NEVER
        assert backplane.until(4.0, tags) == NEVER
        assert backplane.until(4.5, tags) == 15.0
    assert backplane.until(3.0, [b"c"]) == 15.0


def test_what_was_heard_last_of_a_tag_counts() -> None:
    backplane = following()
    backplane.hear([b"a"], 3.0)
    backplane.hear([b"a"], 4.0)
    assert backplane.until(3.5, [b"a"]) == NEVER


def test_what_was_heard_before_it_began_anew_still_counts() -> None:
    backplane = following()
    backplane.hear([b"a"], 9.0)
    backplane.begin(6.0, 7.0)
    assert backplane.until(8.0, [b"a"]) == NEVER


def test_hole_18_what_was_forgotten_is_taken_to_be_heard_of() -> None:
    backplane = following(most=4)
    for number in range(5):
        backplane.hear([b"%d" % (7 - number)], 3.0 + number)
    assert backplane.floor == 5.0
    assert backplane.until(5.0, [b"other"]) == NEVER
    assert backplane.until(5.5, [b"other"]) == 15.0
    assert backplane.until(5.5, [b"7"]) == 15.0
    assert backplane.until(5.5, [b"4"]) == NEVER
    assert backplane.until(6.5, [b"3"]) == NEVER


def test_that_many_are_remembered() -> None:
    backplane = following(most=4)
    backplane.hear([b"%d" % number for number in range(4)], 3.0)
    assert backplane.floor == NEVER
    backplane.hear([b"%d" % number for number in range(1000)], 4.0)
    assert backplane.floor == 4.0
    assert backplane.until(4.0, [b"other"]) == NEVER


def test_changed_tells_it_of_what_is_only_just_known() -> None:
    backplane = Backplane(BOUND)
    assert not backplane.changed(3.0, [b"a"])
    backplane.hear([b"a"], 4.0)
    assert backplane.changed(4.0, [b"a"])
    assert backplane.changed(3.0, [b"b", b"a"])
    assert not backplane.changed(4.5, [b"a"])
    assert not backplane.changed(3.0, [b"b"])


def test_until_reads_what_is_vouched_for_before_it_compares() -> None:
    # else a reader that was overtaken would give out what it hasn't compared

    class Overtaken(list[bytes]):
        def __iter__(self) -> Iterator[bytes]:
            backplane.hear([b"a"], 6.0)
            backplane.vouch(7.0)
            return iter([b"b"])

    backplane = following()
    backplane.hear([b"z"], 4.5)
    assert backplane.until(4.0, Overtaken()) == 15.0


def test_the_floor_is_looked_at_last() -> None:
    # a tag that is forgotten while it is looked for is found below the floor

    class Late(list[bytes]):
        def __iter__(self) -> Iterator[bytes]:
            backplane.hear([b"1", b"2", b"3"], 6.0)
            return iter([b"other"])

    backplane = following(most=2)
    backplane.hear([b"z"], 4.5)
    assert backplane.until(4.0, Late()) == NEVER


# a store whose moments are numbered, and a process that asks it in any order

EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("change"), st.sampled_from(TAGS)),
        st.tuples(st.just("look"), st.sampled_from(TAGS)),
        st.tuples(st.just("answer"), st.just("")),
        st.tuples(st.just("follow"), st.just("")),
        st.tuples(st.just("told"), st.just("")),
        st.tuples(st.just("lost"), st.just("")),
        st.tuples(st.just("give"), st.just("")),
    ),
    max_size=60,
)


class Story:
    """
    One order of events: look-ups and questions take their time to be answered.
    """

    def __init__(self, most: int) -> None:
        self.backplane = Backplane(BOUND, most=most)
        self.now = 0.0
        self.log: list[tuple[str, float]] = []
        """Tags, and when they were changed."""
        self.place: int | None = None
        self.under_way: list[tuple[str, float, float]] = []
        self.question: tuple[float, int, int | None] | None = None
        self.near: list[tuple[str, float, float]] = []
        """Tags, when they were asked about, and the moment for which they are right."""

    def tick(self) -> float:
        self.now += 0.25
        return self.now

    def change(self, tag: str) -> None:
        self.log.append((tag, self.tick()))

    def look(self, tag: str) -> None:
        asked = self.tick()
        self.under_way.append((tag, asked, self.tick()))

    def answer(self, _: str) -> None:
        if self.under_way:
            self.near.append(self.under_way.pop())

    def follow(self, _: str) -> None:
        if self.question is None:
            self.question = (self.tick(), len(self.log), self.place)

    def lost(self, _: str) -> None:
        self.place = None

    def told(self, _: str) -> None:
        if self.question is None:
            return
        sent, upto, place = self.question
        self.question = None
        arrived = self.tick()
        if place is None:
            self.backplane.begin(sent, arrived)
        else:
            for tag, _ in self.log[place:upto]:
                self.backplane.hear([tag.encode()], arrived)
            self.backplane.vouch(sent)
        self.place = upto

    def give(self, _: str) -> None:
        for tag, asked, right_at in self.near:
            until = self.backplane.until(asked, [tag.encode()])
            for changed, at in self.log:
                if changed == tag and at > right_at:
                    assert until <= at + BOUND, (tag, asked, at, until)


@given(EVENTS, st.sampled_from([1, 2, 100]))
def test_nothing_is_given_out_for_longer_than_the_bound_after_a_change(
    events: list[tuple[str, str]], most: int
) -> None:
    story = Story(most)
    for name, tag in events:
        getattr(story, name)(tag)
        story.give("")


def test_what_changes_is_given_out_as_long_as_all_is_heard() -> None:
    story = Story(100)
    for name in ("follow", "told", "look", "answer"):
        getattr(story, name)("a")
    for _ in range(50):
        story.change("b")
        story.follow("")
        story.told("")
    ((tag, asked, _),) = story.near
    assert story.backplane.until(asked, [tag.encode()]) > story.now + BOUND / 2
