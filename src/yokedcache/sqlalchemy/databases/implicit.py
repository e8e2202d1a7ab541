"""
Functions of users that run without being called by name.

An operator, a cast, a domain's CHECK and `row.name` run functions too. Where a database
has such functions that aren't immutable, statements are searched for what may run them:
for symbols anywhere, for names as words. That finds too much, never too little. A
database that has none, as nearly all do, has no `Implicit`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from yokedcache.sqlalchemy.statements.analysis import fold

_WORD: Final = re.compile(r'"(?:[^"]|"")*"|[^\W\d][\w$]*')
_ROW: Final = re.compile(
    rf"(?:::|\bAS\b)\s*(?:(?:{_WORD.pattern})\s*\.\s*)?({_WORD.pattern})", re.IGNORECASE
)
"""The name of a type, where a value becomes a row of it."""
_TYPED: Final = re.compile(rf"({_WORD.pattern})(?=\s*(?:\(|\[|'|E'))", re.IGNORECASE)
"""The name of a type before a literal or a value, and what else stands there."""
_ESCAPED: Final = re.compile(r'\bU&"', re.IGNORECASE)
_SPELT_OTHERWISE: Final = frozenset(
    {"=", "<>", "<", ">", "<=", ">=", "~~", "!~~", "~~*", "!~~*", "~", "!~"}
)
"""Operators that IN, BETWEEN, LIKE, JOIN ... USING and such run, too."""
_MOST: Final = 2000

Function = tuple[str, bool]
"""Its name, and whether it may write."""


@dataclass(slots=True)
class Implicit:
    """
    What runs functions of users, by symbol and by name.
    """

    symbols: dict[str, set[Function]] = field(default_factory=dict)
    """
    Operators.
    """
    words: dict[str, set[Function]] = field(default_factory=dict)
    """
    What is read of a row like a column, types, and what has values of such types.
    """
    rows: dict[str, set[Function]] = field(default_factory=dict)
    """
    Tables and domains whose values run functions when they are made, not when read.
    """
    anywhere: set[Function] = field(default_factory=set)
    """
    What any statement may run.
    """
    _known: dict[str, tuple[str | None, bool]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.symbols or self.words or self.rows or self.anywhere)

    def add_symbol(self, symbol: str, function: Function) -> None:
        """
        Note an operator.
        """
        if symbol in _SPELT_OTHERWISE:
            self.anywhere.add(function)
        else:
            self.symbols.setdefault(symbol, set()).add(function)

    def run_by(self, sql: str) -> tuple[str | None, bool]:
        """
        Name a function that a statement may run, if there is one, and say if one may write.
        """
        known = self._known.get(sql)
        if known is None:
            if len(self._known) >= _MOST:
                self._known.clear()
            found = sorted(self._found(sql))
            writes = any(writes for _, writes in found)
            known = self._known[sql] = (found[0][0] if found else None, writes)
        return known

    def _found(self, sql: str) -> set[Function]:
        found = set(self.anywhere)
        plain = sql.replace("%%", "%")  # as drivers of the format styles send it
        for symbol, functions in self.symbols.items():
            if symbol in sql or symbol in plain:
                found |= functions
        wanted = ((self.words, _WORD), (self.rows, _ROW), (self.rows, _TYPED))
        for names, pattern in wanted:
            if not names:
                continue
            if _ESCAPED.search(sql):  # any name, spelt in numbers
                found.update(*names.values())
            for word in {_unquoted(word) for word in pattern.findall(sql)}:
                found |= names.get(word, set())
        return found


def _unquoted(word: str) -> str:
    if word.startswith('"'):
        word = word[1:-1].replace('""', '"')
    return fold(word)
