"""
Of what pieces a parsed statement may put text together that means the present.

What is read as a time is asked first by itself. Where it leads elsewhere, by a name that
the statement gives or a query inside, no way is followed: all that the statement puts
together anywhere counts, as one scan of it has told. That finds too much now and then,
never less than a walk along the names, and takes no longer than reading does.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp

from yokedcache.sqlalchemy.statements.analysis import fold
from yokedcache.sqlalchemy.statements.present import COMPOSING, MAKING, may_spell
from yokedcache.sqlalchemy.statements.sql_functions import SQLITE_CLOCKS

if TYPE_CHECKING:
    from collections.abc import Iterator

STRINGS: Final = ("ByteString", "National", "RawString", "UnicodeString")
"""
How the parser keeps what isn't a plain literal.
"""
_COMPOSING: Final = frozenset(
    {"Concat", "DPipe", "GroupConcat", "Normalize", "Operator", "Overlay", "Substring"}
    | {"JSONBExtract", "JSONBExtractScalar", "JSONExtract", "JSONExtractScalar", "Trim"}
)
"""
What the parser keeps of `COMPOSING`, and operators that do the same.
"""
_TAKING: Final = re.compile(
    r"jsonb?_(?:array_elements|each|extract|path_query|populate|to_record|tree)"
)
"""Functions that take text out of their first argument, by those after it."""
_NO_VALUES: Final = frozenset({"where", "having", "on", "limit", "offset", "qualify"})
"""
Places of a query that give it none of its values.
"""
_HOLDERS: Final = (exp.Subquery, exp.CTE, exp.Lateral)
_READ_BY_NAME: Final = (*_HOLDERS, exp.From, exp.Join)
_TAKEN: Final = (
    exp.JSONBExtract, exp.JSONBExtractScalar, exp.JSONExtract, exp.JSONExtractScalar,
)  # fmt: skip
_QUERIES: Final = (exp.Query, exp.Star, exp.Table)
_BINDS: Final = (exp.Placeholder, exp.Parameter)


class Names:
    """
    The names by which a statement reads what it has itself put together.
    """

    def __init__(self, root: Any, group: str) -> None:
        self._given: set[str] = set()
        self._any = root.find(exp.Lateral, exp.Unnest, exp.Values) is not None
        """The database names some of it, by rules of its own."""
        for alias in root.find_all(exp.TableAlias):
            self._given.add(fold(alias.name))
            self._given.update(fold(c.name) for c in alias.args.get("columns") or ())
        self._any |= any(
            not isinstance(table.this, exp.Identifier)
            for table in root.find_all(exp.Table)
        )
        for select in root.find_all(exp.Select):
            inside = select.find_ancestor(*_HOLDERS) is not None
            # SQLite knows a query's own names in its WHERE as well
            if inside or group == "sqlite":
                self._add(select, inside=inside)

    def _add(self, select: Any, *, inside: bool) -> None:
        for output in select.expressions:
            if isinstance(output, exp.Alias):
                self._given.add(fold(output.alias))
            elif inside:
                self._any |= not isinstance(output, (exp.Column, exp.Star))

    def lead(self, node: Any) -> bool:
        """
        Tell whether a node reads what stands elsewhere in the statement.
        """
        if isinstance(node, exp.Column):
            return self._any or fold(node.name) in self._given
        return isinstance(node, _QUERIES)


class Pieces:
    """
    What is put together within a node, and of what.

    Of a whole statement that is what can be read elsewhere in it: in queries inside, in
    what is called as a table, on SQLite anywhere.
    """

    def __init__(
        self, node: Any, names: Names, group: str, *, whole: bool = False
    ) -> None:
        self._names = names
        self._group = group
        self._composed: list[str] = []
        """Strings, where text is put together."""
        self._strings: list[str] = []
        self._bound = False
        """Parameters, anywhere."""
        self._made = False
        """There is text that doesn't show, or that parameters are put together to."""
        self._by_name = False
        """It is put together of what stands elsewhere."""
        self.leads = False
        """It reads what stands elsewhere."""
        self._scan(node, inside=not whole or group == "sqlite")

    def spell(self, whole: Pieces | None = None) -> bool:
        """
        Tell whether a word for the present may come of it.

        Args:
            whole: what the statement puts together anywhere, if this may read it.
        """
        if self._made or may_spell(self._composed, self._group):
            return True
        if whole is None or not self.leads:
            return False
        if self._by_name or whole._by_name:
            strings = (*self._strings, *whole._strings)
            return whole._made or whole._bound or may_spell(strings, self._group)
        return whole.spell()

    def _scan(self, node: Any, *, inside: bool) -> None:
        # in a list, as statements nest deep
        waiting = [(node, inside, False)]
        while waiting:
            part, inside, composed = waiting.pop()
            name = called(part)
            if name in SQLITE_CLOCKS and part is not node:
                continue  # it is judged by itself, and gives another time
            inside = inside or isinstance(part, _READ_BY_NAME)
            if inside:
                composed = composed or _composes(part, name)
                self._note(part, name, composed=composed)
            sources = _sources(part, name)
            waiting += ((child, inside, composed) for child in sources)

    def _note(self, part: Any, name: str, *, composed: bool) -> None:
        if isinstance(part, _BINDS):
            self._bound = True
            self._made |= composed
        elif self._names.lead(part):
            self.leads = True
            self._by_name |= composed
        self._made |= name in MAKING or (
            self._group == "sqlite" and isinstance(part, exp.HexString)
        )
        text = self._text(part)
        if text:
            self._strings.append(text)
            if composed:
                self._composed.append(text)
                self._made |= "\\u" in text

    def _text(self, part: Any) -> str:
        if isinstance(part, exp.Column) and self._group == "sqlite":
            # SQLite takes a quoted name that no column has for text
            bare = part.this.args.get("quoted") and not part.args.get("table")
            return part.name if bare else ""
        return string(part)


def _composes(part: Any, name: str) -> bool:
    if isinstance(part, exp.Cast):  # to a length, which cuts
        return bool(part.args["to"].expressions)
    if name in COMPOSING or type(part).__name__ in _COMPOSING:
        return True
    return _TAKING.match(name) is not None


def _sources(part: Any, name: str) -> Iterator[Any]:
    if isinstance(part, (exp.Predicate, exp.DataType)):
        return  # a truth, a type: no text of theirs goes on
    if isinstance(part, exp.Lambda):  # as the parser takes f(column -> 'key')
        taken = [exp.column(column.name) for column in part.expressions]
    elif _TAKING.match(name):
        taken = part.expressions[:1]
    elif isinstance(part, _TAKEN):
        taken = [part.this]
    else:
        yield from (child for key, child in children(part) if key not in _NO_VALUES)
        return
    # what is bound is judged as it is bound: it holds the words that are taken
    yield from (node for node in taken if not isinstance(node, _BINDS))


def children(node: Any) -> Iterator[tuple[str, Any]]:
    """
    Give the nodes right below one, with the names of their places.
    """
    for key, value in node.args.items():
        for child in value if isinstance(value, list) else (value,):
            if isinstance(child, exp.Expression):
                yield key, child


def parts_of(node: Any) -> Iterator[Any]:
    """
    Give a node and all below it, but for what is in a clock of SQLite's.
    """
    yield node
    if called(node) not in SQLITE_CLOCKS:
        for _, child in children(node):
            yield from parts_of(child)


def called(node: Any) -> str:
    """
    Name the function that a node calls; empty if it is something else.
    """
    return node.name.lower() if isinstance(node, exp.Anonymous) else ""


def string(node: Any) -> str:
    """
    Give the text of a literal.
    """
    strings = isinstance(node, exp.Literal) and node.is_string
    return node.this if strings or type(node).__name__ in STRINGS else ""
