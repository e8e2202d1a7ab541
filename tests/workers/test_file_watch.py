"""
A SQLite file that programs change which know nothing of the library.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from tests.runtime.waiting import until, waiting_for
from tests.support.databases import Blog, async_blog_at, blog_at, sqlite_file
from tests.support.models import User
from yokedcache import YokedCache, cached
from yokedcache.sqlalchemy.databases.file_watch import FileWatch
from yokedcache.sqlalchemy.databases.identity import file_identity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = select(User.name).order_by(User.id)


@pytest.fixture
def watching() -> Iterator[YokedCache]:
    cache = YokedCache(jitter=0, watch_files=True)
    yield cache
    cache.sync.close()


@pytest.fixture(params=["wal", "delete"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    made = sqlite_file(tmp_path)
    if request.param == "delete":
        foreign(made, "PRAGMA journal_mode = DELETE")
    return made


@pytest.fixture
def blog(file: str) -> Iterator[Blog]:
    with blog_at(f"sqlite:///{file}") as made:
        yield made


def foreign(file: str, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute(statement)
        connection.commit()


def rename(file: str, name: str) -> None:
    foreign(file, f"UPDATE users SET name = '{name}' WHERE id = 1")


def test_statements_and_functions_see_what_others_commit(
    blog: Blog, file: str, watching: YokedCache
) -> None:
    sessions = blog.attached(watching)

    @cached(cache=watching, ttl=60)
    def name() -> str:
        with blog.sessions() as session:
            return session.scalars(NAMES).first() or ""

    def seen() -> set[str]:
        with sessions() as one, sessions() as two:
            user = two.get(User, 1)
            assert user is not None
            return {one.scalars(NAMES).all()[0], user.name, name()}

    for number in range(4):
        rename(file, f"name {number}")
        for _ in range(3):
            assert seen() == {f"name {number}"}
        with blog.counted() as sent:
            assert seen() == {f"name {number}"}
        assert sent == []


def test_without_the_setting_they_are_not_heard(
    blog: Blog, file: str, cache: YokedCache
) -> None:
    sessions = blog.attached(cache)
    for name in ("one", "two"):
        with sessions() as session:
            first = session.scalars(NAMES).all()[0]
        rename(file, name)
    with sessions() as session:
        assert session.scalars(NAMES).all()[0] == first


async def test_async_sessions_see_it_too(tmp_path: Path, watching: YokedCache) -> None:
    file = sqlite_file(tmp_path)
    async with async_blog_at(f"sqlite+aiosqlite:///{file}") as blog:
        sessions = blog.attached(watching)
        for number in range(3):
            await asyncio.to_thread(rename, file, f"name {number}")
            for _ in range(3):
                async with sessions() as session:
                    names = (await session.scalars(NAMES)).all()
                assert names[0] == f"name {number}"


@pytest.mark.parametrize("kept", [True, False])
def test_who_waits_for_an_older_load_does_not_get_it(
    blog: Blog, file: str, watching: YokedCache, kept: bool
) -> None:
    read, go = threading.Event(), threading.Event()
    loads: list[str] = []

    @cached(cache=watching, ttl=60, condition=lambda _: kept)
    def name() -> str:
        with blog.sessions() as session:
            found = session.scalars(NAMES).first() or ""
        loads.append(found)
        read.set()
        go.wait()
        return found

    answers: dict[str, str] = {}
    early = threading.Thread(target=lambda: answers.update(early=name()))
    early.start()
    read.wait()
    rename(file, "new")
    late = threading.Thread(target=lambda: answers.update(late=name()))
    late.start()
    until(lambda: waiting_for(watching) == 1)
    go.set()
    early.join()
    late.join()
    assert answers["late"] == "new"
    assert answers["early"] == loads[0] != "new"
    assert name() == "new"


def test_a_commit_under_way_is_doubt(tmp_path: Path) -> None:
    file = sqlite_file(tmp_path)
    foreign(file, "PRAGMA journal_mode = DELETE")
    foreign(file, "CREATE TABLE t (x)")
    watch = FileWatch(file, file_identity(file))
    assert watch.version() == watch.version()
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        assert watch.version() != watch.version()
        writer.execute("ROLLBACK")
    assert watch.version() == watch.version()
    watch.close()


def test_numbers_of_two_connections_are_not_compared(tmp_path: Path) -> None:
    file = sqlite_file(tmp_path)
    watch = FileWatch(file, file_identity(file))
    before = watch.version()
    watch.close()
    assert watch.version() != before
    watch.close()


def test_another_file_in_the_same_place_is_doubt(tmp_path: Path) -> None:
    file = sqlite_file(tmp_path)
    watch = FileWatch(file, "sqlite:0:0")
    assert watch.version() != watch.version()
