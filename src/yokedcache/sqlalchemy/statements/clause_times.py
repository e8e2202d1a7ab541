"""
Where a statement of SQLAlchemy's may take text for the present moment.

It is told of calls, casts, comparisons and parameters as the statement is rendered;
`present` says what the words are and why they count. The analysis is that of a
shape, so a parameter's value decides nothing here: names of parameters are noted.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy.sql import elements, operators, sqltypes, visitors
from sqlalchemy.sql.functions import FunctionElement

from yokedcache.sqlalchemy.statements.present import (
    ANY_BIND,
    COMPOSING,
    MAKING,
    names_the_present,
)
from yokedcache.sqlalchemy.statements.sql_functions import (
    CLOCK_CASTS,
    RECORDS,
    SQLITE_CLOCKS,
    times_of,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from yokedcache.sqlalchemy.statements.analysis import Notes

_TEXTUAL = words("""
    char_length length lower phraseto_tsquery plainto_tsquery position similarity
    starts_with strpos to_tsquery to_tsvector upper websearch_to_tsquery word_similarity
""")
"""
Functions of PostgreSQL's that take text for nothing but text.
"""

_TIMELESS = (
    sqltypes.Boolean,
    sqltypes.Integer,
    sqltypes.Interval,
    sqltypes.JSON,
    sqltypes.LargeBinary,
    sqltypes.Numeric,
    sqltypes.Uuid,
)
_MATCHES = (operators.match_op, operators.not_match_op)


class Times:
    """
    What one statement does with text and times.
    """

    def __init__(self, notes: Notes, group: str) -> None:
        self._notes = notes
        self._group = group
        self._casts = 0
        self._clocks = False
        self._composes = False
        self._reads = False
        self._textual: set[str] = set()
        """Keys of parameters that are compared with text."""

    def end(self) -> None:
        """
        Say where text may be read as a time, of all that was rendered.
        """
        if self._clocks:
            # 'now' may come to a clock by the name of a column
            self._notes.timed.add(ANY_BIND)

    @property
    def far(self) -> bool:
        """
        Whether a time may be read of text that was put together elsewhere.

        Columns lead there by names, which the parser follows in what was rendered.
        """
        return self._composes and self._reads

    def call(self, name: str, arguments: list[Any]) -> bool:
        """
        Tell whether a call may be handed the present by one of its arguments.
        """
        takes = name.startswith("json")  # pieces of it
        self._composes |= takes or name in COMPOSING or name in MAKING
        if self._group == "postgresql":
            if name in _TEXTUAL:
                self._take_for_text(arguments)
            self._reads |= name in CLOCK_CASTS or name in RECORDS
            return name in CLOCK_CASTS and any(map(_composed, arguments))
        if self._group != "sqlite" or name not in SQLITE_CLOCKS:
            return False
        self._clocks = self._reads = True
        return any(
            _is_text(argument) or _composed(argument) or _quoted(argument)
            for argument in times_of(name, arguments)
        )

    @contextmanager
    def cast(self, clause: Any, to: Any) -> Iterator[None]:
        """
        Note a cast, within which all text may become a time.
        """
        if self._group != "postgresql" or _timeless(to):
            self._composes |= getattr(to, "length", None) is not None  # it cuts
            yield
            return
        self._reads = True
        if _composed(clause):
            self._notes.refuse("volatile_function:now")
        if _of_day_in_zone(to):
            self._notes.refuse("volatile_function:timetz")
        self._casts += 1
        try:
            yield
        finally:
            self._casts -= 1

    def binary(self, binary: Any) -> None:
        """
        Note what puts text together, and what is compared with text, and is text then.
        """
        own = isinstance(binary.operator, operators.custom_op)
        self._composes |= own or binary.operator is operators.concat_op
        if not operators.is_comparison(binary.operator):
            return
        left, right = binary.left, binary.right
        for this, that in ((left, right), (right, left)):
            text = _of_text(this.type) or _name(this) in COMPOSING
            if binary.operator in _MATCHES or (
                text and not isinstance(this, elements.BindParameter)
            ):
                self._take_for_text((that,))

    def _take_for_text(self, clauses: Iterable[Any]) -> None:
        if self._casts:
            return
        self._textual.update(
            clause.key
            for clause in map(_bare, clauses)
            if isinstance(clause, elements.BindParameter)
        )

    def bind(self, bind: Any, names: Mapping[Any, str]) -> None:
        """
        Note a parameter that may be read as a time.
        """
        if (
            self._group != "postgresql"
            or bind.key in self._textual
            or isinstance(_plain(bind.type), _TIMELESS)
        ):
            return
        if bind.literal_execute:
            # its value comes to stand in the statement itself
            self._notes.refuse("volatile_function:now")
        elif bind in names:
            self._notes.timed.add(names[bind])
        else:
            self._notes.timed.add(ANY_BIND)


def _bare(clause: Any) -> Any:
    while isinstance(clause, elements.Grouping):
        clause = clause.element
    return clause


def _plain(kind: Any) -> Any:
    return kind.impl_instance if isinstance(kind, sqltypes.TypeDecorator) else kind


def _item(kind: Any) -> Any:
    kind = _plain(kind)
    return _plain(kind.item_type) if isinstance(kind, sqltypes.ARRAY) else kind


def _of_text(kind: Any) -> bool:
    return isinstance(_item(kind), sqltypes.String)


def _of_day_in_zone(kind: Any) -> bool:
    # a time of day that is put into a zone gets the zone's offset of today
    kind = _item(kind)
    return isinstance(kind, sqltypes.Time) and kind.timezone


def _timeless(kind: Any) -> bool:
    return _of_text(kind) or isinstance(_plain(kind), _TIMELESS)


def _is_text(clause: Any) -> bool:
    clause = _bare(clause)
    if not isinstance(clause, elements.BindParameter):
        return False
    return isinstance(clause.type, (sqltypes.String, sqltypes.NullType))


def _quoted(clause: Any) -> bool:
    # SQLite takes a quoted name that no column has for text.
    return any(
        isinstance(part, elements.ColumnClause)
        and part.table is None
        and part.name != part.name.lower()
        and names_the_present(part.name, "sqlite")
        for part in visitors.iterate(clause)
    )


def _composed(clause: Any) -> bool:
    # Text that is put together may say what none of its pieces does.
    return any(
        _name(part) in MAKING
        or (_composes(part) and any(map(_is_text, visitors.iterate(part))))
        for part in visitors.iterate(clause)
    )


def _composes(part: Any) -> bool:
    if isinstance(part, elements.BinaryExpression):
        return part.operator is operators.concat_op
    return _name(part) in COMPOSING


def _name(part: Any) -> str:
    return str(part.name).lower() if isinstance(part, FunctionElement) else ""
