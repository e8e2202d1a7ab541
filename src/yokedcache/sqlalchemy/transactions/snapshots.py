"""
Asks connections what their transactions see (rule 6).

What counts is what a connection does, not what its level is called. SQLite's
driver tells whether a transaction is open: outside one each statement stands for
itself. Other servers are asked for their level, once a connection and again after
statements that may have changed it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from yokedcache.core.snapshots import (
    FRESH,
    STATEMENT_LEVELS,
    Opening,
    Sight,
    View,
    opening_at,
    sight_at,
)
from yokedcache.sqlalchemy.answers.beginning import ready
from yokedcache.sqlalchemy.databases.database import database_of, isolation
from yokedcache.sqlalchemy.transactions.floating import floating
from yokedcache.sqlalchemy.transactions.holders import autocommit, is_open, pooled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.engine import Connection, Engine
    from sqlalchemy.orm import Session

    from yokedcache.sqlalchemy.statements.analysis import Analysis
    from yokedcache.sqlalchemy.transactions.connections import ConnectionState
    from yokedcache.sqlalchemy.transactions.outlook import Moment
    from yokedcache.stores.memory import MemoryStore

_NATIVE = {
    "postgresql": "READ COMMITTED",
    "mysql": "REPEATABLE READ",
    "mariadb": "REPEATABLE READ",
}
"""The level of a database that nobody configured."""

_FACTS = ("isolation_level", "postgresql_readonly", "postgresql_deferrable")


def before_statement(
    connection: Connection, state: ConnectionState, analysis: Analysis
) -> None:
    """
    Take the note of a transaction whose first statement is about to be sent.
    """
    outlook = state.outlook
    if state.database.dialect_name == "sqlite":
        _before_on_sqlite(connection, state, analysis)
    elif outlook.note is None or (
        analysis.transaction == "begin" and is_open(connection) is False
    ):
        outlook.take_note(state.database.changes)
    if analysis.transaction in _ENDINGS:
        outlook.about_to_end()
    if outlook.sight is None and state.sessions:
        sight(connection, state)
    if analysis.reads or analysis.writes or analysis.unknown_write:
        outlook.about_to_query()


_ENDINGS = frozenset({"commit", "rollback", "prepare"})


def _before_on_sqlite(
    connection: Connection, state: ConnectionState, analysis: Analysis
) -> None:
    database, outlook = state.database, state.outlook
    opened = is_open(connection)
    if outlook.note is None or not opened:
        if opened or (analysis.transaction == "begin" and _beginning(connection)):
            database.opens = True
        elif database.opens is None:
            database.opens = False
        outlook.take_note(database.changes)


def _beginning(connection: Connection) -> bool:
    """
    Tell whether SQLAlchemy is just beginning a transaction: a listener sends BEGIN.
    """
    return connection._transaction is None


def sight(connection: Connection, state: ConnectionState) -> Sight:
    """
    Tell what a connection's transaction sees.
    """
    outlook = state.outlook
    if state.database.dialect_name == "sqlite":
        # it changes with every BEGIN, so the driver is asked each time
        known = Sight.SNAPSHOT if is_open(connection) else Sight.STATEMENT
    else:
        known = outlook.sight or _sight_at_server(connection, state)
    outlook.see(known)
    return known


def _sight_at_server(connection: Connection, state: ConnectionState) -> Sight:
    options = connection.get_execution_options()
    driver: Any = pooled(connection).dbapi_connection
    tells = hasattr(driver, "autocommit") or hasattr(driver, "get_autocommit")
    if tells and autocommit(connection):
        return Sight.STATEMENT
    facts = tuple(map(options.get, _FACTS))
    known = state.outlook.levels.get(facts)
    if known is None:
        try:
            known = _asked(connection)
        except Exception:  # noqa: BLE001 - the statement itself says what is wrong
            return Sight.CHECKED
        told = isolation(connection.dialect, options) in STATEMENT_LEVELS
        if state.outlook.remember(facts, known) and told and known in _ONE_STATE:
            state.database.opens = True
    return known


_ONE_STATE = (Sight.SNAPSHOT, Sight.CHECKED)


def _asked(connection: Connection) -> Sight:
    """
    Ask the server; to show a setting makes no snapshot.
    """
    driver: Any = pooled(connection).dbapi_connection
    level = connection.dialect.get_isolation_level(driver)
    deferred = level == "SERIALIZABLE" and connection.dialect.name == "postgresql"
    for setting in ("transaction_read_only", "transaction_deferrable"):
        deferred = deferred and _shown(driver, setting) == "on"
    return sight_at(level, deferred=deferred)


def _shown(driver: Any, setting: str) -> str:
    cursor = driver.cursor()
    try:
        cursor.execute(f"SHOW {setting}")
        return str(cursor.fetchone()[0])
    finally:
        cursor.close()


def note_of(connection: Connection, state: ConnectionState) -> Moment | None:
    """
    Give the note that binds what is read over a connection, if it sees a snapshot.
    """
    outlook = state.outlook
    seen = sight(connection, state)
    if state.database.dialect_name == "sqlite":
        pinned = outlook.pinned
        if pinned is not None:
            return pinned
    return (outlook.note or {}) if seen is Sight.SNAPSHOT else None


def unmade(connection: Connection, state: ConnectionState) -> bool:
    """
    Tell whether a connection's next read will make its snapshot.
    """
    return sight(connection, state) is Sight.SNAPSHOT and not state.outlook.queried


def view(connection: Connection, state: ConnectionState, store: MemoryStore) -> View:
    """
    Give what a connection's transaction may be served from a store, and add to it.
    """
    seen, note = outlook_of(connection, state)
    if seen is Sight.STATEMENT:
        return FRESH
    return View(seen, None if note is None else note.get(store, -1))


def outlook_of(
    connection: Connection, state: ConnectionState
) -> tuple[Sight, Moment | None]:
    """
    Tell what a connection's transaction sees, and as of which moment if of one.
    """
    note = note_of(connection, state)
    if state.database.dialect_name == "sqlite":
        level = isolation(connection.dialect, connection.get_execution_options())
        if level == "READ UNCOMMITTED" or _looks_under(connection, state):
            return Sight.UNCOMMITTED, note
    if note is not None:
        return Sight.SNAPSHOT, note
    return state.outlook.sight or Sight.STATEMENT, None


def _looks_under(connection: Connection, state: ConnectionState) -> bool:
    """
    Ask a connection that may share its cache whether it sees what others didn't commit.

    A listener of the app's may have had it so, which SQLAlchemy isn't told.
    """
    if not state.database.may_share:
        return False
    known = state.outlook.levels.get(_PRAGMA)
    if known is None:
        driver: Any = pooled(connection).dbapi_connection
        try:
            known = sight_at(connection.dialect.get_isolation_level(driver))
        except Exception:  # noqa: BLE001 - the statement itself says what is wrong
            return True
        state.outlook.remember(_PRAGMA, known)
    return known is Sight.UNCOMMITTED


_PRAGMA = "read_uncommitted"


def opening(
    engine: Engine, options: Mapping[str, Any], connection: Connection | None = None
) -> Opening:
    """
    Tell what a session may be served of which no statement has made a snapshot.

    `connection`: the one that it holds, and whose next read will make one.
    """
    database = database_of(engine.dialect)
    if database.dialect_name == "sqlite":
        free = database.opens is False and connection is None
        return Opening.FREE if free else Opening.STRICT
    if database.opens:
        return Opening.STRICT
    dialect: Any = engine.dialect
    level = isolation(dialect, options)
    if connection is None and level in STATEMENT_LEVELS:
        return Opening.FREE  # as `opening_at` says, but at nearly every hit
    how = opening_at(
        level,
        native=_NATIVE.get(database.dialect_name),
        chosen=bool(
            options.get("isolation_level") or dialect._on_connect_isolation_level
        ),
    )
    return Opening.STRICT if connection is not None and how is Opening.FREE else how


def seen_by(
    session: Session,
    engine: Engine,
    options: Mapping[str, Any],
    store: MemoryStore,
    over: tuple[Connection, ConnectionState] | None = None,
) -> View | None:
    """
    Give what a session's transaction sees; `None`: its next read makes its snapshot.

    `over`: the connection that it holds.
    """
    if over is not None and not unmade(*over):
        return view(*over, store)
    how = opening(engine, options, None if over is None else over[0])
    if how is Opening.FREE:
        return FRESH
    if how is Opening.STRICT or not ready(session):
        return None
    return floating(session).view(store)
