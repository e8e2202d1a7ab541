"""
Who a database says it is, and what tells engines apart.
"""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from yokedcache.sqlalchemy.databases.identity import (
    IdentityUnknown,
    database_identity,
    engine_fingerprint,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.services.postgres import PostgresDatabase


def sqlite_identity(path: str, *, attach: bool = False) -> str:
    connection = sqlite3.connect(path)
    try:
        connection.execute("CREATE TEMP TABLE x (y)")
        if attach:
            connection.execute("ATTACH ':memory:' AS other")
        return database_identity(connection, "sqlite", None)
    finally:
        connection.close()


def test_a_sqlite_file_is_itself_by_any_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.db").symlink_to(tmp_path / "a.db")
    one = sqlite_identity("a.db")
    assert one.startswith("sqlite:")
    assert one == sqlite_identity(str(tmp_path / "a.db")) == sqlite_identity("link.db")
    assert one != sqlite_identity("b.db")


def test_a_database_in_memory_has_no_name() -> None:
    assert sqlite_identity(":memory:") == ""


def test_attached_databases_have_no_single_name(tmp_path: Path) -> None:
    with pytest.raises(IdentityUnknown, match="other"):
        sqlite_identity(str(tmp_path / "a.db"), attach=True)


def test_other_databases_are_not_asked_yet() -> None:
    with pytest.raises(IdentityUnknown):
        database_identity(None, "oracle", None)


async def test_drivers_agree_on_who_a_postgresql_is(
    make_postgres_database: Callable[[], PostgresDatabase],
) -> None:
    first, second = make_postgres_database(), make_postgres_database()

    def ask(connection: sa.Connection) -> str:
        raw = connection.connection.dbapi_connection
        return database_identity(raw, "postgresql", connection.engine.url)

    def ask_blocking(database: PostgresDatabase) -> str:
        engine = sa.create_engine(database.url("psycopg"))
        with engine.connect() as connection:
            name = ask(connection)
        engine.dispose()
        return name

    found = [await asyncio.to_thread(ask_blocking, each) for each in (first, second)]
    async_engine = create_async_engine(first.url("asyncpg"))
    async with async_engine.connect() as async_connection:
        found.append(await async_connection.run_sync(ask))
    await async_engine.dispose()
    assert found[0] == found[2] != found[1]
    assert found[0].startswith("pg:")


URL = "postgresql+psycopg://u:secret@h:1/d"


def fingerprint(url: str = URL, **options: Any) -> str:
    return engine_fingerprint(sa.create_engine(url, **options))


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("postgresql+psycopg://v:secret@h:1/d", {}),
        ("postgresql+psycopg://u:secret@i:1/d", {}),
        ("postgresql+psycopg://u:secret@h:2/d", {}),
        ("postgresql+psycopg://u:secret@h:1/e", {}),
        (URL + "?options=-csearch_path%3Da", {}),
        (URL, {"connect_args": {"options": "-csearch_path=a"}}),
        (URL, {"connect_args": {"connect_timeout": 1}}),
        (URL, {"connect_args": {"connect_timeout": "1"}}),
        (URL, {"connect_args": {"server_settings": {"a": "b"}}}),
        (URL, {"connect_args": {"row_factory": object()}}),
        (URL, {"connect_args": {"context": object()}}),
        ("sqlite://", {}),
        ("sqlite:///x.db", {}),
    ],
)
def test_what_changes_answers_changes_the_fingerprint(
    url: str, options: dict[str, Any]
) -> None:
    assert fingerprint(url, **options) != fingerprint()
    assert fingerprint(url, **options) == fingerprint(url, **options)


def test_each_of_them_is_another() -> None:
    arguments = [{"a": 1}, {"a": "1"}, {"a": True}, {"a": {"b": 1}}, {"a.b": [1]}, {}]
    found = {fingerprint(connect_args=one) for one in arguments}
    assert len(found) == len(arguments)


def test_a_password_is_no_part_of_it() -> None:
    assert fingerprint("postgresql+psycopg://u:other@h:1/d") == fingerprint()
    assert fingerprint(connect_args={"password": "x"}) == fingerprint()


@pytest.mark.parametrize(
    "options",
    [
        {"creator": lambda: sqlite3.connect(":memory:")},
        {"creator": lambda _record: sqlite3.connect(":memory:")},
        {"pool": sa.StaticPool(lambda: sqlite3.connect(":memory:"))},
    ],
)
def test_a_creator_tells_nothing(options: dict[str, Any]) -> None:
    assert fingerprint("sqlite://", **options) == "creator"


def test_an_async_creator_tells_nothing() -> None:
    async def connect() -> Any:
        raise AssertionError

    engine = create_async_engine(
        "postgresql+asyncpg://u@h/d", async_creator=connect
    ).sync_engine
    assert engine_fingerprint(engine) == "creator"


def test_processes_agree() -> None:
    code = (
        "import sqlalchemy as sa\n"
        "from yokedcache.sqlalchemy.databases.identity import engine_fingerprint\n"
        f"engine = sa.create_engine({URL!r}, connect_args={{'options': 'x'}})\n"
        "print(engine_fingerprint(engine))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert found.stdout.strip() == fingerprint(connect_args={"options": "x"})
