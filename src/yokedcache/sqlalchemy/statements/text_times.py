"""
Where a parsed statement may take text for the present moment.

It is handed each node that may matter as `text_tree` walks over them; `present` says
what the words are and why they count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from yokedcache.sqlalchemy.statements.analysis import fold
from yokedcache.sqlalchemy.statements.present import (
    ANY_BIND,
    COMPOSING,
    MAKING,
    may_spell,
    names_the_present,
)
from yokedcache.sqlalchemy.statements.sql_functions import (
    CLOCK_CASTS,
    RECORDS,
    SQLITE_CLOCKS,
    times_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yokedcache.sqlalchemy.statements.analysis import Notes

_COMPOSING = frozenset(
    {"Concat", "DPipe", "GroupConcat", "Normalize", "Overlay", "Substring", "Trim"}
)
"""
What the parser keeps of `COMPOSING`, and operators that do the same.
"""
STRINGS = ("ByteString", "National", "RawString", "UnicodeString")
"""
How the parser keeps what isn't a plain literal.
"""
_PATTERNS = ("ILike", "Like", "RegexpILike", "RegexpLike", "SimilarTo")
_TIMELESS = frozenset(
    {"BIGINT", "BIT", "BOOLEAN", "CHAR", "DECIMAL", "DOUBLE", "FLOAT", "INET", "INT"}
    | {"INTERVAL", "JSON", "JSONB", "MONEY", "NAME", "SMALLINT", "TEXT", "UUID"}
    | {"VARBINARY", "VARCHAR", "XML"}
)
"""
Types that text is cast to without being read as a time.
"""


class Times:
    """
    What one statement does with text and times.
    """

    def __init__(self, notes: Notes, group: str) -> None:
        self.notes = notes
        self._group = group
        self._clocks = False
        self._words = False
        self._read: list[Any] = []
        """What is read as a time."""

    def end(self, root: Any) -> None:
        """
        Say where text may be read as a time, of all that was walked over.
        """
        given = Given(root) if self._read else None
        if given and any(self._composed(node, given) for node in self._read):
            self.notes.refuse("volatile_function:now")
        if self._group == "postgresql":
            self.notes.timed.add(ANY_BIND)
        elif self._clocks:
            # 'now' may come to a clock by the name of a column
            self.notes.timed.add(ANY_BIND)
            if self._words:
                self.notes.refuse("volatile_function:now")

    def call(self, name: str, arguments: list[Any]) -> bool:
        """
        Tell whether a call may be handed the present by one of its arguments.
        """
        if self._group == "postgresql":
            if name in CLOCK_CASTS or name in RECORDS:
                self._read += arguments
            return False
        if self._group != "sqlite" or name not in SQLITE_CLOCKS:
            return False
        self._clocks = True
        times = times_of(name, arguments)
        self._read += times
        return any(
            self._names_the_present(part) for time in times for part in _parts(time)
        )

    def _names_the_present(self, node: Any) -> bool:
        if isinstance(node, (exp.Placeholder, exp.Parameter)):
            return True
        if isinstance(node, exp.Column):
            # SQLite takes a quoted name that no column has for text
            quoted = node.this.args.get("quoted") and not node.args.get("table")
            return bool(quoted) and names_the_present(node.name, self._group)
        return isinstance(node, exp.Literal) and names_the_present(
            node.this, self._group
        )

    def _composed(self, node: Any, given: Given) -> bool:
        # Text that is put together may say what none of its pieces does.
        return any(
            _composes(part) and self._may_spell(part, given)
            for part in given.parts(node)
        )

    def _may_spell(self, node: Any, given: Given) -> bool:
        parts = list(given.parts(node))
        if any(_name(part) in MAKING for part in parts):
            return True
        if any(isinstance(part, (exp.Placeholder, exp.Parameter)) for part in parts):
            return True
        return may_spell(map(_string, parts), self._group)

    def cast(self, node: Any, _ctes: frozenset[str]) -> tuple[str, ...]:
        """
        Note a cast, by which text that is put together may become a time.
        """
        if self._group == "postgresql" and not _timeless(node.args["to"]):
            self._read.append(node.this)
        return ("to",)

    def literal(self, node: Any, _ctes: frozenset[str]) -> tuple[str, ...]:
        """
        Note a literal, which a clock or a cast may be handed elsewhere.
        """
        if not node.is_string or type(node.parent).__name__ in _PATTERNS:
            return ()
        if names_the_present(node.this, self._group):
            self._words = True
            # PostgreSQL reads 'now' as a time wherever a time is expected.
            if self._group == "postgresql":
                self.notes.refuse("volatile_function:now")
        return ()

    def string(self, node: Any, _ctes: frozenset[str]) -> tuple[str, ...]:
        """
        Note a literal that is written otherwise.
        """
        # what is left of escapes isn't read
        escapes = "\\" in node.this or node.args.get("escape") is not None
        if self._group == "postgresql" and (
            (escapes and type(node).__name__ != "RawString")
            or names_the_present(node.this, self._group)
        ):
            self.notes.refuse("volatile_function:now")
        return ()

    def concat(self, node: Any, _ctes: frozenset[str]) -> tuple[str, ...]:
        """
        Note literals one after the other, which are one literal.
        """
        if self._group == "postgresql" and names_the_present(
            "".join(map(_string, node.expressions)), self._group
        ):
            self.notes.refuse("volatile_function:now")
        return ()


class Given:
    """
    The names that a statement gives to expressions, under which they are read elsewhere.

    A name that is given twice stands for both: which of them is in sight isn't asked.
    """

    def __init__(self, root: Any) -> None:
        self._named: dict[str, list[Any]] = {}
        self._unnamed: list[Any] = []
        """What the database names, by rules of its own."""
        for alias in root.find_all(exp.Alias):
            self._add(alias.alias, alias.this)
        for alias in root.find_all(exp.TableAlias):
            self._add(alias.name, alias.parent)
            for column in alias.args.get("columns") or ():
                self._add(column.name, alias.parent)
        for select in root.find_all(exp.Select):
            if select is not root:
                self._unnamed += filter(_unnamed, select.expressions)
        tables = (table.this for table in root.find_all(exp.Table))
        self._unnamed += (*filter(_unnamed, tables), *root.find_all(exp.Unnest))

    def _add(self, name: str, node: Any) -> None:
        self._named.setdefault(fold(name), []).append(node)

    def parts(self, node: Any, seen: set[int] | None = None) -> Iterator[Any]:
        """
        Give an expression's parts, and those of what it may read by a name.
        """
        seen = set() if seen is None else seen
        for part in _parts(node):
            yield part
            if isinstance(part, exp.Column):
                for named in (*self._named.get(fold(part.name), ()), *self._unnamed):
                    if id(named) not in seen:
                        seen.add(id(named))
                        yield from self.parts(named, seen)


def _unnamed(node: Any) -> bool:
    return not isinstance(node, (exp.Alias, exp.Column, exp.Identifier, exp.Star))


def children(node: Any) -> Iterator[tuple[str, Any]]:
    """
    Give the nodes right below one, with the names of their places.
    """
    for key, value in node.args.items():
        for child in value if isinstance(value, list) else (value,):
            if isinstance(child, exp.Expression):
                yield key, child


def _parts(node: Any) -> Iterator[Any]:
    # A clock within is judged by itself, and gives another time.
    yield node
    if _name(node) not in SQLITE_CLOCKS:
        for _, child in children(node):
            yield from _parts(child)


def _name(node: Any) -> str:
    return node.name.lower() if isinstance(node, exp.Anonymous) else ""


def _composes(node: Any) -> bool:
    name = _name(node)
    return name in COMPOSING or name in MAKING or type(node).__name__ in _COMPOSING


def _string(node: Any) -> str:
    strings = isinstance(node, exp.Literal) and node.is_string
    return node.this if strings or type(node).__name__ in STRINGS else ""


def _timeless(kind: Any) -> bool:
    if isinstance(kind.this, exp.Interval):
        return True
    if kind.this is exp.DataType.Type.ARRAY:
        return all(map(_timeless, kind.expressions))
    return getattr(kind.this, "name", "") in _TIMELESS
