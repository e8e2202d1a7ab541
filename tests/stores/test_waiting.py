"""
Time limits in threads, by a clock that is turned by hand.
"""

from __future__ import annotations

import pytest

from yokedcache.stores import waiting
from yokedcache.stores.waiting import limit, within


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(waiting, "monotonic", made)
    return made


def wait(clock: Clock, seconds: float, *, ready: float = 0.0) -> float:
    """
    Wait for an answer that comes after so many seconds; give what was left before.

    `ready`: so much later the thread is given its processor.
    """
    left = limit().left()
    clock.now += min(seconds, left) + ready
    return left


def test_all_waits_count_together(clock: Clock) -> None:
    with within(1.0):
        assert wait(clock, 0.3) == 1.0
        assert wait(clock, 0.3) == pytest.approx(0.7)
        clock.now += 0.4
        with pytest.raises(TimeoutError):
            limit().left()


def test_a_thread_that_was_busy_comes_late(clock: Clock) -> None:
    with within(1.0):
        clock.now += 30.0
        assert wait(clock, 0.3) == pytest.approx(0.9)
        clock.now += 0.01
        assert limit().left() == pytest.approx(0.59)


def test_a_late_thread_is_no_late_answer(clock: Clock) -> None:
    with within(1.0):
        wait(clock, 0.2, ready=30.0)
        assert limit().left() == pytest.approx(0.9)


def test_a_late_thread_ends_all_the_same(clock: Clock) -> None:
    def ended() -> bool:
        try:
            wait(clock, 0.2, ready=30.0)
        except TimeoutError:
            return True
        return False

    with within(1.0):
        assert any(ended() for _ in range(2 * waiting.PARTS))


def test_one_within_another_is_no_longer(clock: Clock) -> None:
    with within(1.0):
        with within(0.5):
            assert wait(clock, 2.0) == 0.5
        with within(5.0):
            assert wait(clock, 0.2) == pytest.approx(0.5)
        assert limit().left() == pytest.approx(0.3)


def test_there_is_none_outside(clock: Clock) -> None:
    assert wait(clock, 1000.0) == float("inf")
    assert limit().left() == float("inf")
