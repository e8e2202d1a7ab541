"""
What the body of a trigger writes, as far as its words tell.

Bodies are written in languages of which no parser is at hand (PL/pgSQL, the
statements of SQLite's triggers), but what they write to stands behind few words.
Every word that may write in another way, every function that isn't known to be
harmless, and every shape that isn't expected makes a body unreadable: then a write
to its table is taken to have written anything.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from yokedcache.sqlalchemy.statements.analysis import VERBS, table_name
from yokedcache.sqlalchemy.statements.sql_functions import Kind, classify, words

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

Effects = frozenset[tuple[str, str]]
"""Verbs and tables."""

_TOKEN: Final = re.compile(
    r"""
    (?P<comment> --[^\n]* | /\*(?s:.*?)\*/ )
  | (?P<text> \b[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*'
            | (?P<tag>\$(?:[A-Za-z_]\w*)?\$)(?s:.*?)(?P=tag) )
  | (?P<name> "(?:[^"]|"")*" | `[^`]*` | \[[A-Za-z_]\w*\] )
  | (?P<word> [^\W\d][\w$]* )
  | (?P<number> \d[\w.]* )
  | (?P<space> \s+ )
  | (?P<mark> . )
    """,
    re.VERBOSE | re.DOTALL,
)

_UNREADABLE: Final = frozenset(
    {"ALTER", "ATTACH", "CALL", "COPY", "CREATE", "DETACH", "DISCARD", "DROP"}
    | {"EXECUTE", "GRANT", "IMPORT", "LOAD", "LOCK", "PRAGMA", "PREPARE", "REFRESH"}
    | {"REINDEX", "RESET", "REVOKE", "SIGNAL", "TRUNCATE", "VACUUM"}
)
"""Words after which anything may be written or set."""

_BEGINNINGS: Final = frozenset({"", ";", "BEGIN", "THEN", "ELSE", "LOOP"})
"""What a statement may follow; a SET there is one of its own."""

_SYNTAX: Final = frozenset(
    words("""
    all and any array as between by case cast conflict do else elsif exists filter for
    from group having if in insert interval into is join lateral like limit not on or
    order over partition perform raise return returning row select set some then to
    union using values varying when where while with within coalesce nullif greatest
    least extract precision decimal bit raise_application_error ignore abort fail
    rollback
    """)
)
"""Words before a parenthesis that call nothing."""

_NOTIFYING: Final = frozenset({"pg_notify"})
_OF_ROWS: Final = frozenset({"FOR", "DO", "KEY"})
"""Before UPDATE: a lock, or what an INSERT does on a conflict."""


def effects_of_body(
    body: str, group: str, distrusted: Collection[str] = ()
) -> Effects | None:
    """
    Say what a body of SQL writes, or `None` if that can't be told.

    `distrusted` are functions that aren't what their names say.
    """
    try:
        return frozenset(_Reader(_tokens(body), group, distrusted).read())
    except _UnreadableError:
        return None


def effects_of_statement(statement: str, group: str) -> Effects | None:
    """
    Say what the body of a CREATE TRIGGER statement writes, if that can be told.
    """
    found = _BEGIN.search(statement)
    return None if found is None else effects_of_body(statement[found.end() :], group)


_BEGIN: Final = re.compile(r"\bBEGIN\b", re.IGNORECASE)


class _UnreadableError(Exception):
    pass


class _Token:
    __slots__ = ("kind", "text", "upper")

    def __init__(self, kind: str, text: str) -> None:
        self.kind = kind
        self.text = text
        self.upper = text.upper() if kind == "word" else text


_END: Final = _Token("end", "")


def _tokens(body: str) -> list[_Token]:
    tokens = []
    for found in _TOKEN.finditer(body):
        kind = str(found.lastgroup)
        if kind == "tag":
            kind = "text"
        if kind in {"comment", "space"}:
            continue
        text = found.group()
        if kind == "name":
            text = text[1:-1].replace('""', '"')
        tokens.append(_Token(kind, text))
    return tokens


class _Reader:
    """
    One walk over the words of one body.
    """

    def __init__(
        self, tokens: list[_Token], group: str, distrusted: Collection[str]
    ) -> None:
        self._tokens = tokens
        self._distrusted = distrusted
        self._group = group
        self._at = 0
        self._merging = False
        self._found: set[tuple[str, str]] = set()

    def read(self) -> Iterable[tuple[str, str]]:
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token.kind in {"word", "name"} and self._peek(-1).text != ".":
                self._word(token)
            self._at += 1
        return self._found

    def _peek(self, distance: int) -> _Token:
        at = self._at + distance
        return self._tokens[at] if 0 <= at < len(self._tokens) else _END

    def _word(self, token: _Token) -> None:
        if token.kind == "word":
            if token.upper in _UNREADABLE:
                raise _UnreadableError
            if token.upper == "SET" and self._peek(-1).upper in _BEGINNINGS:
                raise _UnreadableError  # a setting of the session
            judge = _JUDGES.get(token.upper)
            if judge is not None and judge(self):
                return
        self._call()

    def _insert(self) -> bool:
        if self._peek(1).upper == "OR":
            return self._write(3, "INTO", *VERBS)
        if self._peek(1).upper == "INTO":
            return self._write(1, "INTO", "insert", "update")
        return self._of_merge()

    def _replace(self) -> bool:
        if self._peek(1).upper != "INTO":
            return False  # the function
        return self._write(1, "INTO", *VERBS)

    def _update(self) -> bool:
        if self._peek(-1).upper in _OF_ROWS:
            return True
        if self._peek(1).upper == "SET":
            return self._of_merge()
        if self._peek(1).upper == "OR":
            return self._write(2, "", *VERBS)
        return self._write(0, "", "update")

    def _delete(self) -> bool:
        if self._peek(1).upper == "FROM":
            return self._write(1, "FROM", "delete")
        return self._of_merge()

    def _do(self) -> bool:
        """
        Tell what is done on a conflict from a block of code.
        """
        if self._peek(1).upper not in {"NOTHING", "UPDATE"}:
            raise _UnreadableError
        return True

    def _merge(self) -> bool:
        self._merging = True
        return self._write(1, "INTO", *VERBS)

    def _of_merge(self) -> bool:
        """
        Pass over an action of a MERGE, whose target is noted with every verb.
        """
        if not self._merging or self._peek(-1).upper != "THEN":
            raise _UnreadableError
        return True

    def _write(self, ahead: int, word: str, *verbs: str) -> bool:
        """
        Note the table whose name follows, past `ahead` tokens of which `word` is the last.
        """
        if word and self._peek(ahead).upper != word:
            raise _UnreadableError
        self._at += ahead + 1
        if self._peek(0).upper == "ONLY":
            self._at += 1
        parts = self._name()
        schema = parts[-2] if len(parts) > 1 else None
        table = table_name(parts[-1], schema)
        self._found.update((verb, table) for verb in verbs)
        return True

    def _name(self) -> list[str]:
        """
        Read a name, and stand on its last token.
        """
        parts = []
        while True:
            token = self._peek(0)
            if token.kind not in {"word", "name"}:
                raise _UnreadableError
            parts.append(token.text)
            if self._peek(1).text != ".":
                return parts
            self._at += 2

    def _call(self) -> None:
        """
        Refuse the call of a function that isn't known to write nothing.
        """
        *schema, name = (part.lower() for part in self._name())
        if self._peek(1).text != "(" or self._group == "sqlite":
            return  # in SQLite no function writes
        if schema not in ([], ["pg_catalog"]):
            raise _UnreadableError
        if name in _SYNTAX or name in _NOTIFYING:
            return
        if name in self._distrusted:
            raise _UnreadableError
        if classify(name, self._group) not in {Kind.HARMLESS, Kind.VOLATILE}:
            raise _UnreadableError


_JUDGES: Final = {
    "INSERT": _Reader._insert,
    "REPLACE": _Reader._replace,
    "UPDATE": _Reader._update,
    "DELETE": _Reader._delete,
    "MERGE": _Reader._merge,
    "DO": _Reader._do,
}
