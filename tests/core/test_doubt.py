"""
When a store that answers isn't relied on yet.
"""

from __future__ import annotations

from yokedcache.core.doubt import SECONDS, Doubt

INSISTED = 0.5


class Story:
    def __init__(self) -> None:
        self.now = 100.0
        self.doubt = Doubt(lambda: self.now, insisted=INSISTED)

    def passes(self, seconds: float) -> Story:
        self.now += seconds
        return self

    def answers(self, *, took: float = 0.0, over: bool = False) -> bool:
        return self.doubt.answered(self.now - took, over=over)


def test_a_failure_between_two_answers_is_no_outage() -> None:
    story = Story()
    story.answers()
    story.passes(0.2).doubt.failed()
    assert not story.passes(0.2).answers()
    assert not story.doubt.holds


def test_one_failure_is_one_if_nothing_was_answered_for_as_long_as_others_insist() -> (
    None
):
    story = Story()
    story.answers()
    story.passes(9.0).doubt.failed()
    assert story.answers()
    assert story.doubt.holds
    assert story.passes(0.9 * SECONDS).doubt.holds
    assert not story.passes(0.2 * SECONDS).doubt.holds
    assert not story.answers()


def test_what_counts_is_when_the_answer_was_asked_for() -> None:
    story = Story()
    story.passes(0.4).answers(took=0.4)
    story.doubt.failed()
    assert story.passes(0.2).answers()


def test_silence_without_a_question_is_no_outage() -> None:
    story = Story()
    assert not story.passes(3600.0).answers()


def test_who_knows_that_it_is_over_doubts_at_once() -> None:
    story = Story()
    assert story.answers(over=True)
    assert story.doubt.holds


def test_another_failure_while_it_is_in_doubt_begins_it_anew() -> None:
    story = Story()
    story.answers(over=True)
    story.passes(0.9 * SECONDS).doubt.failed()
    assert story.passes(60.0).doubt.holds
    assert story.answers()
    assert story.passes(0.9 * SECONDS).doubt.holds
    assert not story.passes(0.2 * SECONDS).doubt.holds


def test_it_may_begin_before_anything_was_asked() -> None:
    story = Story()
    story.doubt.begin()
    assert story.passes(60.0).doubt.holds
    assert story.answers()
    assert not story.passes(1.1 * SECONDS).doubt.holds
