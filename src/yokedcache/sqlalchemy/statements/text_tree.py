"""
Queries and DML as a parser sees them.

This module, `text_times` and `text_pieces` alone import sqlglot.

Each dialect is used without its table of functions, so that every call keeps the
name that was written and is judged by `functions`. The walk follows the scopes of
CTEs: a name is a table unless a CTE of that name is in sight. A root that isn't a
query or DML, and what the parser keeps as a bare command, are unknown.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.dialects import MySQL, Postgres, SQLite

from yokedcache.sqlalchemy.statements.analysis import (
    UNKNOWN,
    VERBS,
    Analysis,
    Notes,
    fold,
)
from yokedcache.sqlalchemy.statements.sql_functions import KEYWORDS, note_call
from yokedcache.sqlalchemy.statements.text_pieces import STRINGS, children
from yokedcache.sqlalchemy.statements.text_times import Times

_SYNTAX = frozenset(
    {"CAST", "CONVERT", "EXTRACT", "POSITION", "OVERLAY", "SUBSTRING", "TRIM"}
    | {"STRING_AGG", "GROUP_CONCAT", "NORMALIZE", "JSON_OBJECT", "JSON_OBJECTAGG"}
    | {"JSON_TABLE", "JSON_VALUE", "XMLELEMENT", "XMLTABLE"}
)
"""
Functions whose arguments have a grammar of their own; the parser keeps these.
"""

_MYSQL_SYNTAX = frozenset({"MATCH", "VALUES", "CHAR", "SUBSTR", "WEIGHT_STRING"})


@cache
def _dialect(group: str) -> Any:
    base: Any = {"postgresql": Postgres, "sqlite": SQLite, "mysql": MySQL}[group]
    kept = _SYNTAX | (_MYSQL_SYNTAX if group == "mysql" else frozenset())
    parser = type(
        "Parser",
        (base.Parser,),
        {
            "FUNCTIONS": {},
            "FUNCTION_PARSERS": {
                name: parse
                for name, parse in base.Parser.FUNCTION_PARSERS.items()
                if name in kept
            },
        },
    )
    return type(f"Yoked{base.__name__}", (base,), {"Parser": parser})


def analyse_tree(sql: str, group: str, *, replaces: bool = False) -> Analysis:
    """
    Say what one query or DML statement reads and writes.

    `replaces` tells that its INSERT or UPDATE deletes the rows it conflicts with.
    """
    try:
        roots = [root for root in sqlglot.parse(sql, read=_dialect(group)) if root]
    except Exception:  # noqa: BLE001 - a parser's bug is a text not understood
        return UNKNOWN
    if len(roots) != 1:
        return UNKNOWN
    walk = _Walk(group, replaces=replaces)
    try:
        walk.root(roots[0])
        walk.times.end(roots[0])
    except (_NotUnderstoodError, RecursionError):  # it nests deeper than the stack
        return UNKNOWN
    return walk.notes.freeze()


class _NotUnderstoodError(Exception):
    pass


class _Walk:
    """
    One walk over one statement.
    """

    def __init__(self, group: str, *, replaces: bool) -> None:
        self.notes = Notes()
        self._group = group
        self._replaces = replaces
        self.times = Times(self.notes, group)

    def root(self, node: Any) -> None:
        allowed = (exp.Select, exp.SetOperation, exp.Subquery, exp.Values, exp.Insert)
        if not isinstance(node, (*allowed, exp.Update, exp.Delete, exp.Merge)):
            raise _NotUnderstoodError
        self._visit(node, frozenset())

    def _visit(self, node: Any, ctes: frozenset[str]) -> None:
        with_ = node.args.get("with_") or node.args.get("with")
        if with_ is not None:
            ctes = self._with(with_, ctes)
        handler = self._handlers().get(type(node).__name__)
        skipped = handler(node, ctes) if handler is not None else self._other(node)
        for key, child in children(node):
            if child is not with_ and key not in skipped:
                self._visit(child, ctes)

    def _handlers(self) -> dict[str, Any]:
        return {
            "Table": self._table,
            "Column": self._column,
            "In": self._in,
            "Insert": self._insert,
            "Update": self._update,
            "Delete": self._delete,
            "Merge": self._merge,
            "When": self._when,
            "Lock": self._lock,
            "Into": self._into,
            "Anonymous": self._call,
            "AtTimeZone": self._zone,
            "DataType": self.times.kind,
            "Cast": self.times.cast,
            "TryCast": self.times.cast,
            "Concat": self.times.concat,
            "Literal": self.times.literal,
            **dict.fromkeys(STRINGS, self.times.string),
            "TableSample": self._sample,
            "Command": self._command,
        }

    def _with(self, with_: Any, ctes: frozenset[str]) -> frozenset[str]:
        # 1. Recursive, and SQLite always: each sees all the names of its WITH.
        # 2. Otherwise each sees the names before its own.
        names = [fold(cte.alias) for cte in with_.expressions]
        together = bool(with_.args.get("recursive")) or self._group == "sqlite"
        seen = ctes | frozenset(names) if together else ctes
        for name, cte in zip(names, with_.expressions, strict=True):
            self._visit(cte.this, seen)
            seen |= {name}
        return seen

    def _table(self, node: Any, ctes: frozenset[str]) -> tuple[str, ...]:
        this = node.this
        if isinstance(this, exp.Identifier):
            schema = node.text("db") or None
            if schema is not None or fold(this.this) not in ctes:
                self.notes.read(this.this, schema)
        elif isinstance(this, exp.Anonymous):
            self._note_call(this, node.text("db") or None)
            for argument in this.expressions:
                self._visit(argument, ctes)
            return ("this", "db", "catalog", "indexed")
        elif this is None and not node.args.get("rows_from"):
            raise _NotUnderstoodError
        return ("indexed", "db", "catalog")

    def _column(self, node: Any, _ctes: frozenset[str]) -> tuple[str, ...]:
        name = node.this
        if isinstance(name, exp.Identifier) and not name.args.get("quoted"):
            word = name.this.lower()
            if not node.args.get("table") and word in KEYWORDS[self._group]:
                self.notes.refuse(f"volatile_function:{word}")
        return ()

    def _in(self, node: Any, ctes: frozenset[str]) -> tuple[str, ...]:
        # SQLite's `x IN name` reads the table of that name.
        name = node.args.get("field")
        if self._group != "sqlite" or not isinstance(name, exp.Column):
            return ()
        schema = name.text("table") or None
        if schema is not None or fold(name.name) not in ctes:
            self.notes.read(name.name, schema)
        return ("field",)

    def _insert(self, node: Any, _ctes: frozenset[str]) -> tuple[str, ...]:
        verbs = ["insert"]
        conflict = node.args.get("conflict")
        if (
            conflict is not None
            and "NOTHING" not in str(conflict.args.get("action") or "").upper()
        ):
            verbs.append("update")
        if self._replaces or node.args.get("alternative") == "REPLACE":
            verbs = list(VERBS)
        target = node.this.this if isinstance(node.this, exp.Schema) else node.this
        self._target(target, *verbs)
        return ("this",)

    def _update(self, node: Any, _ctes: frozenset[str]) -> tuple[str, ...]:
        if node.this is None:
            return ()  # of a MERGE, whose verbs are noted already
        verbs = ("update", "delete") if self._replaces else ("update",)
        self._target(node.this, *verbs)
        if self._group == "mysql":
            self._targets(node.this, *verbs)
        return ()

    def _delete(self, node: Any, _ctes: frozenset[str]) -> tuple[str, ...]:
        named = node.args.get("tables")
        if named or (self._group == "mysql" and node.args.get("using")):
            # MySQL's multi-table forms may name aliases: take every table of it.
            tables = list(node.find_all(exp.Table))
            aliases = {table.alias for table in tables}
            for table in tables:
                if table.alias or table.name not in aliases:
                    self._target(table, "delete", lenient=True)
            return ("tables", "this") if node.args.get("using") else ("tables",)
        self._target(node.this, "delete")
        return ()

    def _merge(self, node: Any, _ctes: frozenset[str]) -> tuple[str, ...]:
        self._target(node.this, *VERBS)
        return ()

    def _when(self, node: Any, _ctes: frozenset[str]) -> tuple[str, ...]:
        # The actions have no target of their own, and nothing to read but values.
        then = node.args.get("then")
        if isinstance(then, (exp.Insert, exp.Update)):
            for expression in (then.args.get("expression"), *then.expressions):
                if expression is not None:
                    self._visit(expression, frozenset())
        return ("then",)

    def _targets(self, node: Any, *verbs: str) -> None:
        # What MySQL joins to the table that it changes may be changed as well.
        for table in node.find_all(exp.Table):
            if table.find_ancestor(exp.Select) is None:
                self._target(table, *verbs, lenient=True)

    def _target(self, node: Any, *verbs: str, lenient: bool = False) -> None:
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            self.notes.write(node.this.this, node.text("db") or None, *verbs)
        elif not lenient:
            raise _NotUnderstoodError

    def _lock(self, _node: Any, _ctes: frozenset[str]) -> tuple[str, ...]:
        self.notes.locks = True
        self.notes.refuse("for_update")
        return ("expressions",)  # names of aliases, not tables

    def _into(self, node: Any, _ctes: frozenset[str]) -> tuple[str, ...]:
        self.notes.ddl = True
        self.notes.temporary |= bool(node.args.get("temporary"))
        self._target(node.this, *VERBS)
        return ("this",)

    def _call(self, node: Any, _ctes: frozenset[str]) -> tuple[str, ...]:
        parent = node.parent
        schema = None
        if isinstance(parent, exp.Dot) and parent.expression is node:
            schema = parent.this.name or "?"
        self._note_call(node, schema)
        return ()

    def _note_call(self, node: Any, schema: str | None) -> None:
        arguments = node.expressions
        note_call(
            self.notes,
            node.name or str(node.this),
            self._group,
            schema=schema,
            arguments=len(arguments),
            maybe_now=self.times.call(node.name.lower(), arguments),
        )

    def _zone(self, _node: Any, _ctes: frozenset[str]) -> tuple[str, ...]:
        note_call(self.notes, "timezone", self._group)  # which it is written for
        return ()

    def _sample(self, _node: Any, _ctes: frozenset[str]) -> tuple[str, ...]:
        self.notes.refuse("volatile_function:tablesample")
        return ()

    def _command(self, _node: Any, _ctes: frozenset[str]) -> tuple[str, ...]:
        raise _NotUnderstoodError

    def _other(self, node: Any) -> tuple[str, ...]:
        name = type(node).__name__
        if name.startswith(("Current", "Localtime", "SessionUser", "Rand", "Uuid")):
            self.notes.refuse(f"volatile_function:{name.lower()}")
        elif name in ("SessionParameter", "PropertyEQ") or (
            self._group == "mysql" and name == "Parameter"
        ):
            self.notes.refuse("volatile_function:variable")
            # what reads a variable of MySQL's is never stored, so setting one is free
            self.notes.context |= name == "PropertyEQ" and self._group != "mysql"
        return ()
