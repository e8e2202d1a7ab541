"""
What a connection sees may be older than what was committed: it is not stored then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, event, select, text
from sqlalchemy.orm import Session

from tests.support.databases import Blog, blog_at, sqlite_file
from tests.support.looking import NAME, RENAMING, RENAMING_TEXT, name, rename
from tests.support.models import Post

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.services.postgres import PostgresDatabase
    from yokedcache import YokedCache


@pytest.fixture
def server(postgres_database: PostgresDatabase) -> Iterator[Blog]:
    with blog_at(postgres_database.url("psycopg")) as made:
        yield made


def test_an_open_cursor_pins_a_snapshot(blog: Blog, cache: YokedCache) -> None:
    maker = blog.attached(cache)
    assert name(maker) == "ann"
    with maker() as session:
        result = session.execute(select(Post))  # nothing of it is fetched
        rename(blog)
        session.execute(NAME).all()
        assert name(maker) == "new"
        result.close()
    assert name(maker) == "new"


def test_an_open_cursor_of_core_pins_one_too(blog: Blog, cache: YokedCache) -> None:
    maker = blog.attached(cache)
    assert name(maker) == "ann"
    with maker() as session:
        result = session.connection().exec_driver_sql("SELECT id FROM posts")
        result.fetchone()
        rename(blog)
        session.execute(NAME).all()
        assert name(maker) == "new"
        result.close()


def test_a_result_that_was_read_keeps_nothing_from_being_stored(
    blog: Blog, cache: YokedCache
) -> None:
    maker = blog.attached(cache)
    with maker() as session:
        result = session.execute(select(Post))
        assert result.all()
        session.execute(NAME).all()
    with blog.counted() as sent:
        assert name(maker) == "ann"
    assert not sent


def test_an_app_may_send_its_own_begin(tmp_path: Path, cache: YokedCache) -> None:
    url = f"sqlite:///{sqlite_file(tmp_path)}"
    with blog_at(url) as blog:
        engine = create_engine(url)

        @event.listens_for(engine, "connect")
        def leave_alone(driver: Any, _: Any) -> None:
            driver.isolation_level = None

        @event.listens_for(engine, "begin")
        def begin(connection: Any) -> None:
            connection.exec_driver_sql("BEGIN")

        maker = blog.attached(cache)
        with Session(engine) as session:
            session.execute(RENAMING)
            assert [name(maker) for _ in range(2)] == ["ann"] * 2
            session.commit()
        assert name(maker) == "new"
        engine.dispose()


@pytest.mark.parametrize("level", ["", "ISOLATION LEVEL REPEATABLE READ"])
def test_begin_by_hand_opens_a_transaction_on_an_autocommit_engine(
    server: Blog, cache: YokedCache, level: str
) -> None:
    maker = server.attached(cache)
    engine = server.engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"BEGIN {level}")
        connection.exec_driver_sql(RENAMING_TEXT)
        assert [name(maker) for _ in range(2)] == ["ann"] * 2
        connection.exec_driver_sql("COMMIT")
        assert name(maker) == "new"


@pytest.mark.parametrize(
    "setting",
    [
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    ],
)
def test_isolation_set_by_hand_counts_whatever_answers_vary_on(
    server: Blog, cache: YokedCache, setting: str
) -> None:
    maker = server.attached(cache, vary=None)
    with maker() as session:
        session.execute(text(setting))
        if "SESSION" in setting:
            session.commit()
        session.scalars(select(Post.id)).all()
        rename(server)
        assert session.scalars(NAME).one() == "ann"
        assert name(maker) == "new"
    assert name(maker) == "new"
