"""
The private MariaDB is what it claims: fresh for each test, and findable anywhere.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pymysql
import pytest

from tests.services import (
    MariaDB,
    MariaDBDatabase,
    MariaDBServer,
    MissingServiceError,
    base,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("run", ["first", "second"])
def test_each_test_has_an_empty_database(
    mariadb_database: MariaDBDatabase, run: str
) -> None:
    with mariadb_database.server.connect(mariadb_database.name) as connection:
        cursor = connection.cursor()
        assert cursor.execute("SHOW TABLES") == 0
        cursor.execute("CREATE TABLE only_here (id int)")


def test_databases_do_not_see_each_other(
    make_mariadb_database: Callable[[], MariaDBDatabase],
) -> None:
    one, other = make_mariadb_database(), make_mariadb_database()
    one.server.say("CREATE TABLE only_here (id int)", database=one.name)
    with pytest.raises(pymysql.ProgrammingError, match="doesn't exist"):
        other.server.say("SELECT * FROM only_here", database=other.name)


def test_a_database_goes_though_somebody_holds_a_lock_on_it(
    mariadb_server: MariaDBServer,
) -> None:
    database = mariadb_server.create_database()
    mariadb_server.say("CREATE TABLE held (id int)", database=database.name)
    holder = mariadb_server.connect(database.name)
    holder.begin()
    holder.query("INSERT INTO held VALUES (1)")
    mariadb_server.drop_database(database)
    with pytest.raises(pymysql.OperationalError, match="Unknown database"):
        mariadb_server.connect(database.name)
    holder.close()


def test_server_parts_come_back_from_a_url() -> None:
    server = MariaDBServer.from_url("mariadb+pymysql://ann:p%40ss@db:6000/main")
    assert server == MariaDBServer("db", 6000, "ann", "p@ss")
    database = MariaDBDatabase(server, "x")
    assert database.url("asyncmy") == "mariadb+asyncmy://ann:p%40ss@db:6000/x"
    assert database.url("pymysql", "mysql").startswith("mysql+pymysql://")


@pytest.mark.skipif(
    "YC_MARIADB_URL" in os.environ, reason="the server is not ours: YC_MARIADB_URL"
)
def test_server_uses_no_standard_port(mariadb_server: MariaDBServer) -> None:
    assert mariadb_server.port != 3306


def test_missing_server_is_a_failure_that_names_the_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("YC_MARIADB_URL", raising=False)
    monkeypatch.setenv("YC_MARIADB_HOME", str(tmp_path))
    with pytest.raises(MissingServiceError, match="make services"):
        MariaDB().require()


@pytest.mark.parametrize(
    ("user", "script"), [(0, "debian-install"), (1000, "debian-unpack")]
)
def test_what_is_missing_is_installed_by_root_and_unpacked_by_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, user: int, script: str
) -> None:
    ran: list[list[str]] = []
    monkeypatch.delenv("YC_MARIADB_URL", raising=False)
    monkeypatch.setenv("YC_MARIADB_HOME", str(tmp_path))
    monkeypatch.setattr(base.os, "geteuid", lambda: user)
    monkeypatch.setattr(base.shutil, "which", lambda _: "/usr/bin/apt-get")
    monkeypatch.setattr(
        base.subprocess, "run", lambda command, **_: ran.append(command)
    )
    with pytest.raises(MissingServiceError):
        MariaDB().ensure()
    assert [Path(command[0]).name for command in ran] == [script]
    assert "mariadb-server-core" in ran[0]
