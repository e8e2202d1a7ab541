"""
What a string of SQL reads, writes and does.

The string is cut into statements; transaction control, settings, pragmas, DDL and
maintenance are told by their first words (`text_words`), queries and DML are parsed
(`text_tree`, which imports sqlglot when first used). What neither understands is
`UNKNOWN`. Answers are remembered, since an application sends few distinct strings.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from yokedcache.sqlalchemy.statements.analysis import (
    ANY_SCHEMA,
    HARMLESS,
    UNKNOWN,
    Analysis,
    Notes,
)
from yokedcache.sqlalchemy.statements.sql_functions import family
from yokedcache.sqlalchemy.statements.text_mysql import (
    spelled_out,
    without_destination,
    without_manners,
)
from yokedcache.sqlalchemy.statements.text_words import (
    SPACE,
    by_first_word,
    inner_statement,
    parsed_form,
)
from yokedcache.sqlalchemy.statements.text_words_mysql import by_word_of_mysql

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
        r"""'(?:[^'\\]|\\(?s:.)|'')*' | "(?:[^"\\]|\\(?s:.)|"")*" | `[^`]*` | ;""",
        re.VERBOSE,
    ),
}

_REMARKED = {
    **_TOKENS,
    "mysql": re.compile(
        _TOKENS["mysql"].pattern + r"| \#[^\n]* | --(?=\s|$)[^\n]* | /\*(?s:.*?)\*/",
        re.VERBOSE,
    ),
}
"""What comments have to be told from."""
_CODE = ("/*!", "/*M!", "/*+")
"""How comments begin that MySQL runs, or takes for settings."""

_ROUTINE = re.compile(
    r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:DEFINER\s*=\s*\S+\s+)?(?:TEMP\s+|TEMPORARY\s+)?"
    r"(?:CONSTRAINT\s+)?(?:TRIGGER|FUNCTION|PROCEDURE|EVENT)\b",
    re.IGNORECASE,
)
_COUNTS = re.compile(r"SELECT\b(?s:.*)\bSQL_CALC_FOUND_ROWS\b", re.IGNORECASE)
_TRANSLATED = "__[SCHEMA_"
_PLACES = re.compile(
    r"""(?P<schema>"?__\[SCHEMA_[^\]]+\]"?\s*\.)
      | (?P<bind>__\[POSTCOMPILE_[^\]]+\]|(?<![\w?])\?\d+)
      | (?P<percent>%%)
      | (?P<format>%s|%\([^)]*\)s)""",
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
    plain = _without_places(sql, group)
    if group == "mysql":
        plain = spelled_out(plain)
    answer = _analyse_each(split(plain, group), group)
    if _TRANSLATED in sql:
        return replace(answer, schemas=answer.schemas | {ANY_SCHEMA})
    return answer


def _analyse_each(statements: list[str], group: str) -> Analysis:
    if not statements:
        return HARMLESS
    if len(statements) == 1:
        return _analyse_one(statements[0], group)
    notes = Notes()
    for statement in statements:
        notes.add(_analyse_one(statement, group))
    notes.refuse("not_a_select")
    return notes.freeze()


def _without_places(sql: str, group: str) -> str:
    # What SQLAlchemy leaves in a compiled string for the time of execution, the
    # percent signs that it doubles for drivers of the format styles, and for MySQL
    # their parameters, which its parser doesn't know.
    def replace(match: re.Match[str]) -> str:
        if match["schema"]:
            return ""
        if match["format"]:
            return "?" if group == "mysql" else match.group()
        return "NULL" if match["bind"] else "%"

    return _PLACES.sub(replace, sql)


def without_comments(sql: str, dialect_name: str) -> str:
    """
    Take the comments out of a string of SQL, but not what only looks like one.
    """

    def replace(match: re.Match[str]) -> str:
        token = match.group()
        plain = token.startswith("/*") and not token.startswith(_CODE)
        return " " if plain else token

    tokens = _REMARKED.get(family(dialect_name))
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
    if group != "mysql":
        return _analyse_plain(statement, group)
    bare = without_destination(statement)
    answer = _analyse_plain(statement if bare is None else bare, group)
    if bare is not None or _COUNTS.match(statement):
        # sets variables, writes a file, or says what FOUND_ROWS() will answer
        return replace(answer, uncacheable=answer.uncacheable or "side_effect")
    if answer is UNKNOWN:
        # CALL, EXECUTE and such may run what commits
        return replace(UNKNOWN, transaction="commit")
    return answer


def _analyse_plain(statement: str, group: str) -> Analysis:
    known = by_word_of_mysql(statement) if group == "mysql" else None
    if known is None:
        known = by_first_word(statement, group)
    if known is not None:
        return _with_inner(known, statement, group)
    form = parsed_form(statement, group)
    if form is None:
        return UNKNOWN
    try:
        # Slow to import, and not always installed.
        from yokedcache.sqlalchemy.statements.text_tree import analyse_tree
    except ModuleNotFoundError:
        return UNKNOWN
    sql = without_manners(form.sql) if group == "mysql" else form.sql
    return analyse_tree(sql, group, replaces=form.replaces)


def _with_inner(known: Analysis, statement: str, group: str) -> Analysis:
    # EXPLAIN ANALYZE, CREATE TABLE AS, COPY (query) and such run a statement.
    inner = inner_statement(statement)
    if inner is None:
        return known
    notes = Notes()
    notes.add(known)
    notes.add(_analyse(inner, group))
    return notes.freeze()
