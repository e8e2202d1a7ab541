"""
Hypothesis strategies shared by all tests, and the comparison they need.

`==` is too kind for a cache: it takes `1` for `True` and `1.0`, and never takes
one NaN for another. `exactly` compares types all the way down.
"""

from __future__ import annotations

import enum
import math
from collections import OrderedDict, deque
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from hypothesis import strategies as st


class Colour(enum.Enum):
    """
    An enum whose values collide with nothing of their own.
    """

    RED = 1
    GREEN = "green"


class Right(enum.Flag):
    """
    Flags, of which a combination has no name.
    """

    READ = 1
    WRITE = 2


class Point(NamedTuple):
    """
    A tuple with a class.
    """

    x: Any
    y: Any


@dataclass
class Box:
    """
    A record that can change.
    """

    label: str
    content: Any = None


@dataclass(frozen=True, slots=True)
class Seal:
    """
    A record that can't change, with slots.
    """

    number: int
    text: str = ""


ZONES = (None, timezone.utc, ZoneInfo("Europe/Paris"), ZoneInfo("America/New_York"))  # noqa: UP017

offsets = st.integers(-86_399, 86_399).map(lambda s: timezone(timedelta(seconds=s)))
named_offsets = st.builds(
    lambda minutes, name: timezone(timedelta(minutes=minutes), name),
    st.integers(-1439, 1439),
    st.text(max_size=5),
)
zones = st.sampled_from(ZONES) | offsets | named_offsets
moments = st.builds(
    lambda moment, zone, fold: moment.replace(tzinfo=zone, fold=fold),
    st.datetimes(),
    zones,
    st.integers(0, 1),
)
clocks = st.builds(
    lambda clock, zone, fold: clock.replace(tzinfo=zone, fold=fold),
    st.times(),
    zones,
    st.integers(0, 1),
)
texts = st.text(st.characters(), max_size=8)
"""Text with lone surrogates."""

few = st.sampled_from(
    [
        *(0, 1, -1, True, False, None, 0.0, -0.0, 1.0, 1j, math.nan, 2**64, ()),
        *("", "1", "None", "True", "i1;", b"", b"1", b"i1;"),
        *(Decimal("1.0"), Decimal("1.00")),
    ]
)
"""Few values, often nearly the same: pairs of them collide where they can."""

scalars = st.one_of(
    few,
    st.integers(),
    st.integers(-(2**200), 2**200),
    st.floats(),
    st.complex_numbers(),
    texts,
    st.binary(max_size=8),
    # Signalling NaNs have no hash; a test of their own has them.
    st.decimals().filter(lambda number: not number.is_snan()),
    st.fractions(),
    moments,
    clocks,
    st.dates(),
    st.timedeltas(),
    st.uuids(),
    st.sampled_from([*Colour, Right.READ, Right.READ | Right.WRITE]),
    st.ip_addresses(),
    st.builds(Seal, st.integers(), texts),
    st.builds(range, st.integers(), st.integers(), st.integers(1, 9)),
)


def _nest(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keys = st.one_of(few, texts, st.tuples(scalars, scalars), moments)
    return st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
        st.dictionaries(texts, inner, max_size=3).map(OrderedDict),
        st.lists(inner, max_size=3).map(lambda items: deque(items, 5)),
        st.sets(scalars, max_size=4),
        st.frozensets(scalars, max_size=4),
        st.binary(max_size=5).map(bytearray),
        st.builds(Point, inner, inner),
        st.builds(Box, texts, inner),
    )


values = st.recursive(scalars, _nest, max_leaves=12)
"""Values of every kind that is kept exactly."""

small_values = st.recursive(
    few,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.lists(inner, max_size=2).map(tuple),
        st.sets(few, max_size=2),
        st.frozensets(few, max_size=2),
        st.dictionaries(few, inner, max_size=2),
        st.builds(Box, st.just("b"), inner),
        st.builds(Point, inner, inner),
    ),
    max_leaves=3,
)
"""Values from so small a space that two of them are often equal."""


def exactly(one: Any, other: Any) -> bool:  # noqa: PLR0911  (one a kind)
    """
    Tell whether two values are equal and of the same types all the way down.
    """
    if type(one) is not type(other):
        return False
    if is_dataclass(one):
        names = [field.name for field in fields(one)]
        return all(exactly(getattr(one, n), getattr(other, n)) for n in names)
    if isinstance(one, (list, tuple, deque)):
        return len(one) == len(other) and all(map(exactly, one, other))
    if isinstance(one, OrderedDict):
        return exactly(list(one.items()), list(other.items()))
    if isinstance(one, dict):
        return _same_members(list(one.items()), list(other.items()))
    if isinstance(one, (set, frozenset)):
        return _same_members(list(one), list(other))
    return _same_scalar(one, other)


def _same_members(ones: list[Any], others: list[Any]) -> bool:
    rest = list(others)
    for one in ones:
        place = next((i for i, other in enumerate(rest) if exactly(one, other)), None)
        if place is None:
            return False
        del rest[place]
    return not rest


def _same_scalar(one: Any, other: Any) -> bool:
    if isinstance(one, (datetime, time)):
        naive = one.replace(tzinfo=None) == other.replace(tzinfo=None)
        same_fold = one.fold == other.fold
        return naive and same_fold and exactly(one.tzinfo, other.tzinfo)
    if isinstance(one, timezone):
        return repr(one) == repr(other)
    if isinstance(one, (float, complex, Decimal, range)):
        return repr(one) == repr(other)
    return bool(one == other)
