"""
What may be done with an entry at which moment; stale options never mend a vector.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yokedcache.core.entry import MISS, Entry, Lifetime, Tally
from yokedcache.core.freshness import Verdict, early_window, judge
from yokedcache.core.tags import TagTable, Vector

times = st.floats(0, 1_000)
draws = st.floats(1e-9, 1.0)


def make(
    *, lifetime: Lifetime, cost: float = 1.0, vector: Vector = (), born: float = 0.0
) -> Entry:
    return Entry(
        "v",
        copier=None,
        vector=vector,
        born=born,
        cost=cost,
        lifetime=lifetime,
        weight=1,
    )


@pytest.mark.parametrize(
    ("now", "verdict"),
    [
        (0.0, Verdict.FRESH),
        (9.999, Verdict.FRESH),
        (10.0, Verdict.STALE),
        (14.999, Verdict.STALE),
        (15.0, Verdict.FALLBACK),
        (29.999, Verdict.FALLBACK),
        (30.0, Verdict.GONE),
    ],
)
def test_an_entry_passes_through_its_ages(now: float, verdict: Verdict) -> None:
    entry = make(lifetime=Lifetime(10.0, stale=5.0, on_error=20.0))
    assert judge(entry, now) is verdict


def test_without_options_an_entry_ends_at_its_ttl() -> None:
    entry = make(lifetime=Lifetime(10.0))
    assert judge(entry, 10.0) is Verdict.GONE
    assert entry.gone_at == 10.0


def test_who_may_be_served_stale_may_be_served_on_error() -> None:
    entry = make(lifetime=Lifetime(10.0, stale=20.0, on_error=5.0))
    assert entry.error_until == entry.stale_until == 30.0


@given(
    st.builds(Lifetime, times, times, times, times),
    times,
    times,
    draws,
    st.floats(0, 9),
)
def test_an_entry_whose_vector_broke_is_gone_whatever_its_options_say(
    lifetime: Lifetime, now: float, cost: float, draw: float, beta: float
) -> None:
    tags = TagTable()
    entry = make(lifetime=lifetime, cost=cost, vector=tags.stamp(["t"]).vector)
    tags.bump(["t"])
    assert judge(entry, now, beta=beta, draw=draw) is Verdict.GONE


@given(st.builds(Lifetime, times, times, times), times, times)
def test_time_never_makes_an_entry_younger(
    lifetime: Lifetime, one: float, other: float
) -> None:
    ages = list(Verdict)
    ages.remove(Verdict.EARLY)
    entry = make(lifetime=lifetime)
    early, late = sorted((one, other))
    assert ages.index(judge(entry, early)) <= ages.index(judge(entry, late))


class TestEarly:
    def test_the_nearer_the_end_the_likelier(self) -> None:
        entry = make(lifetime=Lifetime(10.0), cost=1.0)
        drawn = [
            sum(
                judge(entry, now, beta=1.0, draw=step / 1000) is Verdict.EARLY
                for step in range(1, 1001)
            )
            for now in (1.0, 5.0, 8.0, 9.0, 9.9)
        ]
        assert drawn == sorted(drawn)
        assert drawn[0] == 0
        assert drawn[-1] > 900

    def test_the_unluckiest_draw_never_renews(self) -> None:
        entry = make(lifetime=Lifetime(10.0), cost=5.0)
        assert judge(entry, 9.999, beta=1.0, draw=1.0) is Verdict.FRESH

    def test_is_off_without_beta(self) -> None:
        entry = make(lifetime=Lifetime(10.0), cost=1e9)
        assert judge(entry, 9.999, draw=1e-9) is Verdict.FRESH

    def test_never_speaks_of_what_has_ended(self) -> None:
        entry = make(lifetime=Lifetime(10.0), cost=1e9)
        assert judge(entry, 10.0, beta=1.0, draw=1e-9) is Verdict.GONE

    @given(draws, st.floats(0.001, 50), st.floats(0.1, 5), st.floats(1, 1_000))
    def test_nobody_is_drawn_before_the_window(
        self, draw: float, cost: float, beta: float, ttl: float
    ) -> None:
        window = early_window(cost, beta, ttl)
        assert 0 <= window <= ttl
        entry = make(lifetime=Lifetime(ttl, early=window), cost=cost)
        plain = entry.soft_until * (1 - 1e-9) - 1e-9
        if plain >= 0:
            assert judge(entry, plain, beta=beta, draw=draw) is Verdict.FRESH


def test_a_miss_is_falsy_and_says_its_name() -> None:
    assert not MISS
    assert repr(MISS) == "MISS"
    assert MISS is not None


def test_reading_gives_each_reader_its_own() -> None:
    kept = [1]
    entry = make(lifetime=Lifetime(1.0))
    entry.value = entry.given = kept
    assert entry.read() is entry.given is kept
    entry.isolate(list)
    for first in (entry.read(), entry.given):
        first.append(2)
    assert entry.read() == entry.given == [1]


def test_a_tally_takes_over_the_hits_of_an_entry_that_leaves() -> None:
    tally, entry = Tally("f"), make(lifetime=Lifetime(1.0), cost=2.0)
    entry.hits = 3
    tally.retire(entry)
    tally.refuse("dirty")
    tally.refuse("dirty")
    tally.bypass("closed")
    assert (tally.hits, tally.saved) == (3, 6.0)
    assert (tally.refusals, tally.bypasses) == ({"dirty": 2}, {"closed": 1})
