"""
Servers that are held up in the middle of a commit, and connections that break.
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

STALLING = (
    """
    CREATE FUNCTION stall() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
        BEGIN
            PERFORM pg_advisory_xact_lock(7);
        EXCEPTION WHEN query_canceled THEN
            LOOP
                BEGIN
                    PERFORM pg_advisory_xact_lock(8);
                    EXIT;
                EXCEPTION WHEN query_canceled THEN
                    NULL;
                END;
            END LOOP;
        END;
        RETURN NULL;
    END$$
    """,
    """
    CREATE CONSTRAINT TRIGGER stall AFTER UPDATE ON users
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION stall()
    """,
)
"""Has PostgreSQL wait in COMMIT, and go on waiting however often it is told to cancel."""

_HOLD = {
    "postgresql": "SELECT pg_advisory_lock(7), pg_advisory_lock(8)",
    "mariadb": "FLUSH TABLES WITH READ LOCK",
}
_LET_GO = {
    "postgresql": "SELECT pg_advisory_unlock(7), pg_advisory_unlock(8)",
    "mariadb": "UNLOCK TABLES",
}
_WAITS = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    " AND datname = current_database()",
    "mariadb": "SELECT count(*) FROM information_schema.processlist"
    " WHERE state LIKE 'Waiting for%' AND db = DATABASE()",
}
_TOLD = {
    "postgresql": "SELECT count(*) FROM pg_locks WHERE objid = 8 AND NOT granted"
    " AND locktype = 'advisory'",
    "mariadb": "SELECT 1",
}
"""MariaDB's drivers don't tell it to cancel anything."""
_PROCESS = {
    "postgresql": "SELECT pg_backend_pid()",
    "mariadb": "SELECT connection_id()",
}
_KILL = {"postgresql": "SELECT pg_terminate_backend({})", "mariadb": "KILL {}"}


class Server:
    """
    A database's server, seen by somebody whom the caches know nothing of.
    """

    def __init__(self, raw: Any, name: str) -> None:
        self._raw = raw
        self._name = name

    def hold(self) -> None:
        """
        Let nothing be committed until `let_go`.
        """
        self._ask(_HOLD[self._name])

    def let_go(self) -> None:
        """
        Let what waits go on.
        """
        self._ask(_LET_GO[self._name])

    def is_waiting(self) -> bool:
        """
        Tell whether somebody is held up.
        """
        return bool(self._ask(_WAITS[self._name]))

    def was_told(self) -> bool:
        """
        Tell whether who is held up was told to cancel, if drivers do so.
        """
        return bool(self._ask(_TOLD[self._name]))

    def name(self) -> Any:
        """
        Give the name that is committed.
        """
        return self._ask("SELECT name FROM users WHERE id = 1")

    def kill(self, process: Any) -> None:
        """
        End the server's side of a connection.
        """
        self._ask(_KILL[self._name].format(process))

    def _ask(self, sql: str) -> Any:
        cursor = self._raw.cursor()
        try:
            cursor.execute(sql)
            row = cursor.fetchone() if cursor.description else None
        finally:
            cursor.close()
        return row and row[0]


@contextlib.contextmanager
def server_of(engine: Engine) -> Iterator[Server]:
    """
    Look at the server of an engine over a connection that no listener sees.
    """
    arguments, options = engine.dialect.create_connect_args(engine.url)
    raw = engine.dialect.loaded_dbapi.connect(*arguments, **options)
    try:
        if engine.dialect.name == "mariadb":
            raw.autocommit(True)
        else:
            raw.autocommit = True
        yield Server(raw, engine.dialect.name)
    finally:
        raw.close()
        while _kept:
            _kept.pop().close()


def process_of(connection: Connection) -> Any:
    """
    Give the number of the server's side of a connection.
    """
    return connection.exec_driver_sql(_PROCESS[connection.dialect.name]).scalar()


_kept: list[socket.socket] = []
"""Ends of broken lines that stay open, so that their servers hear nothing of it."""


def cut(connection: Connection, *, unheard: bool = False) -> None:
    """
    Break a connection so that only the client notices while the server is busy.

    `unheard`: until the test ends. MariaDB looks after about a second whether anybody
    is there still, and gives up what it was doing.
    """
    adapter: Any = connection._dbapi_connection
    driver = adapter.driver_connection
    if connection.dialect.name == "mariadb":
        if unheard:
            _kept.append(driver._sock.dup())
        driver._sock.shutdown(socket.SHUT_RD if unheard else socket.SHUT_RDWR)
        return
    with socket.socket(fileno=os.dup(driver.pgconn.socket)) as line:
        line.shutdown(socket.SHUT_RDWR)
