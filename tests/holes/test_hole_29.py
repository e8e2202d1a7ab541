"""
Hole 29: which table a name means, with attached files and search paths.

`USE` and other schemas of MariaDB are in `test_hole_11_mariadb`.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Table, create_engine, event, select, text
from sqlalchemy.orm import sessionmaker

from tests.support.databases import Blog, blog_at
from tests.support.looking import NAME, RENAMING_TEXT, name
from tests.support.models import User

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from tests.services import PostgresDatabase
    from yokedcache import YokedCache

WAYS = {
    "qualified": ("UPDATE other.users SET name = 'new' WHERE id = 1",),
    "path of the transaction": ("SET LOCAL search_path TO other", RENAMING_TEXT),
    "path of the connection": ("SET search_path TO other, public", RENAMING_TEXT),
    "by a function": (
        "SELECT set_config('search_path', 'other', true)",
        RENAMING_TEXT,
    ),
}


@pytest.fixture
def schemas(postgres_database: PostgresDatabase) -> Iterator[Blog]:
    """
    Give a blog whose schema `other` has a table `users`, too.
    """
    with blog_at(postgres_database.url("psycopg")) as blog:
        with blog.engine.begin() as connection:
            connection.exec_driver_sql("CREATE SCHEMA other")
            connection.exec_driver_sql(
                "CREATE TABLE other.users AS SELECT id, 'theirs' AS name, active "
                "FROM public.users"
            )
        yield blog


@pytest.fixture
def elsewhere(postgres_database: PostgresDatabase, schemas: Blog) -> Iterator[Engine]:
    """
    Give an engine whose connections look into the other schema first.
    """
    assert schemas
    engine = create_engine(
        postgres_database.url("psycopg"),
        connect_args={"options": "-csearch_path=other"},
    )
    yield engine
    engine.dispose()


def readers(schemas: Blog, elsewhere: Engine, cache: YokedCache) -> Any:
    """
    Give all the ways to read `other.users`, and one to read the blog's own.
    """
    maker = schemas.attached(cache)
    theirs = cache.attach(sessionmaker(elsewhere))
    table: Any = User.__table__
    qualified = Table(
        "users", type(table.metadata)(), *(c._copy() for c in table.c), schema="other"
    )
    by_table = select(qualified.c.name).where(qualified.c.id == 1)
    by_text = text("SELECT name FROM other.users WHERE id = 1")

    def asked(statement: Any) -> Any:
        with maker() as session:
            return session.scalar(statement)

    def translated() -> Any:
        with maker() as session:
            options = {"schema_translate_map": {None: "other"}}
            return session.scalar(NAME, execution_options=options)

    return [
        lambda: name(theirs), lambda: asked(by_table), lambda: asked(by_text), translated,
    ], lambda: name(maker)  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_hole_29_a_search_path_says_which_table_is_written(
    schemas: Blog, elsewhere: Engine, cache: YokedCache, way: str
) -> None:
    theirs, own = readers(schemas, elsewhere, cache)
    for _ in range(3):
        assert [read() for read in theirs] == ["theirs"] * 4
        assert own() == "ann"
    with schemas.engine.connect() as connection:
        for statement in WAYS[way]:
            connection.exec_driver_sql(statement)
        connection.commit()
        connection.exec_driver_sql("RESET search_path")
        connection.commit()
    for _ in range(3):
        assert [read() for read in theirs] == ["new"] * 4
        assert own() == "ann"


def test_hole_29_a_path_set_in_a_session_is_that_session_s(
    schemas: Blog, elsewhere: Engine, cache: YokedCache
) -> None:
    _, own = readers(schemas, elsewhere, cache)
    assert [own(), own()] == ["ann", "ann"]
    maker = schemas.attached(cache)
    for _ in range(3):
        with maker() as session:
            session.execute(text("SET LOCAL search_path TO other"))
            assert [session.scalar(NAME) for _ in range(2)] == ["theirs"] * 2
            assert own() == "ann"


def test_hole_29_a_file_attached_by_hand(tmp_path: Path, cache: YokedCache) -> None:
    """
    From then on a name may mean a table of either file, so nothing is cached there.
    """
    with blog_at(f"sqlite:///{tmp_path / 'other.db'}") as other:
        with other.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE posts RENAME TO letters")
        theirs = text("SELECT title FROM letters WHERE id = 11")
        with blog_at(f"sqlite:///{tmp_path / 'blog.db'}") as blog:
            maker = blog.attached(cache)
            assert [name(maker), name(maker)] == ["ann", "ann"]
            for number in range(3):
                with maker() as session:
                    with closing(_raw(session).cursor()) as cursor:
                        cursor.execute(f"ATTACH '{tmp_path / 'other.db'}' AS other")
                    title = session.scalar(theirs)
                    assert title == (str(number) if number else "ann's 1")
                    session.rollback()
                    with closing(_raw(session).cursor()) as cursor:
                        cursor.execute("DETACH other")
                with other.engine.begin() as connection:
                    change = f"UPDATE letters SET title = '{number + 1}'"
                    connection.exec_driver_sql(change)


def _raw(session: Any) -> Any:
    return session.connection().connection.driver_connection


def test_hole_29_a_file_attached_by_text(tmp_path: Path, cache: YokedCache) -> None:
    with (
        blog_at(f"sqlite:///{tmp_path / 'other.db'}") as other,
        blog_at(f"sqlite:///{tmp_path / 'blog.db'}") as blog,
    ):
        maker = blog.attached(cache)
        others = other.attached(cache)
        assert [name(maker), name(others)] * 2 == ["ann"] * 4
        for number in range(3):
            new = f"new {number}"
            with blog.engine.connect() as connection:
                attaching = f"ATTACH '{tmp_path / 'other.db'}' AS other"
                connection.exec_driver_sql(attaching)
                connection.exec_driver_sql(f"UPDATE other.users SET name = '{new}'")
                connection.commit()
                connection.exec_driver_sql("DETACH other")
            assert [name(others), name(others)] == [new, new]
            assert name(maker) == "ann"


def test_hole_29_a_file_attached_by_a_listener(
    tmp_path: Path, cache: YokedCache
) -> None:
    """
    What such an engine writes may be in either file; what it reads is kept nowhere.
    """
    with (
        blog_at(f"sqlite:///{tmp_path / 'other.db'}") as other,
        blog_at(f"sqlite:///{tmp_path / 'blog.db'}") as blog,
    ):
        both = create_engine(blog.engine.url)

        @event.listens_for(both, "connect")
        def attach(connection: Any, _record: Any) -> None:
            connection.execute(f"ATTACH '{tmp_path / 'other.db'}' AS other")

        theirs = select(User.name).where(User.id == 1)
        options = {"schema_translate_map": {None: "other"}}
        maker = cache.attach(sessionmaker(both), vary=None)
        makers = blog.attached(cache), other.attached(cache)
        for number in range(3):
            seen = f"new {number - 1}" if number else "ann"
            for _ in range(2):
                assert [name(one) for one in makers] == [seen, seen]
                with maker() as session:
                    assert session.scalar(theirs, execution_options=options) == seen
            for table in ("main.users", "other.users"):
                with both.begin() as connection:
                    change = f"UPDATE {table} SET name = 'new {number}'"
                    connection.exec_driver_sql(change)
        both.dispose()
