"""
Where a parsed statement may take text for the present moment.

It is handed each node that may matter as `text_tree` walks over them; `present` says
what the words are and why they count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from yokedcache.sqlalchemy.statements.present import ANY_BIND, names_the_present
from yokedcache.sqlalchemy.statements.sql_functions import (
    CLOCK_CASTS,
    RECORDS,
    SQLITE_CLOCKS,
    times_of,
)
from yokedcache.sqlalchemy.statements.text_pieces import (
    Names,
    Pieces,
    parts_of,
    string,
)

if TYPE_CHECKING:
    from yokedcache.sqlalchemy.statements.analysis import Notes

_PATTERNS = ("ILike", "Like", "RegexpILike", "RegexpLike", "SimilarTo")
_TIMELESS = frozenset(
    {"BIGINT", "BIT", "BOOLEAN", "BPCHAR", "CHAR", "DECIMAL", "DOUBLE", "FLOAT", "INET"}
    | {"GEOGRAPHY", "GEOMETRY", "HSTORE", "INT", "INTERVAL", "JSON", "JSONB", "MONEY"}
    | {"NAME", "POINT", "SMALLINT", "TEXT", "UUID", "VARBINARY", "VARCHAR", "VECTOR"}
    | {"XML"}
)
"""
Types that text is cast to without being read as a time.
"""
_OF_EXTENSIONS = frozenset({"citext", "lquery", "ltree", "tsquery", "tsvector"})
"""
Those of them that the parser takes for users' own.
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
        if self._read and self._composed(root):
            self.notes.refuse("volatile_function:now")
        if self._group == "postgresql":
            self.notes.timed.add(ANY_BIND)
        elif self._clocks:
            # 'now' may come to a clock by the name of a column
            self.notes.timed.add(ANY_BIND)
            if self._words:
                self.notes.refuse("volatile_function:now")

    def _composed(self, root: Any) -> bool:
        # Text that is put together may say what none of its pieces does.
        names = Names(root, self._group)
        whole = Pieces(root, names, self._group, whole=True)
        return any(Pieces(node, names, self._group).spell(whole) for node in self._read)

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
            self._names_the_present(part) for time in times for part in parts_of(time)
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

    def cast(self, node: Any, _ctes: frozenset[str]) -> tuple[str, ...]:
        """
        Note a cast, by which text that is put together may become a time.
        """
        if self._group == "postgresql" and not _timeless(node.args["to"]):
            self._read.append(node.this)
            for kind in node.args["to"].find_all(exp.DataType):
                self.kind(kind)
        return ("to",)

    def kind(self, node: Any, _ctes: frozenset[str] = frozenset()) -> tuple[str, ...]:
        """
        Note a type: a time of day gets the zone's offset of today.
        """
        if self._group == "postgresql" and node.this is exp.DataType.Type.TIMETZ:
            self.notes.refuse("volatile_function:timetz")
        return ()

    def literal(self, node: Any, _ctes: frozenset[str]) -> tuple[str, ...]:
        """
        Note a literal, which a clock or a cast may be handed elsewhere.
        """
        if not node.is_string or type(node.parent).__name__ in _PATTERNS:
            return ()
        # what quotes in arrays and ranges, and escapes there, isn't read as text
        text = node.this.replace('"', "").replace("\\", "")
        if names_the_present(text, self._group):
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
            "".join(map(string, node.expressions)), self._group
        ):
            self.notes.refuse("volatile_function:now")
        return ()


def _timeless(kind: Any) -> bool:
    if isinstance(kind.this, exp.Interval) or isinstance(kind, exp.ObjectIdentifier):
        return True
    if kind.this is exp.DataType.Type.ARRAY:
        return all(map(_timeless, kind.expressions))
    own = kind.args.get("kind")
    if own is not None and getattr(own, "name", str(own)).lower() in _OF_EXTENSIONS:
        return True
    return getattr(kind.this, "name", "") in _TIMELESS
