"""
The servers that tests rely on are what they claim: private, fresh, and gone after.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.services import (
    SERVICES,
    MissingServiceError,
    Postgres,
    PostgresDatabase,
    PostgresServer,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize("run", ["first", "second"])
def test_each_test_has_an_empty_database(postgres_url: str, run: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE only_here (id int)")
        found = connection.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        ).fetchone()
    assert found == (1,)


def test_databases_do_not_see_each_other(
    make_postgres_database: Callable[[], PostgresDatabase],
) -> None:
    one, other = make_postgres_database(), make_postgres_database()
    with psycopg.connect(one.url()) as connection:
        connection.execute("CREATE TABLE only_here (id int)")
    with psycopg.connect(other.url()) as connection:
        assert connection.execute("SELECT to_regclass('only_here')").fetchone() == (
            None,
        )


def test_url_names_the_driver_asked_for(postgres_database: PostgresDatabase) -> None:
    plain = postgres_database.url()
    assert plain.startswith("postgresql://")
    assert postgres_database.url("asyncpg") == plain.replace("://", "+asyncpg://", 1)


def test_server_parts_come_back_from_a_url() -> None:
    server = PostgresServer.from_url("postgresql+psycopg://ann:p%40ss@db:6000/main")
    assert server == PostgresServer("db", 6000, "ann", "p@ss", "main")
    assert PostgresDatabase(server, "x").url() == "postgresql://ann:p%40ss@db:6000/x"


def test_server_is_ready_for_what_tests_need(postgres_server: PostgresServer) -> None:
    with postgres_server.connect() as connection:
        settings = dict(
            connection.execute("SELECT name, setting FROM pg_settings").fetchall()
        )
    assert settings["wal_level"] == "logical"
    assert int(settings["max_prepared_transactions"]) > 0
    assert settings["synchronous_commit"] == "on"


@pytest.mark.skipif(
    "YC_POSTGRES_URL" in os.environ, reason="the server is not ours: YC_POSTGRES_URL"
)
def test_server_uses_no_standard_port(postgres_server: PostgresServer) -> None:
    assert postgres_server.port != 5432


def test_every_service_is_here() -> None:
    for service in SERVICES:
        assert service.require().version


def test_missing_server_is_a_failure_that_names_the_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("YC_POSTGRES_URL", raising=False)
    monkeypatch.setenv("YC_POSTGRES_BIN", str(tmp_path))
    with pytest.raises(MissingServiceError, match="make services"):
        Postgres().require()
