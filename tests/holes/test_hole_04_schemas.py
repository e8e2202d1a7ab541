"""
Hole 4 where other schemas are other databases.

What a function reads from them is never kept, and what is kept of the own database is
never given to who reads another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import StaticPool, create_engine, select, text
from sqlalchemy.orm import Session

from tests.support.databases import STATEMENT_LEVEL, blog_at, sqlite_file
from tests.support.models import User
from yokedcache import cached

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from tests.services.mariadb import MariaDBDatabase
    from yokedcache import YokedCache

NAME = select(User.name).where(User.id == 1)


@pytest.fixture
def own(cache: YokedCache) -> Any:
    @cached(cache=cache)
    def name(session: Session) -> str | None:
        return session.scalar(NAME)

    return name


def ask(function: Any, engine: Engine, schema: str | None) -> Any:
    with Session(engine) as session:
        told = {} if schema is None else {"schema_translate_map": {None: schema}}
        session.connection(execution_options=told)
        return function(session)


@pytest.fixture
def attaching(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{sqlite_file(tmp_path)}", poolclass=StaticPool)
    with engine.begin() as connection:
        User.metadata.create_all(connection)
        connection.execute(text("INSERT INTO users VALUES (1, 'ann', 1)"))
    yield engine
    engine.dispose()


def test_hole_04_attached_files(
    attaching: Engine, own: Any, cache: YokedCache, tmp_path: Path
) -> None:
    for _ in range(2):
        assert ask(own, attaching, None) == "ann"
    assert cache.stats().total.hits == 1
    with attaching.connect() as connection:
        driver = connection.connection.dbapi_connection
        assert driver is not None
        driver.execute(f"ATTACH '{tmp_path / 'a.db'}' AS a")  # type: ignore[attr-defined]
    with attaching.begin() as connection:
        connection.execute(text("CREATE TABLE a.users AS SELECT * FROM users"))
        connection.execute(text("UPDATE a.users SET name = 'theirs'"))
    for schema in (None, "a", "main", None, "a"):
        truth = "theirs" if schema == "a" else "ann"
        assert ask(own, attaching, schema) == truth


def test_hole_04_the_own_schema_by_name(
    attaching: Engine, own: Any, cache: YokedCache
) -> None:
    for schema in (None, "main", None, "main"):
        assert ask(own, attaching, schema) == "ann"
    counts = cache.stats().total
    assert (counts.loads, counts.hits) == (2, 2)


def test_hole_04_databases_of_mariadb(
    mariadb_database: MariaDBDatabase, own: Any, cache: YokedCache
) -> None:
    url = mariadb_database.url("pymysql")
    with blog_at(url, **STATEMENT_LEVEL) as blog:
        theirs = f"{blog.engine.url.database}_a"
        with blog.engine.begin() as connection:
            for sql in (
                f"CREATE DATABASE {theirs}",
                f"CREATE TABLE {theirs}.users AS SELECT * FROM users",
                f"UPDATE {theirs}.users SET name = 'theirs'",
            ):
                connection.execute(text(sql))
        try:
            for schema in (None, theirs, None, theirs):
                truth = "theirs" if schema else "ann"
                assert ask(own, blog.engine, schema) == truth
        finally:
            with blog.engine.begin() as connection:
                connection.execute(text(f"DROP DATABASE {theirs}"))
    counts = cache.stats().total
    assert counts.hits == 1
    assert counts.refusals == {"other_schema": 2}
