"""
Every spelling of a duration, and every slip of one.
"""

from __future__ import annotations

import math
import pickle
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yokedcache.core.durations import LONGEST, optional_seconds, seconds
from yokedcache.errors import DurationError


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        (30, 30.0),
        (0.25, 0.25),
        (timedelta(minutes=1, milliseconds=5), 60.005),
        ("250ms", 0.25),
        ("30s", 30.0),
        ("5m", 300.0),
        ("2h", 7200.0),
        ("1d", 86_400.0),
        ("1w", 604_800.0),
        ("1h30m", 5400.0),
        (" 1h 30m ", 5400.0),
        ("1.5h", 5400.0),
        ("1w1d1h1m1s1ms", 694_861.001),
    ],
)
def test_spellings(spelling: object, expected: float) -> None:
    found = seconds(spelling)  # type: ignore[arg-type]
    assert found == pytest.approx(expected)
    assert type(found) is float


@pytest.mark.parametrize(
    "slip",
    [
        *(True, False, -1, -0.5, math.nan, math.inf, -math.inf, 10**400, LONGEST * 2),
        *(timedelta(seconds=-1), timedelta(days=40_000), None, b"5m", [5], 1j),
        *("", " ", "30", "m", "-5m", "5 minutes", "1m1h", "1h1h", "5M", "1e3s", "٣s"),
        "5200w1d" * 2,
    ],
)
def test_slips_are_refused_and_named(slip: object) -> None:
    with pytest.raises(DurationError) as caught:
        seconds(slip, name="stale_for")  # type: ignore[arg-type]
    assert "stale_for=" in str(caught.value)
    assert caught.value.argument == "stale_for"
    assert pickle.loads(pickle.dumps(caught.value)).argument == "stale_for"


@pytest.mark.parametrize("nothing", [0, 0.0, "0s", timedelta()])
def test_zero_must_be_allowed(nothing: object) -> None:
    with pytest.raises(DurationError, match="NoCache"):
        seconds(nothing)  # type: ignore[arg-type]
    assert seconds(nothing, allow_zero=True) == 0.0  # type: ignore[arg-type]


def test_none_is_no_limit() -> None:
    assert optional_seconds(None) is None
    assert optional_seconds("5m") == 300.0
    with pytest.raises(DurationError):
        optional_seconds(0)


@given(st.integers(0, 400), st.integers(0, 23), st.integers(0, 59), st.integers(1, 999))
def test_text_is_the_sum_of_its_parts(d: int, h: int, m: int, ms: int) -> None:
    delta = timedelta(days=d, hours=h, minutes=m, milliseconds=ms)
    assert seconds(f"{d}d{h}h{m}m{ms}ms") == pytest.approx(delta.total_seconds())
