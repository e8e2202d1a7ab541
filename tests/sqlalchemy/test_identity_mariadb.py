"""
Who a MariaDB database says it is: by its server and schema, whoever asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from yokedcache.sqlalchemy.databases.identity import IdentityUnknown, database_identity
from yokedcache.sqlalchemy.names import database_tag, read_tags

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services import MariaDBDatabase, MariaDBServer


def asked(url: str, dialect: str = "mariadb", **options: Any) -> str:
    engine = sa.create_engine(url, **options)
    try:
        with engine.connect() as connection:
            raw = connection.connection.dbapi_connection
            return database_identity(raw, dialect, None)
    finally:
        engine.dispose()


@pytest.mark.usefixtures("may_block")  # PyMySQL on the loop's thread
async def test_drivers_and_dialects_agree_on_who_it_is(
    mariadb_database: MariaDBDatabase,
) -> None:
    def ask(connection: sa.Connection) -> str:
        return database_identity(
            connection.connection.dbapi_connection, "mariadb", None
        )

    found = {
        asked(mariadb_database.url("pymysql")),
        asked(mariadb_database.url("pymysql", "mysql"), "mysql"),
        asked(mariadb_database.url("pymysql").replace("127.0.0.1", "localhost")),
    }
    for driver in ("asyncmy", "aiomysql"):
        engine = create_async_engine(mariadb_database.url(driver))
        async with engine.connect() as connection:
            found.add(await connection.run_sync(ask))
        await engine.dispose()
    assert len(found) == 1
    assert found.pop().startswith("my:")


def test_schemas_of_one_server_are_databases_that_share_a_tag(
    make_mariadb_database: Callable[[], MariaDBDatabase],
) -> None:
    one, other = (asked(make_mariadb_database().url("pymysql")) for _ in range(2))
    assert one != other
    assert database_tag(one) == database_tag(other)
    assert set(read_tags(one, ["users"])) & set(read_tags(other, ["users"])) == {
        database_tag(one)
    }


def test_a_connection_without_a_schema_is_nobody(mariadb_server: MariaDBServer) -> None:
    with pytest.raises(IdentityUnknown, match="URL"):
        asked(f"mariadb+pymysql://{mariadb_server.authority}/")


@pytest.mark.parametrize("mode", ["ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "ORACLE"])
def test_another_grammar_is_not_read(
    mariadb_database: MariaDBDatabase, mode: str
) -> None:
    options = {"init_command": f"SET sql_mode = CONCAT(@@sql_mode, ',{mode}')"}
    with pytest.raises(IdentityUnknown, match=mode):
        asked(mariadb_database.url("pymysql"), connect_args=options)


class Cursor:
    """
    Answers as a server that can't be started here: MySQL, a replica, a Galera node.
    """

    def __init__(self, **variables: str | bytes) -> None:
        self.rows: list[Any] = []
        self.variables = variables

    def execute(self, statement: str) -> None:
        self.rows = list(self.variables.items())
        if "DATABASE()" in statement:
            self.rows = [("Shop", "STRICT_TRANS_TABLES")]

    def fetchone(self) -> Any:
        return self.rows[0]

    def fetchall(self) -> Any:
        return self.rows

    def cursor(self) -> Cursor:
        return self

    def close(self) -> None:
        pass


def test_a_mysql_server_is_known_by_its_uuid() -> None:
    server = Cursor(server_uuid="aaa", hostname="h", port="1", read_only="OFF")
    assert database_identity(server, "mysql", None) == "my:aaa/shop"


@pytest.mark.parametrize(
    ("variable", "reason"), [("read_only", "replicas"), ("wsrep_on", "Galera")]
)
def test_servers_that_may_be_behind_are_not_cached(variable: str, reason: str) -> None:
    with pytest.raises(IdentityUnknown, match=reason):
        database_identity(Cursor(**{variable: "ON"}), "mysql", None)


@pytest.mark.parametrize("variable", ["hostname", "port", "datadir", "server_uid"])
def test_a_mariadb_server_is_known_by_what_no_connection_changes(variable: str) -> None:
    same = {"hostname": "h", "port": "1", "datadir": "/d", "server_uid": "u"}
    one = database_identity(Cursor(**same), "mariadb", None)
    assert one == database_identity(Cursor(**same, version="11.8"), "mariadb", None)
    same[variable] = "other"
    assert one != database_identity(Cursor(**same), "mariadb", None)
