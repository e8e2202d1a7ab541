"""
One reading of every duration that a user may write.

A TTL or a time limit is given as seconds, as a `timedelta` or as text such as
`"5m"`; inside the library it is a `float` of seconds and nothing else. What
can't be meant is refused here, once, with the argument's name in the message.
"""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Final, TypeAlias

from yokedcache.errors import DurationError

Duration: TypeAlias = int | float | timedelta | str
"""What users may write: seconds, a `timedelta`, or text such as `"1h30m"`."""

LONGEST: Final = 100 * 365.25 * 86_400.0
"""A hundred years in seconds; more than that is a slip of the unit."""

UNITS: Final = {
    "w": 604_800.0,
    "d": 86_400.0,
    "h": 3_600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 0.001,
}
"""Seconds in each unit, in the order in which text must name them."""

_TEXT: Final = re.compile(
    r"\s*".join(rf"(?:([0-9]+(?:\.[0-9]+)?){unit})?" for unit in UNITS)
)


def seconds(value: Duration, *, name: str = "ttl", allow_zero: bool = False) -> float:
    """
    Give a duration in seconds, or say what is wrong with it.

    Args:
        name: The argument as the caller wrote it, for the error's message.
        allow_zero: Whether no time at all can be meant.
    """
    number = _number(value, name)
    if number != number:  # noqa: PLR0124  (NaN, without turning a huge int into a float)
        raise _refusal(name, value, "isn't a number")
    if number < 0:
        raise _refusal(name, value, "is negative; a duration starts at zero")
    if number == 0 and not allow_zero:
        reason = (
            "is no time at all; to keep nothing don't decorate the function, or give "
            "the statement `.options(NoCache())`"
        )
        raise _refusal(name, value, reason)
    if number > LONGEST:
        raise _refusal(name, value, "is more than 100 years; is the unit right?")
    return float(number)


def optional_seconds(value: Duration | None, *, name: str = "ttl") -> float | None:
    """
    Give a duration in seconds, or `None` for `None`: something else will say.
    """
    return None if value is None else seconds(value, name=name)


def _number(value: object, name: str) -> float:
    """
    Turn any spelling into a number that may still be out of range.
    """
    if isinstance(value, bool):
        reason = "is a bool; write a number of seconds, a timedelta or text like '5m'"
        raise _refusal(name, value, reason)
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str):
        return _read(value, name)
    reason = (
        f"is a {type(value).__qualname__}; write a number of seconds, a timedelta "
        "or text like '5m'"
    )
    raise _refusal(name, value, reason)


def _read(text: str, name: str) -> float:
    """
    Read text such as `"250ms"` or `"1h30m"`.
    """
    found = _TEXT.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        reason = (
            "can't be read; write whole or decimal numbers with the units "
            "w, d, h, m, s, ms in this order, such as '250ms', '30s' or '1h30m'"
        )
        raise _refusal(name, text, reason)
    parts = zip(found.groups(), UNITS.values(), strict=True)
    return math.fsum(float(part) * unit for part, unit in parts if part)


def _refusal(name: str, value: object, reason: str) -> DurationError:
    # repr() of an int of thousands of digits raises by itself.
    shown = (
        "an int"
        if isinstance(value, int) and abs(value) > LONGEST
        else f"{value!r:.80}"
    )
    return DurationError(f"{name}={shown} {reason}", argument=name, value=value)
