"""
The present moment, where it isn't named plainly: as text that is read as a time.

1. SQLite's date functions read the clock when they are handed the text 'now'.
2. PostgreSQL reads 'now', 'today', 'tomorrow' and 'yesterday' wherever text becomes
   a time, whatever stands around them: '10:00 today', '[now,)', '{now}'.

Text that stands in a statement is judged when the statement is analysed. What is
bound differs from one execution to the next, so an `Analysis` only says where such
text would matter, and `names_present` judges the values before they are stored.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import NoneType
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from yokedcache.sqlalchemy.statements.sql_functions import family, words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from yokedcache.sqlalchemy.statements.analysis import Analysis

ANY_BIND = "*"
"""
Stands for all the parameters of a statement.
"""

COMPOSING = words("""
    aggregate_strings array_to_string btrim concat concat_ws format group_concat initcap
    left lower lpad ltrim overlay printf regexp_match regexp_matches regexp_replace
    regexp_split_to_array regexp_split_to_table regexp_substr repeat replace reverse right
    rpad rtrim split_part string_agg string_to_array string_to_table substr substring
    to_char trim ts_headline upper
""")
"""
Functions that make text of the text they are handed.
"""

MAKING = words("""
    char chr convert convert_from decode encode translate unhex unistr
""")
"""
Functions that make text of what doesn't show it.
"""

_PRESENT = re.compile(
    r"(?<![a-z])(?:now|today|tomorrow|yesterday)(?![a-z])", re.IGNORECASE | re.ASCII
)
_NOW = re.compile(r'"\s*now\s*"', re.IGNORECASE)
_OF_SQLITE = frozenset({"now", "subsec", "subsecond"})
_WORDS = {
    "postgresql": [set("now"), set("today"), set("tomorrow"), set("yesterday")],
    "sqlite": [set("now")],
}
_PLAIN: Final = frozenset(
    {NoneType, bool, bytes, int, float, Decimal, UUID, date, datetime, time, timedelta}
)
"""
Types of values that never are text.
"""


def names_the_present(literal: str, dialect_name: str) -> bool:
    """
    Tell whether a string literal means the present wherever a time is expected.
    """
    if family(dialect_name) == "postgresql":
        return _PRESENT.search(literal) is not None
    return literal.strip().lower() in _OF_SQLITE


def may_spell(pieces: Iterable[str], dialect_name: str) -> bool:
    """
    Tell whether a word for the present may be put together of these.
    """
    letters = set(unicodedata.normalize("NFKC", "".join(pieces)).lower())
    return any(word <= letters for word in _WORDS.get(family(dialect_name), ()))


def names_present(
    analysis: Analysis, parameters: Any, dialect_name: str, compiled: Any = None
) -> bool:
    """
    Tell whether one of a statement's parameters means the present where it is bound.

    Args:
        parameters: As the driver is sent them, by position or by name.
        compiled: The statement, if its parameters are sent in the order it has them.
    """
    if not analysis.timed or not parameters:
        return False
    if compiled is not None and compiled.positional:
        parameters = dict(zip(compiled.positiontup, parameters, strict=True))
    return any(
        type(value) not in _PLAIN and _holds_the_present(str(value), dialect_name)
        for value in _timed(analysis.timed, parameters)
    )


def _holds_the_present(value: str, dialect_name: str) -> bool:
    # JSON on SQLite is bound as text, of which clocks are handed pieces
    held = family(dialect_name) == "sqlite" and _NOW.search(value) is not None
    return held or names_the_present(value, dialect_name)


def _timed(names: frozenset[str], parameters: Any) -> Iterable[Any]:
    if not isinstance(parameters, Mapping):
        return parameters  # type: ignore[no-any-return]
    if ANY_BIND in names:
        return parameters.values()
    # each value of an expanded list has the name of the list, and a number
    return (
        value
        for name, value in parameters.items()
        if name in names or name.rpartition("_")[0] in names
    )
