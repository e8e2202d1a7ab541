"""
A path that an application uses for its own database, too: nothing of its is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.services.processes import wait_until
from tests.support.files import on, path, settled
from yokedcache.stores.sqlite import machine

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache import YokedCache

__all__ = ["on", "path"]

pytestmark = pytest.mark.timeout(120)

USERS = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)"
SAID = "holds something else beside the cache (table 'users'), and is left alone"


def write(path: Path, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def read(path: Path, statement: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


def add_users(path: Path) -> None:
    write(path, USERS, "INSERT INTO users VALUES (1, 'precious')")


def assert_left_alone(path: Path, cache: YokedCache) -> None:
    """
    Hold a cache to what an application needs of it, and of its own tables.
    """
    assert cache.sync.get("a", "nothing") == "nothing"
    assert not cache.sync.set("a", 1)
    assert cache.sync.get_or_set("b", lambda: 2) == 2
    assert cache.stats().store_failures > 0
    assert read(path, "SELECT name FROM users") == [("precious",)]


def restore(path: Path) -> None:
    """
    Do what a restored backup is: another file at the same path.
    """
    kept = shutil.copy(path, path.with_name("backup"))
    Path(kept).replace(path)


def test_a_restored_database_of_the_application_is_kept(
    path: Path, on: Callable[..., YokedCache], caplog: pytest.LogCaptureFixture
) -> None:
    settled(on()).sync.close()
    add_users(path)
    restore(path)
    assert_left_alone(path, on())
    assert SAID in caplog.text
    assert "take another path for it" in caplog.text


def test_the_machine_starts_anew(
    path: Path,
    on: Callable[..., YokedCache],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settled(on()).sync.close()
    add_users(path)
    monkeypatch.setattr(machine, "BOOT", "another")
    assert_left_alone(path, on())
    assert SAID in caplog.text


@pytest.mark.parametrize(
    ("said", "statement"),
    [
        ("view 'seen'", "CREATE VIEW seen AS SELECT 1"),
        ("index 'by_size'", "CREATE INDEX by_size ON entries (size)"),
        (
            "trigger 'noted'",
            "CREATE TRIGGER noted AFTER INSERT ON claims BEGIN SELECT 1; END",
        ),
        ("table 'claims'", "ALTER TABLE claims ADD COLUMN theirs TEXT"),
    ],
)
def test_whatever_the_application_has_put_there(
    path: Path,
    on: Callable[..., YokedCache],
    caplog: pytest.LogCaptureFixture,
    said: str,
    statement: str,
) -> None:
    settled(on()).sync.close()
    write(path, statement)
    restore(path)
    before = read(path, "SELECT * FROM sqlite_master")
    assert on().sync.get("a", "nothing") == "nothing"
    assert said in caplog.text
    assert read(path, "SELECT * FROM sqlite_master") == before


def test_what_sqlite_puts_there_itself_is_nobodys(
    path: Path, on: Callable[..., YokedCache]
) -> None:
    cache = settled(on())
    write(path, "ANALYZE")
    assert cache.sync.get("settled") == 1
    assert on().sync.get("settled") == 1


def test_tables_that_are_made_meanwhile_are_met_by_all(
    path: Path, on: Callable[..., YokedCache], caplog: pytest.LogCaptureFixture
) -> None:
    one, other = settled(on()), settled(on())
    assert one.sync.set("a", 1)
    assert other.sync.get("a") == 1
    add_users(path)
    # none serves what another, who can't announce anything any more, may have changed
    assert_left_alone(path, one)
    assert_left_alone(path, other)
    assert SAID in caplog.text


def test_an_event_loop_meets_them(path: Path, on: Callable[..., YokedCache]) -> None:
    cache = settled(on())

    async def ask() -> None:
        assert await cache.set("a", 1)
        assert await cache.get("a") == 1
        add_users(path)
        assert await cache.get("a", "nothing") == "nothing"

    asyncio.run(ask())
    assert cache.stats().store_failures == 1


def test_an_empty_file_that_the_application_has_open(
    path: Path, on: Callable[..., YokedCache]
) -> None:
    with contextlib.closing(sqlite3.connect(path)) as application:
        assert application.execute("SELECT * FROM sqlite_master").fetchall() == []
        path.touch()
        cache = settled(on())
        application.execute(USERS)
        application.execute("INSERT INTO users VALUES (1, 'precious')")
        application.commit()
        assert_left_alone(path, cache)


def test_one_that_the_application_is_about_to_fill(
    path: Path, on: Callable[..., YokedCache]
) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as application:
        application.execute("BEGIN IMMEDIATE")
        application.execute(USERS)
        assert on(store_timeout=0.05).sync.get("a", "nothing") == "nothing"
        application.execute("INSERT INTO users VALUES (1, 'precious')")
        application.execute("COMMIT")
    assert_left_alone(path, on())


def test_one_of_which_it_is_only_known_how_it_is_to_be_used(
    path: Path, on: Callable[..., YokedCache], caplog: pytest.LogCaptureFixture
) -> None:
    with contextlib.closing(sqlite3.connect(path)) as application:
        application.execute("PRAGMA journal_mode = WAL")
        assert on().sync.get("a", "nothing") == "nothing"
        assert "is a database of something else" in caplog.text
        assert application.execute("SELECT * FROM sqlite_master").fetchall() == []


def test_a_copy_that_the_application_has_open_is_not_deleted(
    path: Path, on: Callable[..., YokedCache], caplog: pytest.LogCaptureFixture
) -> None:
    settled(on()).sync.close()
    restore(path)
    with contextlib.closing(sqlite3.connect(path)) as application:
        application.execute("SELECT * FROM sqlite_master").fetchall()
        assert on(store_timeout=0.05).sync.get("a", "nothing") == "nothing"
        assert "another program has it open" in caplog.text
        application.execute(USERS)
        application.execute("INSERT INTO users VALUES (1, 'precious')")
        application.commit()
    assert_left_alone(path, on())


def test_a_copy_that_nobody_has_open_is_begun_anew(
    path: Path, on: Callable[..., YokedCache]
) -> None:
    settled(on()).sync.close()
    restore(path)
    again = settled(on())
    assert again.sync.get("settled") == 1
    assert again.stats().store_failures == 0


def damage(path: Path) -> None:
    """
    Overwrite the pages of our tables, but not what says what there is.
    """
    (page,) = read(path, "SELECT rootpage FROM sqlite_master WHERE name = 'counter'")[0]
    assert isinstance(page, int)
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xa5" * 4096)


def test_a_damaged_file_with_something_of_the_application(
    path: Path, on: Callable[..., YokedCache]
) -> None:
    settled(on()).sync.close()
    add_users(path)
    damage(path)
    assert_left_alone(path, on())
    assert not path.with_name("cache.db-damaged").exists()


def test_one_so_damaged_that_nobody_knows_whose_it_is(
    path: Path, on: Callable[..., YokedCache], caplog: pytest.LogCaptureFixture
) -> None:
    settled(on()).sync.close()
    with path.open("r+b") as file:
        file.seek(100)  # what comes after the head
        file.write(b"\xa5" * 3996)
    before = path.read_bytes()
    assert on().sync.get("a", "nothing") == "nothing"
    assert "it can't be told whose it is, and is left alone" in caplog.text
    assert path.read_bytes() == before


@pytest.mark.parametrize("ending", ["-damaged", "-new"])
def test_files_of_such_names_are_not_overwritten(
    path: Path, on: Callable[..., YokedCache], ending: str
) -> None:
    beside = path.with_name(path.name + ending)
    beside.write_text("somebody's")
    settled(on()).sync.close()
    damage(path)
    cache = settled(on())
    assert cache.sync.get("settled") == 1
    assert beside.read_text() == "somebody's"


def test_a_damaged_one_that_the_application_has_open_is_not_deleted(
    path: Path, on: Callable[..., YokedCache], caplog: pytest.LogCaptureFixture
) -> None:
    path.with_name("cache.db-damaged").write_text("somebody's")
    settled(on()).sync.close()
    damage(path)
    with contextlib.closing(sqlite3.connect(path)) as application:
        application.execute("SELECT * FROM sqlite_master").fetchall()
        assert on().sync.get("a", "nothing") == "nothing"
        assert "another program has it open" in caplog.text
        application.execute(USERS)
        application.execute("INSERT INTO users VALUES (1, 'precious')")
        application.commit()
    assert_left_alone(path, on())


def test_a_pipe_is_left_alone(
    path: Path, on: Callable[..., YokedCache], caplog: pytest.LogCaptureFixture
) -> None:
    os.mkfifo(path)
    assert on().sync.get("a", "nothing") == "nothing"
    assert "it is no regular file: take another path" in caplog.text
    assert path.is_fifo()


def test_who_made_the_file_died_over_it(
    path: Path, on: Callable[..., YokedCache]
) -> None:
    program = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN EXCLUSIVE")
for number in range(50):
    connection.execute(f"CREATE TABLE t{number} (a)")
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)
    assert path.stat().st_size > 0
    cache = on()
    wait_until(lambda: cache.sync.set("a", 1))
    assert cache.stats().store_failures == 0
