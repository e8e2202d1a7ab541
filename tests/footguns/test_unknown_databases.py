"""
Footgun 5, where the writer's database doesn't say which one it is.

Its commit may concern any database that is known, so it drops what was read of all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, create_engine, event, text

from tests.support.databases import STATEMENT_LEVEL
from tests.support.models import User
from yokedcache import cached

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.databases import Blog
    from yokedcache import YokedCache


@pytest.fixture
def anonymous(blog: Blog, tmp_path: Path) -> Iterator[Engine]:
    """
    Give an engine on the blog's database that can't be asked for its identity.
    """
    if blog.engine.dialect.name == "sqlite":
        yield from _beside_another(blog, tmp_path)
    elif blog.engine.dialect.name == "mariadb":
        yield from _in_another_grammar(blog)
    else:
        yield from _without_rights(blog)


def _beside_another(blog: Blog, directory: Path) -> Iterator[Engine]:
    engine = create_engine(blog.engine.url)

    def attach(driver: object, _: object) -> None:
        driver.execute(f"ATTACH DATABASE '{directory / 'other.db'}' AS other")  # type: ignore[attr-defined]

    event.listen(engine, "connect", attach)
    yield engine
    engine.dispose()


def _in_another_grammar(blog: Blog) -> Iterator[Engine]:
    modes = {"init_command": "SET sql_mode = 'ANSI_QUOTES'"}
    engine = create_engine(blog.engine.url, connect_args=modes, **STATEMENT_LEVEL)
    yield engine
    engine.dispose()


def _without_rights(blog: Blog) -> Iterator[Engine]:
    role = f"{blog.engine.url.database}_writer"
    with blog.engine.begin() as connection:
        for sql in (
            "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC",
            f"CREATE ROLE {role} LOGIN PASSWORD 'writer'",
            f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}",
        ):
            connection.execute(text(sql))
    engine = create_engine(blog.engine.url.set(username=role, password="writer"))
    yield engine
    engine.dispose()
    with blog.engine.begin() as connection:
        connection.execute(text(f"DROP OWNED BY {role}"))
        connection.execute(text(f"DROP ROLE {role}"))


def test_footgun_05_a_writer_that_is_nobody_is_heard(
    blog: Blog, cache: YokedCache, anonymous: Engine
) -> None:
    sessions = blog.attached(cache)

    @cached(cache=cache, ttl=60)
    def name() -> str:
        with blog.sessions() as session:
            return session.get_one(User, 1).name

    def seen() -> list[str]:
        with sessions() as session:
            return [session.get_one(User, 1).name, name()]

    assert seen() == seen() == ["ann", "ann"]
    for number in range(2):
        with anonymous.begin() as connection:
            change = text("UPDATE users SET name = :name")
            connection.execute(change, {"name": f"version {number}"})
            between = seen() if blog.engine.dialect.name != "sqlite" else []
        assert len(set(between)) <= 1
        assert seen() == seen() == [f"version {number}"] * 2
    with blog.counted() as sent:
        seen()
    assert sent == []


def test_footgun_05_a_reader_that_is_nobody_is_not_cached(
    blog: Blog, cache: YokedCache, anonymous: Engine
) -> None:
    @cached(cache=cache, ttl=60)
    def name() -> str | None:
        with anonymous.connect() as connection:
            return connection.scalar(text("SELECT name FROM users WHERE id = 1"))

    assert [name(), name()] == ["ann", "ann"]
    with blog.engine.begin() as connection:
        connection.execute(text("UPDATE users SET name = 'new'"))
    assert name() == "new"
    assert cache.stats().entries == 0
