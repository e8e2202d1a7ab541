"""
What a string of SQL reads, writes and does.

The string is cut into statements; transaction control, settings, pragmas, DDL and
maintenance are told by their first words (`text_words`), queries and DML are parsed
(`text_tree`, which imports sqlglot when first used). What neither understands is
`UNKNOWN`. Answers are remembered, since an application sends few distinct strings.
"""

from __future__ import annotations

import re
from functools import lru_cache

from yokedcache.sqlalchemy.analysis import HARMLESS, UNKNOWN, Analysis, Notes
from yokedcache.sqlalchemy.functions import family
from yokedcache.sqlalchemy.text_words import (
    SPACE,
    by_first_word,
    inner_statement,
    parsed_form,
)

_FAMILIES = ("postgresql", "sqlite", "mysql")

_LITERALS = r"""
    '(?:[^']|'')*'
  | "(?:[^"]|"")*"
  | `[^`]*`
  | --[^\n]*
  | /\*(?s:.*?)\*/
"""
_TOKENS = {
    "postgresql": re.compile(
        r"\b[eE]'(?:[^'\\]|\\.|'')*' | (?P<d>\$(?:[A-Za-z_]\w*)?\$)(?s:.*?)(?P=d) |"
        + _LITERALS
        + r"| ;",
        re.VERBOSE,
    ),
    "sqlite": re.compile(_LITERALS + r"| \[[^\]]*\] | ;", re.VERBOSE),
    "mysql": re.compile(
        r"""'(?:[^'\\]|\\.|'')*' | "(?:[^"\\]|\\.|"")*" | \#[^\n]* |"""
        + _LITERALS
        + r"| ;",
        re.VERBOSE,
    ),
}

_ROUTINE = re.compile(
    r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:DEFINER\s*=\s*\S+\s+)?(?:TEMP\s+|TEMPORARY\s+)?"
    r"(?:CONSTRAINT\s+)?(?:TRIGGER|FUNCTION|PROCEDURE|EVENT)\b",
    re.IGNORECASE,
)
_PLACES = re.compile(
    r"""(?P<schema>"?__\[SCHEMA_[^\]]+\]"?\s*\.)
      | (?P<bind>__\[POSTCOMPILE_[^\]]+\]|(?<![\w?])\?\d+)
      | (?P<percent>%%)""",
    re.VERBOSE,
)


def analyse_text(sql: str, dialect_name: str) -> Analysis:
    """
    Say what a string of one or several statements reads, writes and does.
    """
    return _analyse(sql, family(dialect_name))


@lru_cache(maxsize=2048)
def _analyse(sql: str, group: str) -> Analysis:
    if group not in _FAMILIES:
        return UNKNOWN
    statements = split(_without_places(sql), group)
    if not statements:
        return HARMLESS
    if len(statements) == 1:
        return _analyse_one(statements[0], group)
    notes = Notes()
    for statement in statements:
        notes.add(_analyse_one(statement, group))
    notes.refuse("not_a_select")
    return notes.freeze()


def _without_places(sql: str) -> str:
    # What SQLAlchemy leaves in a compiled string for the time of execution, and
    # the percent signs that it doubles for drivers of the format styles.
    def replace(match: re.Match[str]) -> str:
        if match["schema"]:
            return ""
        return "NULL" if match["bind"] else "%"

    return _PLACES.sub(replace, sql)


def without_comments(sql: str, dialect_name: str) -> str:
    """
    Take the comments out of a string of SQL, but not what only looks like one.
    """

    def replace(match: re.Match[str]) -> str:
        token = match.group()
        plain = token.startswith("/*") and not token.startswith(("/*!", "/*M!"))
        return " " if plain else token

    tokens = _TOKENS.get(family(dialect_name))
    return sql if tokens is None else tokens.sub(replace, sql).strip()


def split(sql: str, group: str) -> list[str]:
    """
    Cut a string into its statements, without leading comments and empty ones.
    """
    start = SPACE.match(sql)
    begin = start.end() if start else 0
    if _ROUTINE.match(sql, begin):
        # Bodies of routines hold semicolons of their own.
        return [sql[begin:]]
    pieces, last = [], begin
    for token in _TOKENS[group].finditer(sql, begin):
        if token.group() == ";":
            pieces.append(sql[last : token.start()])
            last = token.end()
    pieces.append(sql[last:])
    bare = (SPACE.sub("", piece, count=1).rstrip() for piece in pieces)
    return [piece for piece in bare if piece]


def _analyse_one(statement: str, group: str) -> Analysis:
    known = by_first_word(statement, group)
    if known is not None:
        return _with_inner(known, statement, group)
    form = parsed_form(statement, group)
    if form is None:
        return UNKNOWN
    try:
        # Slow to import, and not always installed.
        from yokedcache.sqlalchemy.text_tree import analyse_tree
    except ModuleNotFoundError:
        return UNKNOWN
    return analyse_tree(form.sql, group, replaces=form.replaces)


def _with_inner(known: Analysis, statement: str, group: str) -> Analysis:
    # EXPLAIN ANALYZE, CREATE TABLE AS, COPY (query) and such run a statement.
    inner = inner_statement(statement)
    if inner is None:
        return known
    notes = Notes()
    notes.add(known)
    notes.add(_analyse(inner, group))
    return notes.freeze()
