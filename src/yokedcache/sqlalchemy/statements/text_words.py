"""
Statements that are told by their first words.

Transaction control, settings, pragmas, DDL, locks and maintenance have grammars of
which a parser knows little and an analysis needs little. `by_first_word` answers
for them; for queries and DML it answers None, and `parsed_form` gives the text
that is to be parsed. The rule in doubt: more is written, and more is unknown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from yokedcache.sqlalchemy.statements.analysis import (
    ANY_SCHEMA,
    HARMLESS,
    UNKNOWN,
    VERBS,
    Analysis,
    Notes,
)
from yokedcache.sqlalchemy.statements.sql_functions import words

if TYPE_CHECKING:
    from collections.abc import Callable

SPACE = re.compile(r"(?:\s+|--[^\n]*(?:\n|$)|/\*(?s:.*?)\*/)*")
"""
White space and comments, as they may stand before a statement.
"""

_NAME = r"""(?:"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|[\w$]+)"""
_TABLE = re.compile(rf"(?:(?P<schema>{_NAME})\s*\.\s*)?(?P<name>{_NAME})")
_NEXT = re.compile(r"\s*\*?\s*,\s*(?:ONLY\s+)?", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z_]+")
_PARSED = frozenset(
    {"DELETE", "INSERT", "MERGE", "SELECT", "TABLE", "UPDATE", "VALUES", "WITH"}
)
_CONTEXT = replace(HARMLESS, context=True)
_DDL = replace(HARMLESS, ddl=True)
_UNKNOWN_DDL = replace(_DDL, unknown_write=True)

_HARMLESS_PRAGMAS = words("""
    application_id automatic_index busy_timeout cache_size cache_spill collation_list
    compile_options data_version database_list encoding foreign_key_check
    foreign_key_list foreign_keys freelist_count function_list incremental_vacuum
    index_info index_list index_xinfo integrity_check journal_mode journal_size_limit
    locking_mode max_page_count mmap_size module_list optimize page_count page_size
    pragma_list quick_check secure_delete soft_heap_limit stats synchronous table_info
    table_list table_xinfo temp_store threads user_version wal_autocheckpoint
    wal_checkpoint
""")


@dataclass(frozen=True, slots=True)
class Form:
    """
    A statement as the parser can read it.
    """

    sql: str
    replaces: bool = False
    """
    Whether conflicting rows are deleted first (REPLACE, OR REPLACE).
    """


def by_first_word(statement: str, group: str) -> Analysis | None:
    """
    Answer for a statement that its first words tell; None for queries and DML.
    """
    if statement.startswith("("):
        return None
    found = _WORD.match(statement)
    if found is None:
        return UNKNOWN
    word = found.group().upper()
    if word in _PARSED or (word == "REPLACE" and group != "postgresql"):
        return None
    judge = _JUDGES.get(word)
    if judge is None:
        return UNKNOWN
    answer = judge(statement[found.end() :].lstrip(), group)
    # MySQL commits before and after DDL.
    if answer.ddl and group == "mysql" and not answer.temporary:
        return replace(answer, transaction="commit")
    return answer


_OR_REPLACE = re.compile(r"(INSERT|UPDATE)\s+OR\s+(\w+)\b", re.IGNORECASE)
_REPLACE = re.compile(r"REPLACE\s+(?:LOW_PRIORITY\s+|DELAYED\s+)?(?=\S)", re.IGNORECASE)


def parsed_form(statement: str, group: str) -> Form | None:
    """
    Rewrite what the parser doesn't know into what it does; None if it can't be.
    """
    conflict = _OR_REPLACE.match(statement)
    if conflict is not None:
        rest = conflict[1] + statement[conflict.end() :]
        return Form(rest, replaces=conflict[2].upper() == "REPLACE")
    plain = _REPLACE.match(statement)
    if plain is not None and group != "postgresql":
        return Form("INSERT " + statement[plain.end() :], replaces=True)
    return Form(statement)


_INNER = (
    re.compile(
        r"(?:EXPLAIN|DESCRIBE|DESC)\b(?=[^;]*?\bANALY[ZS]E\b).*?"
        r"\b(?=(?:SELECT|INSERT|UPDATE|DELETE|MERGE|WITH|VALUES|TABLE|REPLACE"
        r"|CREATE|EXECUTE|DECLARE|REFRESH)\b)",
        re.IGNORECASE | re.DOTALL,
    ),
    re.compile(
        r"CREATE\s(?:(?!\bAS\b).)*?\bTABLE\b.*?\bAS\s+\(*\s*"
        r"(?=(?:SELECT|WITH|VALUES|TABLE|EXECUTE)\b)",
        re.IGNORECASE | re.DOTALL,
    ),
    re.compile(
        r"DECLARE\s.*?\bFOR\s+(?=(?:SELECT|WITH|VALUES|TABLE)\b)",
        re.IGNORECASE | re.DOTALL,
    ),
)
# MariaDB's own word for it, with nothing before the statement
_ANALYZED = re.compile(
    r"ANALYZE\s+(?:FORMAT\s*=\s*\S+\s+)?"
    r"(?=(?:SELECT|INSERT|UPDATE|DELETE|WITH|REPLACE)\b)",
    re.IGNORECASE,
)
_COPY_QUERY = re.compile(r"COPY\s*\((.*)\)\s*TO\b", re.IGNORECASE | re.DOTALL)


def inner_statement(statement: str) -> str | None:
    """
    Return the statement that this one runs as a part of itself, if any.
    """
    copied = _COPY_QUERY.match(statement)
    if copied is not None:
        return copied[1]
    for pattern in (*_INNER, _ANALYZED):
        found = pattern.match(statement)
        if found is not None:
            return _without_tail(statement[found.end() :].rstrip())
    return None


def _without_tail(inner: str) -> str:
    # The parentheses that were opened before it are not its own.
    excess = inner.count(")") - inner.count("(")
    while excess > 0 and inner.endswith(")"):
        inner, excess = inner[:-1].rstrip(), excess - 1
    return inner


def _plain_name(text: str) -> str:
    if text[0] in '"`[':
        return text[1:-1].replace('""', '"')
    return text


def target(rest: str, *verbs: str, ddl: bool = False) -> Analysis:
    """
    Take all the tables of a comma-separated list; unknown where none can be read.
    """
    notes = Notes(ddl=ddl)
    position = 0
    while (table := _TABLE.match(rest, position)) is not None:
        schema = table["schema"] and _plain_name(table["schema"])
        notes.write(_plain_name(table["name"]), schema, *verbs)
        comma = _NEXT.match(rest, table.end())
        if comma is None:
            break
        position = comma.end()
    if not notes.writes:
        return _UNKNOWN_DDL if ddl else UNKNOWN
    answer = notes.freeze()
    return replace(answer, uncacheable=answer.uncacheable or "not_a_select")


def _ends(kind: str) -> Callable[[str, str], Analysis]:
    def judge(rest: str, _group: str) -> Analysis:
        if rest[:8].upper() == "PREPARED":
            # Committed elsewhere, its writes are not known here.
            return replace(HARMLESS, transaction=kind, unknown_write=kind == "commit")
        if kind == "rollback" and re.match(
            r"(?:(?:WORK|TRANSACTION)\s+)?TO\b", rest, re.IGNORECASE
        ):
            return replace(HARMLESS, transaction="savepoint")
        return replace(HARMLESS, transaction=kind)

    return judge


def _start(rest: str, _group: str) -> Analysis:
    if rest[:11].upper() == "TRANSACTION":
        return replace(HARMLESS, transaction="begin")
    return UNKNOWN


def _prepare(rest: str, _group: str) -> Analysis:
    if rest[:11].upper() == "TRANSACTION":
        return replace(HARMLESS, transaction="prepare")
    return HARMLESS


_MODE = r"""(?:ISOLATION\s+LEVEL\s+(?:SERIALIZABLE|REPEATABLE\s+READ|READ\s+(?:UN)?COMMITTED)
    |READ\s+(?:ONLY|WRITE)|(?:NOT\s+)?DEFERRABLE)"""
_ISOLATION = re.compile(
    rf"""(?:SESSION\s+CHARACTERISTICS\s+AS\s+)?TRANSACTION\s+{_MODE}(?:\s*,?\s*{_MODE})*
    |(?:(?:SESSION|LOCAL)\s+)?(?:default_)?transaction_(?:isolation|read_only|deferrable)
     \s*(?:=|\bTO\b)\s*(?:'[\w ]*'|"[\w ]*"|\w+)""",
    re.IGNORECASE | re.VERBOSE,
)
"""What PostgreSQL's SET may say of transactions, but for an imported snapshot."""


def _set(rest: str, group: str) -> Analysis:
    if rest[:11].upper() == "CONSTRAINTS":
        return HARMLESS
    if group == "postgresql" and _ISOLATION.fullmatch(rest.rstrip("; \t\n")):
        once = rest[:11].upper() == "TRANSACTION" or rest[:5].upper() == "LOCAL"
        return replace(HARMLESS, isolation="transaction" if once else "session")
    return _CONTEXT


def _pragma(rest: str, _group: str) -> Analysis:
    found = re.match(r"(?:\w+\s*\.\s*)?(\w+)\s*(\W?)", rest)
    if found is None:
        return UNKNOWN
    if found[1].lower() in _HARMLESS_PRAGMAS or not found[2]:
        return HARMLESS
    if found[1].lower() == "writable_schema":
        return UNKNOWN
    return _CONTEXT


def _lock(_rest: str, group: str) -> Analysis:
    if group == "mysql":
        return replace(HARMLESS, locks=True, transaction="commit")
    return replace(HARMLESS, locks=True)


def _unlock(_rest: str, _group: str) -> Analysis:
    return replace(HARMLESS, transaction="commit")


def _copy(rest: str, _group: str) -> Analysis:
    if rest.startswith("("):
        return HARMLESS
    table = _TABLE.match(rest)
    if table is None:
        return UNKNOWN
    direction = re.match(
        r"\s*(?:\([^)]*\))?\s*(FROM|TO)\b", rest[table.end() :], re.IGNORECASE
    )
    if direction is None:
        return UNKNOWN
    if direction[1].upper() == "TO":
        return HARMLESS
    return target(table.group(), "insert")


def _truncate(rest: str, group: str) -> Analysis:
    found = re.match(r"(?:TABLE\s+)?(?:ONLY\s+)?", rest, re.IGNORECASE)
    answer = target(rest[found.end() if found else 0 :], "delete")
    if re.search(r"\bCASCADE\b", rest, re.IGNORECASE):
        return replace(answer, unknown_write=True)
    return replace(answer, transaction="commit") if group == "mysql" else answer


def _refresh(rest: str, _group: str) -> Analysis:
    found = re.match(r"MATERIALIZED\s+VIEW\s+(?:CONCURRENTLY\s+)?", rest, re.IGNORECASE)
    return target(rest[found.end() :], "insert", "delete") if found else UNKNOWN


_CREATE = re.compile(
    r"(?:OR\s+REPLACE\s+)?(?:(?:GLOBAL|LOCAL|UNLOGGED)\s+)*(?P<temp>TEMP(?:ORARY)?\s+)?"
    r"(?:UNIQUE\s+)?(?P<kind>\w+)\s*(?:CONCURRENTLY\s+)?(?:IF\s+NOT\s+EXISTS\s+)?",
    re.IGNORECASE,
)
_CHANGE = re.compile(
    r"(?P<temp>TEMPORARY\s+)?(?P<kind>\w+)\s+(?:CONCURRENTLY\s+)?(?:IF\s+EXISTS\s+)?"
    r"(?:ONLY\s+)?",
    re.IGNORECASE,
)


def _create(rest: str, _group: str) -> Analysis:
    found = _CREATE.match(rest)
    if found is None:
        return _UNKNOWN_DDL
    kind = found["kind"].upper()
    if found["temp"]:
        return replace(_DDL, temporary=True, uncacheable="temporary")
    if kind == "INDEX":
        return _DDL
    if kind == "TABLE":
        return _target_ddl(rest[found.end() :])
    return _UNKNOWN_DDL


def _target_ddl(rest: str) -> Analysis:
    answer = target(rest, *VERBS, ddl=True)
    return replace(answer, uncacheable="not_a_select")


def _alter(rest: str, _group: str) -> Analysis:
    found = _CHANGE.match(rest)
    if found is None or found["kind"].upper() != "TABLE":
        return _UNKNOWN_DDL
    tail = rest[found.end() :]
    if re.search(r"\b(?:RENAME|SET\s+SCHEMA|ATTACH|DETACH)\b", tail, re.IGNORECASE):
        return _UNKNOWN_DDL
    return _target_ddl(tail)


def _drop(rest: str, _group: str) -> Analysis:
    found = _CHANGE.match(rest)
    if found is None:
        return _UNKNOWN_DDL
    kind = found["kind"].upper()
    if kind == "INDEX":
        return _DDL
    return _target_ddl(rest[found.end() :]) if kind == "TABLE" else _UNKNOWN_DDL


def _always(answer: Analysis) -> Callable[[str, str], Analysis]:
    def judge(_rest: str, _group: str) -> Analysis:
        return answer

    return judge


_JUDGES: dict[str, Callable[[str, str], Analysis]] = {
    "BEGIN": _always(replace(HARMLESS, transaction="begin")),
    "START": _start,
    "COMMIT": _ends("commit"),
    "END": _ends("commit"),
    "ROLLBACK": _ends("rollback"),
    "ABORT": _ends("rollback"),
    "SAVEPOINT": _always(replace(HARMLESS, transaction="savepoint")),
    "RELEASE": _always(replace(HARMLESS, transaction="release")),
    "PREPARE": _prepare,
    "SET": _set,
    "PRAGMA": _pragma,
    "LOCK": _lock,
    "UNLOCK": _unlock,
    "COPY": _copy,
    "TRUNCATE": _truncate,
    "REFRESH": _refresh,
    "CREATE": _create,
    "ALTER": _alter,
    "DROP": _drop,
    "RENAME": _always(_UNKNOWN_DDL),
    "COMMENT": _always(_DDL),
    "GRANT": _always(_DDL),
    "REVOKE": _always(_DDL),
    **dict.fromkeys(
        ("RESET", "DISCARD", "USE", "LISTEN", "UNLISTEN"),
        _always(_CONTEXT),
    ),
    **dict.fromkeys(
        ("ATTACH", "DETACH"),
        _always(replace(_CONTEXT, schemas=frozenset({ANY_SCHEMA}))),
    ),
    **dict.fromkeys(
        (
            "EXPLAIN",
            "DESCRIBE",
            "DESC",
            "SHOW",
            "VACUUM",
            "ANALYZE",
            "ANALYSE",
            "REINDEX",
            "CHECKPOINT",
            "CLUSTER",
            "NOTIFY",
            "DEALLOCATE",
            "DECLARE",
            "FETCH",
            "MOVE",
            "CLOSE",
            "OPTIMIZE",
        ),
        _always(HARMLESS),
    ),
}
