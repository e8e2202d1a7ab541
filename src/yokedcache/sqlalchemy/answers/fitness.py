"""
Whether a statement may be answered at all, before anybody is asked.

That is what its kind, its options and the state of its session say. It fails
closed: what isn't known to be a plain read over a usable connection is left to
the database, which also raises what there is to raise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Connection
from sqlalchemy.orm import FromStatement, Session
from sqlalchemy.sql.elements import TextClause
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.lambdas import StatementLambdaElement
from sqlalchemy.sql.selectable import CompoundSelect, Select, TextualSelect

from yokedcache.sqlalchemy.answers.offline import connection_options
from yokedcache.sqlalchemy.transactions.holders import driver_of

if TYPE_CHECKING:
    from yokedcache.sqlalchemy.answers.offline import Options
    from yokedcache.sqlalchemy.answers.statement_calls import StatementCall

BINDS = "binds" if hasattr(Session(), "binds") else "_Session__binds"
"""Where a session keeps the engines of single classes and tables (2.0: privately)."""

SELECTS = (Select, CompoundSelect, TextualSelect)
"""The classes of most statements that read."""

FAILED = "_yokedcache_failed"
"""Marks a session's transaction in which a statement failed."""

_BUFFERING = frozenset({
    "psycopg", "psycopg2", "pg8000", "mysqldb", "pymysql", "mariadbconnector",
})  # fmt: skip
"""Drivers that hold all rows before the first is fetched (the async ones all do)."""


def drainable(call: StatementCall) -> int:
    """
    Say how many rows may be fetched after an early close, to see whether it was the end.

    `scalar()` and `first()` close after one row. Where the rows are here
    already, or the statement can't have a second one, looking costs nothing.
    """
    dialect = call.engine.dialect
    if dialect.is_async or dialect.driver in _BUFFERING:
        return _SOME_ROWS
    return 1 if _gives_one_row(call.statement) else 0


def read_ahead_size(call: StatementCall) -> int:
    """
    Say how many rows to fetch at a time for others who wait for them.

    Async drivers have them all at hand. Where fetching may fail in the middle,
    what comes before the failure is the caller's, row by row.
    """
    return _SOME_ROWS if call.engine.dialect.is_async else 1


_SOME_ROWS = 100
_AGGREGATES = frozenset({"avg", "count", "max", "min", "sum", "total"})


def _gives_one_row(statement: Any) -> bool:
    if not isinstance(statement, Select):
        return False
    limit = statement._limit_clause
    if limit is not None and getattr(limit, "value", None) == 1:
        return True
    columns = [getattr(column, "element", column) for column in statement._raw_columns]
    return not statement._group_by_clauses and all(
        isinstance(column, FunctionElement)
        and getattr(column, "name", "").lower() in _AGGREGATES
        for column in columns
    )


def established(session: Session, bind: Any) -> Connection | None:
    """
    Return the connection that the session's transaction holds or will be given.

    A session that is bound to a connection joins whatever was begun on that.
    """
    transaction: Any = session._transaction
    while transaction is not None:
        held = transaction._connections.get(bind)
        if held is not None:
            connection: Connection = held[0]
            return connection
        transaction = transaction._parent
    return bind if isinstance(bind, Connection) else None


def holds_connection(session: Session, bind: Any) -> bool:
    """
    Tell whether a session holds a connection, which others may wait for.
    """
    if isinstance(bind, Connection):
        return True
    transaction: Any = session._transaction
    while transaction is not None:
        if transaction._connections:
            return True
        transaction = transaction._parent
    return False


def base_options(call: StatementCall) -> Options:
    """
    Give the execution options of the connection that would be used.
    """
    if call.connected is not None and call.connected is not call.bind:
        return call.connected._execution_options
    # Sessions have execution options of their own from 2.1 on.
    own = getattr(call.session, "execution_options", None)
    return connection_options(call.bind, own or {})


def element_of(statement: Any) -> Any:
    """
    Take off what lambdas and `from_statement` put around a statement.
    """
    if isinstance(statement, StatementLambdaElement):
        statement = statement._resolved
    if isinstance(statement, FromStatement):
        statement = statement.element
    return statement


def written_by_hand(statement: Any) -> bool:
    """
    Tell whether a statement's SQL was written by hand.
    """
    return isinstance(element_of(statement), (TextClause, TextualSelect))


def reads(statement: Any) -> bool:
    """
    Tell whether a statement is of a kind that may be a plain read.
    """
    element = element_of(statement)
    return isinstance(element, (*SELECTS, TextClause))


def forbidden(call: StatementCall) -> str | None:
    """
    Name what in the session or the options forbids answering the call.
    """
    return (
        _by_options(call.options)
        or _by_lock(call.statement)
        or failed(call.session._transaction)
        or unusable(call.connected or call.bind)
    )


def _by_options(options: Options) -> str | None:
    if options.get("stream_results") or options.get("yield_per"):
        return "streams"
    load = options.get("_sa_orm_load_options")
    if load is None:
        return None
    if load._is_user_refresh:
        return "refresh"
    if load._populate_existing:
        return "populate_existing"
    return "streams" if load._yield_per else None


def _by_lock(statement: Any) -> str | None:
    lock = getattr(element_of(statement), "_for_update_arg", None)
    return None if lock is None else "for_update"


def failed(transaction: Any) -> str | None:
    """
    Name what a session's transaction waits for, if a statement of it went wrong.
    """
    while transaction is not None:
        if FAILED in transaction.__dict__:
            return "transaction_failed"
        transaction = transaction._parent
    return None


def unusable(bind: Any) -> str | None:
    """
    Name the state in which a connection would refuse the statement.
    """
    if not hasattr(bind, "closed"):
        return None  # an engine
    if bind.closed or bind.invalidated:
        return "connection_closed"
    for transaction in (bind._transaction, bind._nested_transaction):
        if transaction is not None and not transaction.is_active:
            return "transaction_failed"
    return "transaction_failed" if _aborted(bind) else None


def _aborted(connection: Connection) -> bool:
    """
    Ask a PostgreSQL driver, without a round trip, whether the server waits for ROLLBACK.
    """
    info = getattr(driver_of(connection.connection), "info", None)
    status = getattr(info, "transaction_status", None)
    return status is not None and int(status) == _IN_ERROR


_IN_ERROR = 3
"""`PQTRANS_INERROR` of libpq, the same in both psycopg."""
