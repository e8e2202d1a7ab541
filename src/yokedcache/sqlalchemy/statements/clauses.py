"""
What a SQLAlchemy statement reads, writes and does.

The statement is compiled once more by the dialect's own compiler, with a subclass
that notes tables, functions and locks as they are rendered. Nothing that reaches
the SQL can be missed in this way: joins of eager loading, inheritance, loader
criteria, nested ORM statements, defaults of columns and expressions of types are
all rendered. What SQLAlchemy passes through unread (text, literal columns,
prefixes, hints, constructs with `@compiles`) is raw: then the compiled string is
parsed too, and its answer counts.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import registry
from sqlalchemy.sql import elements, selectable, visitors
from sqlalchemy.sql.compiler import Compiled, SQLCompiler
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.lambdas import LambdaElement

from yokedcache.sqlalchemy.statements.analysis import (
    ANY_SCHEMA,
    UNKNOWN,
    Analysis,
    Notes,
)
from yokedcache.sqlalchemy.statements.clause_times import Times
from yokedcache.sqlalchemy.statements.present import names_present
from yokedcache.sqlalchemy.statements.sql_functions import KEYWORDS, family, note_call
from yokedcache.sqlalchemy.statements.text import analyse_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.engine import Dialect
    from sqlalchemy.sql.elements import ClauseElement

_TRIVIAL_TEXT = re.compile(
    r"\s*(?:\*|NULL|TRUE|FALSE|-?\d+(?:\.\d+)?)\s*", re.IGNORECASE
)
_COLUMN_NAME = re.compile(r"\s*[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*\s*")
_ODD_OPERATOR = re.compile(
    r"[(;'\"]|--|/\*|\b(?:FROM|JOIN|SELECT|ZONE)\b", re.IGNORECASE
)
_RAW_ATTRIBUTES = ("_prefixes", "_suffixes", "_hints", "_statement_hints")

_ANSWER = "_yokedcache_analysis"
"""Where a compiled statement keeps its analysis."""


def analyse_compiled(compiled: Compiled, dialect_name: str) -> Analysis:
    """
    Say what a compiled statement reads, writes and does; remembered with it.
    """
    answer: Analysis | None = compiled.__dict__.get(_ANSWER)
    if answer is None:
        answer = compiled.__dict__[_ANSWER] = _analyse(compiled, dialect_name)
    return answer


def analyse_clause(statement: ClauseElement, dialect_name: str) -> Analysis:
    """
    Say what a statement reads, writes and does that wasn't compiled yet.
    """
    if isinstance(statement, LambdaElement):
        statement = statement._resolved
    if isinstance(statement, elements.TextClause):
        return analyse_text(statement.text, dialect_name)
    if isinstance(statement, FunctionElement):
        statement = statement.select()
    try:
        compiled: Any = statement.compile(dialect=_plain_dialect(dialect_name))
    except Exception:  # noqa: BLE001 - what can't be rendered can't be understood
        return UNKNOWN
    answer = _analyse(compiled, dialect_name)
    if (
        answer.uncacheable is None
        and answer.timed
        and _of_the_present(compiled, answer)
    ):
        return replace(answer, uncacheable="volatile_function:now")
    return answer


def _of_the_present(compiled: SQLCompiler, answer: Analysis) -> bool:
    return names_present(answer, compiled.params, compiled.dialect.name)


@cache
def _plain_dialect(name: str) -> Dialect:
    made: Dialect = registry.load(name)()
    return made


def _analyse(compiled: Compiled, dialect_name: str) -> Analysis:
    statement = compiled.statement
    string = str(compiled.string)
    if not isinstance(compiled, SQLCompiler) or not isinstance(
        statement, (selectable.SelectBase, UpdateBase, elements.ClauseElement)
    ):
        return analyse_text(string, dialect_name)
    if not _is_query(statement):
        return analyse_text(string, dialect_name)
    try:
        ledger = _render(compiled, statement, dialect_name)
    except Exception:  # noqa: BLE001 - then the string is all there is
        return analyse_text(string, dialect_name)
    if ledger.raw or ledger.times.far:
        ledger.notes.add(analyse_text(string, dialect_name))
    ledger.times.end()
    if getattr(compiled, "schema_translate_map", None):
        ledger.notes.schemas.add(ANY_SCHEMA)
    return ledger.notes.freeze()


def _is_query(statement: Any) -> bool:
    if isinstance(statement, (selectable.SelectBase, selectable.Values, UpdateBase)):
        return True
    return getattr(statement, "__visit_name__", None) == "orm_from_statement"


def _render(compiled: SQLCompiler, statement: Any, dialect_name: str) -> Ledger:
    ledger = Ledger(dialect_name)
    ledger.inspect(statement)
    compiler: Any = type(compiled)
    _recorder(compiler)(
        compiled.dialect,
        statement,
        ledger=ledger,
        column_keys=compiled.column_keys,
        for_executemany=compiled.for_executemany,
    )
    return ledger


class Ledger:
    """
    What was noted while a statement was rendered.
    """

    def __init__(self, dialect_name: str) -> None:
        self.notes = Notes()
        self.raw = False
        self._dialect_name = dialect_name
        self.times = Times(self.notes, family(dialect_name))
        self._keywords = KEYWORDS.get(family(dialect_name), frozenset())

    def inspect(self, tree: Any) -> None:
        """
        Look for what renders itself, or passes text through, anywhere in a tree.
        """
        if self.raw:
            return
        self.raw = any(_renders_itself(element) for element in visitors.iterate(tree))

    def table(self, table: Any) -> None:
        """
        Note a table that is rendered as something to read.
        """
        self.notes.read(table.name, getattr(table, "schema", None))
        if not self.raw:
            self.raw = any(_typed_by_user(column.type) for column in table.c)

    def dml(self, table: Any, *verbs: str) -> None:
        """
        Note the target of an INSERT, UPDATE or DELETE.
        """
        for target in _base_tables(table):
            self.notes.write(target.name, getattr(target, "schema", None), *verbs)

    def function(self, function: Any) -> None:
        """
        Note a call, with what its arguments say about the present.
        """
        arguments = list(function.clauses)
        packages = getattr(function, "packagenames", ())
        note_call(
            self.notes,
            str(function.name),
            self._dialect_name,
            schema=packages[-1] if packages else None,
            arguments=len(arguments),
            maybe_now=self.times.call(str(function.name).lower(), arguments),
        )

    def text(self, text: str) -> None:
        """
        Note text that is rendered as it stands.
        """
        self.raw |= _TRIVIAL_TEXT.fullmatch(text) is None

    def literal_column(self, text: str) -> None:
        """
        Note a literal column: a plain name is a column unless it is a keyword.
        """
        if _COLUMN_NAME.fullmatch(text) and text.strip().lower() not in self._keywords:
            return
        self.text(text)


def _renders_itself(element: Any) -> bool:
    if getattr(type(element), "_compiler_dispatcher", None) is not None:
        return True  # @compiles
    if any(getattr(element, name, None) for name in _RAW_ATTRIBUTES):
        return True
    kind = getattr(element, "type", None)
    return kind is not None and _typed_by_user(kind)


def _typed_by_user(kind: Any) -> bool:
    # Its expressions are rendered, but may hold constructs that render themselves.
    if type(kind).__module__.startswith("sqlalchemy."):
        return False
    return bool(
        getattr(kind, "_has_column_expression", False)
        or getattr(kind, "_has_bind_expression", False)
    )


def _base_tables(table: Any) -> Iterable[Any]:
    return (
        element
        for element in visitors.iterate(table)
        if isinstance(element, selectable.TableClause)
    )


def _conflict_verbs(statement: Any) -> tuple[str, ...]:
    clause = getattr(statement, "_post_values_clause", None)
    if clause is None or clause.__visit_name__ == "on_conflict_do_nothing":
        return ("insert",)
    return ("insert", "update")


def _assigned_tables(statement: Any) -> set[Any]:
    # MySQL's multi-table UPDATE assigns to columns of other tables.
    named = dict(statement._values or {})
    ordered = getattr(statement, "_ordered_values", None) or ()
    columns = [*named, *(pair[0] for pair in ordered)]
    tables = (getattr(column, "table", None) for column in columns)
    return {table for table in tables if table is not None}


class _Recorder:
    """
    Notes what a SQLCompiler renders; mixed in before the dialect's own compiler.
    """

    def __init__(self, *args: Any, ledger: Ledger, **kw: Any) -> None:
        self._ledger = ledger
        super().__init__(*args, **kw)

    def visit_table(self, table: Any, *args: Any, **kw: Any) -> Any:
        self._ledger.table(table)
        return super().visit_table(table, *args, **kw)  # type: ignore[misc]

    def visit_function(self, func: Any, *args: Any, **kw: Any) -> Any:
        self._ledger.function(func)
        return super().visit_function(func, *args, **kw)  # type: ignore[misc]

    def visit_sequence(self, sequence: Any, *args: Any, **kw: Any) -> Any:
        self._ledger.notes.refuse("volatile_function:nextval")
        return super().visit_sequence(sequence, *args, **kw)  # type: ignore[misc]

    def visit_cast(self, cast: Any, *args: Any, **kw: Any) -> Any:
        with self._ledger.times.cast(cast.clause, cast.type):
            return super().visit_cast(cast, *args, **kw)  # type: ignore[misc]

    def visit_binary(self, binary: Any, *args: Any, **kw: Any) -> Any:
        self._ledger.times.binary(binary)
        return super().visit_binary(binary, *args, **kw)  # type: ignore[misc]

    def visit_bindparam(self, bindparam: Any, *args: Any, **kw: Any) -> Any:
        rendered = super().visit_bindparam(bindparam, *args, **kw)  # type: ignore[misc]
        self._ledger.times.bind(bindparam, self.bind_names)  # type: ignore[attr-defined]
        return rendered

    def visit_textclause(self, textclause: Any, *args: Any, **kw: Any) -> Any:
        self._ledger.text(textclause.text)
        return super().visit_textclause(textclause, *args, **kw)  # type: ignore[misc]

    def visit_tstring(self, tstring: Any, *args: Any, **kw: Any) -> Any:
        self._ledger.raw = True
        return super().visit_tstring(tstring, *args, **kw)  # type: ignore[misc]

    def visit_column(self, column: Any, *args: Any, **kw: Any) -> Any:
        if column.is_literal:
            self._ledger.literal_column(column.name)
        return super().visit_column(column, *args, **kw)  # type: ignore[misc]

    def visit_tablesample(self, tablesample: Any, *args: Any, **kw: Any) -> Any:
        self._ledger.notes.refuse("volatile_function:tablesample")
        return super().visit_tablesample(tablesample, *args, **kw)  # type: ignore[misc]

    def for_update_clause(self, select: Any, *args: Any, **kw: Any) -> Any:
        self._ledger.notes.locks = True
        self._ledger.notes.refuse("for_update")
        return super().for_update_clause(select, *args, **kw)  # type: ignore[misc]

    def visit_custom_op_binary(
        self, element: Any, operator: Any, *args: Any, **kw: Any
    ) -> Any:
        self._ledger.raw |= _ODD_OPERATOR.search(operator.opstring) is not None
        return super().visit_custom_op_binary(  # type: ignore[misc]
            element, operator, *args, **kw
        )

    def visit_insert(self, insert_stmt: Any, *args: Any, **kw: Any) -> Any:
        self._ledger.dml(insert_stmt.table, *_conflict_verbs(insert_stmt))
        self._ledger.inspect(insert_stmt)
        return super().visit_insert(insert_stmt, *args, **kw)  # type: ignore[misc]

    def visit_update(self, update_stmt: Any, *args: Any, **kw: Any) -> Any:
        self._ledger.dml(update_stmt.table, "update")
        for table in _assigned_tables(update_stmt):
            self._ledger.dml(table, "update")
        self._ledger.inspect(update_stmt)
        return super().visit_update(update_stmt, *args, **kw)  # type: ignore[misc]

    def visit_delete(self, delete_stmt: Any, *args: Any, **kw: Any) -> Any:
        self._ledger.dml(delete_stmt.table, "delete")
        self._ledger.inspect(delete_stmt)
        return super().visit_delete(delete_stmt, *args, **kw)  # type: ignore[misc]

    def _compose_select_body(
        self, text: Any, select: Any, *args: Any, **kw: Any
    ) -> Any:
        # The select as the ORM made it, which alone has what the ORM added.
        self._ledger.inspect(select)
        return super()._compose_select_body(  # type: ignore[misc]
            text, select, *args, **kw
        )


@cache
def _recorder(compiler: Any) -> Any:
    return type(f"Recording{compiler.__name__}", (_Recorder, compiler), {})
