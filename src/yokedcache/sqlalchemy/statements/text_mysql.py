"""
What MySQL and MariaDB write otherwise than the rest of the analysis reads it.

1. Comments that are code: `/*! ... */` is executed, `--` without a space after it is
   two minus signs, and `#` begins a comment.
2. Words that say how urgent a change is, which the parser doesn't know.
3. Where a SELECT may put its answer: variables and files.
"""

from __future__ import annotations

import re

_MARKS = re.compile(
    r"""(?P<kept>'(?:[^'\\]|\\(?s:.)|'')*' | "(?:[^"\\]|\\(?s:.)|"")*" | `[^`]*`)
      | /\*M?!(?:\d{5,6})?(?P<code>(?s:.*?))\*/
      | (?P<comment>\#[^\n]* | --(?=[\x00-\x20]|$)[^\n]* | /\*(?s:.*?)\*/)
      | (?P<minus>--)""",
    re.VERBOSE,
)
_URGENCY = re.compile(
    r"(INSERT|REPLACE|UPDATE|DELETE)((?:\s+(?:LOW_PRIORITY|HIGH_PRIORITY|DELAYED|QUICK"
    r"|IGNORE)\b)+)(?!\s*[.=])",
    re.IGNORECASE,
)
_MANNERS = re.compile(
    r"\b(SELECT)((?:\s+(?:SQL_SMALL_RESULT|SQL_BIG_RESULT|SQL_BUFFER_RESULT|SQL_CACHE"
    r"|SQL_NO_CACHE|HIGH_PRIORITY|STRAIGHT_JOIN)\b)+)",
    re.IGNORECASE,
)
_TO_VARIABLES = r"INTO\s+@[\w.$]+(?:\s*,\s*@[\w.$]+)*"
_TO_FILE = (
    r"INTO\s+(?:OUTFILE|DUMPFILE)\s+(?:'[^']*'|\"[^\"]*\")(?:\s+(?:CHARACTER\s+SET\s+\w+"
    r"|FIELDS|COLUMNS|TERMINATED|OPTIONALLY|ENCLOSED|ESCAPED|STARTING|LINES|BY"
    r"|'(?:[^'\\]|\\.|'')*'))*"
)
_QUERY = re.compile(r"\(*\s*(?:SELECT|WITH)\b", re.IGNORECASE)
_DESTINATION = re.compile(rf"\b(?:{_TO_VARIABLES}|{_TO_FILE})", re.IGNORECASE)


def spelled_out(sql: str) -> str:
    """
    Return a string with a space for each comment, and with the code of those that run.
    """
    if "--" not in sql and "/*" not in sql and "#" not in sql:
        return sql
    return _MARKS.sub(_plain, sql)


def _plain(found: re.Match[str]) -> str:
    if found["kept"] is not None:
        return found["kept"]
    if found["code"] is not None:
        return f" {spelled_out(found['code'])} "
    return " " if found["comment"] is not None else "- -"


def without_manners(statement: str) -> str:
    """
    Return a query or DML statement without the words that say how to go about it.
    """
    return _MANNERS.sub(r"\1", _URGENCY.sub(r"\1", statement, count=1))


def without_destination(statement: str) -> str | None:
    """
    Return a SELECT without the place that its answer goes to; None if it has none.
    """
    if not _QUERY.match(statement):
        return None
    plain, found = _DESTINATION.subn(" ", statement)
    return plain if found else None
