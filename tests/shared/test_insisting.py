"""
For how long a commit tries to tell a store of it, by a scripted clock.
"""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from yokedcache.core.breaker import FAILURES
from yokedcache.errors import StoreError
from yokedcache.shared.resting import Rest
from yokedcache.shared.server import Server
from yokedcache.stores.answers import Operation

if TYPE_CHECKING:
    from collections.abc import Generator

PATIENCE = 1.0


class Weather:
    """
    A server as its process meets it: it refuses connections at once, or answers.
    """

    commands = SimpleNamespace()

    def __init__(self) -> None:
        self.now = 100.0
        self.up = True
        self.refusal = ""
        self.takes = 0.0
        """Seconds that it takes to answer, or to fail."""
        self.server: Any = Server(
            self,  # type: ignore[arg-type] - what is asked of a client here
            lambda: self.now,
            itertools.count(1).__next__,
            lease=5.0,
            limit=0.05,
            patience=PATIENCE,
        )

    def perform(self, operation: Operation[Any], limit: float) -> str:
        self.now += min(self.takes, limit)
        if self.refusal:
            facts = {"asked": operation.asked, "refusal": self.refusal}
            raise StoreError("it may not", **facts)
        if not self.up:
            raise StoreError("connection refused", asked=operation.asked)
        return "told"

    def passes(self, seconds: float) -> None:
        self.now += seconds


class Commit:
    """
    What one thread has to tell, step by step.
    """

    def __init__(self, weather: Weather) -> None:
        self._weather = weather
        self._telling: Generator[Any, Any, Any] = weather.server.insisting(
            Operation("bump")
        )
        self._op = next(self._telling)
        self.told: Any = None
        self.refused: StoreError | None = None

    @property
    def over(self) -> bool:
        return self.refused is not None or self.told is not None

    def tries(self) -> None:
        """
        Ask once, and take the rest that follows if it is in vain.
        """
        try:
            try:
                answer = self._weather.server.perform(self._op)
            except StoreError as error:
                self._op = self._telling.throw(error)
            else:
                self._op = self._telling.send(answer)
            if type(self._op) is Rest:
                self._weather.passes(self._op.seconds)
                self._op = self._telling.send(None)
        except StopIteration as stop:
            self.told = stop.value
        except StoreError as error:
            self.refused = error


@pytest.fixture
def weather() -> Weather:
    return Weather()


def test_who_begins_in_a_short_outage_insists_like_whoever_met_it_first(
    weather: Weather,
) -> None:
    """
    Others rely on it: of an outage so short they take no notice.
    """
    weather.up = False
    first = Commit(weather)
    for _ in range(FAILURES):
        first.tries()
    assert weather.server._announcing.failing
    second = Commit(weather)
    second.tries()
    assert not second.over
    weather.up = True
    second.tries()
    assert second.told == "told"
    first.tries()
    assert first.told == "told"


def test_who_begins_once_others_have_insisted_in_vain_tries_once(
    weather: Weather,
) -> None:
    weather.up = False
    first = Commit(weather)
    while not first.over:
        first.tries()
    assert first.refused is not None
    second = Commit(weather)
    second.tries()
    assert second.refused is not None


def test_who_tries_again_has_what_is_left(weather: Weather) -> None:
    weather.up, weather.takes = False, 0.7 * PATIENCE
    began = weather.now
    commit = Commit(weather)
    while not commit.over:
        commit.tries()
    assert weather.now - began < 1.1 * PATIENCE


def test_who_begins_after_another_answer_insists_again(weather: Weather) -> None:
    weather.up = False
    first = Commit(weather)
    while not first.over:
        first.tries()
    weather.up = True
    weather.server.perform(Operation("store"))
    weather.up = False
    second = Commit(weather)
    for _ in range(FAILURES):
        second.tries()
    third = Commit(weather)
    third.tries()
    assert not third.over


def test_what_a_server_refuses_for_good_is_no_reason_not_to_insist(
    weather: Weather,
) -> None:
    weather.refusal = "NOPERM"
    first = Commit(weather)
    first.tries()
    assert first.refused is not None
    weather.refusal, weather.up = "", False
    second = Commit(weather)
    for _ in range(FAILURES):
        second.tries()
    assert not second.over
