"""
Statements of MySQL and MariaDB that their first words tell, beside those of `text_words`.

Many of them commit. What runs text or a body that isn't looked into (CALL, EXECUTE,
a compound statement) is unknown, and may commit on its way.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from yokedcache.sqlalchemy.statements.analysis import (
    ANY_SCHEMA,
    HARMLESS,
    UNKNOWN,
    VERBS,
    Analysis,
)
from yokedcache.sqlalchemy.statements.text_words import target

if TYPE_CHECKING:
    from collections.abc import Callable

_WORD = re.compile(r"[A-Za-z_]+")
_COMMITS = replace(HARMLESS, transaction="commit")
_TEMPORARY = replace(HARMLESS, temporary=True, uncacheable="temporary")

_LITERAL = r"(?:[-+]?[\w.]+|'(?:[^'\\]|\\.|'')*'|\"[^\"\\]*\")"
_VARIABLES = re.compile(
    rf"@[\w.$]+\s*:?=\s*{_LITERAL}(?:\s*,\s*@[\w.$]+\s*:?=\s*{_LITERAL})*\s*"
)
_AUTOCOMMIT = re.compile(
    r"(?:(?:SESSION|LOCAL)\s+|@@(?:(?:SESSION|LOCAL)\s*\.\s*)?)?AUTOCOMMIT\s*:?=\s*\w+\s*",
    re.IGNORECASE,
)
_ACCOUNT = re.compile(r"(?:PASSWORD|DEFAULT\s+ROLE)\b", re.IGNORECASE)
"""What SET writes to the server's own tables, as GRANT does."""
_LOADED = re.compile(
    r"(?:DATA|XML)\b.*?\bINTO\s+TABLE\s+(?P<rest>.*)", re.IGNORECASE | re.DOTALL
)
_COMPUTED = re.compile(r"\bSET\b.*\(", re.IGNORECASE | re.DOTALL)
_FILLED = re.compile(r"\b(?:SELECT|WITH|VALUES|TABLE\s+`?\w+`?\s*$)", re.IGNORECASE)
_DML = re.compile(
    r"(?:FORMAT\s*=\s*\S+\s+)?(?:SELECT|INSERT|UPDATE|DELETE|REPLACE|WITH)\b",
    re.IGNORECASE,
)


def by_word_of_mysql(statement: str) -> Analysis | None:
    """
    Answer for a statement that is MySQL's own; None for what all databases have.
    """
    found = _WORD.match(statement)
    judge = None if found is None else _JUDGES.get(found.group().upper())
    if found is None or judge is None:
        return None
    return judge(statement[found.end() :].strip())


def _begin(rest: str) -> Analysis:
    # BEGIN NOT ATOMIC ... END is a body, not a transaction
    plain = rest.upper() in {"", "WORK"}
    return replace(HARMLESS, transaction="begin") if plain else UNKNOWN


def _set(rest: str) -> Analysis | None:
    if _VARIABLES.fullmatch(rest):
        return HARMLESS
    if _AUTOCOMMIT.fullmatch(rest) or _ACCOUNT.match(rest):
        return _COMMITS
    # 1. SET STATEMENT ... FOR runs a statement.
    # 2. A value may be a query, or the answer of a function that writes.
    if rest[:9].upper() == "STATEMENT" or "(" in rest:
        return UNKNOWN
    return None


def _xa(rest: str) -> Analysis:
    found = _WORD.match(rest)
    word = found.group().upper() if found else ""
    if word in {"END", "RECOVER"}:
        return HARMLESS
    ending = _ENDINGS.get(word)
    if ending is None:
        return UNKNOWN
    # Prepared elsewhere, perhaps: then its writes are not known here.
    return replace(HARMLESS, transaction=ending, unknown_write=word == "COMMIT")


_ENDINGS = {
    "START": "begin",
    "BEGIN": "begin",
    "PREPARE": "prepare",
    "COMMIT": "commit",
    "ROLLBACK": "rollback",
}


def _load(rest: str) -> Analysis:
    found = _LOADED.match(rest)
    if found is None:
        return _COMMITS if rest[:5].upper() == "INDEX" else UNKNOWN
    answer = target(found["rest"], *VERBS)
    return replace(
        answer,
        unknown_write=answer.unknown_write or bool(_COMPUTED.search(found["rest"])),
    )


def _analyze(rest: str) -> Analysis:
    return HARMLESS if _DML.match(rest) else _COMMITS


def _create(rest: str) -> Analysis | None:
    begins = re.match(r"(?:OR\s+REPLACE\s+)?TEMPORARY\s+TABLE\b", rest, re.IGNORECASE)
    return _TEMPORARY if begins and not _FILLED.search(rest, begins.end()) else None


def _drop(rest: str) -> Analysis | None:
    return _TEMPORARY if re.match(r"TEMPORARY\b", rest, re.IGNORECASE) else None


def _use(_rest: str) -> Analysis:
    return replace(HARMLESS, context=True, schemas=frozenset({ANY_SCHEMA}))


def _harmless(_rest: str) -> Analysis:
    return HARMLESS


def _commits(_rest: str) -> Analysis:
    return _COMMITS


_JUDGES: dict[str, Callable[[str], Analysis | None]] = {
    "BEGIN": _begin,
    "SET": _set,
    "XA": _xa,
    "LOAD": _load,
    "ANALYZE": _analyze,
    "CREATE": _create,
    "DROP": _drop,
    "USE": _use,
    **dict.fromkeys(("HANDLER", "HELP", "KILL"), _harmless),
    **dict.fromkeys(
        ("CACHE", "CHECK", "CHECKSUM", "FLUSH", "OPTIMIZE", "REPAIR", "RESET"),
        _commits,
    ),
}
