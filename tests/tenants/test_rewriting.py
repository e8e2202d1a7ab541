"""
Statements that listeners rewrite: what reaches the cursor must be what the key says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.orm import sessionmaker

from tests.support.models import Post, User
from tests.tenants.places import tenant
from yokedcache.sqlalchemy.statements.text import without_comments

if TYPE_CHECKING:
    from tests.support.databases import Blog
    from yokedcache import YokedCache

QUERY = select(User.name).where(User.id < 9).order_by(User.id)


def filtering(blog: Blog) -> None:
    """
    Let each tenant see the users with a post of the tenant's title.
    """
    mark = "?" if blog.engine.dialect.name == "sqlite" else "%(own)s"

    @event.listens_for(blog.engine, "before_cursor_execute", retval=True)
    def own(_c: Any, _k: Any, sql: str, values: Any, *_: Any) -> tuple[str, Any]:
        if "FROM users" not in sql:
            return sql, values
        condition = (
            "WHERE users.id IN (SELECT author_id FROM posts"
            f" WHERE posts.title = {mark}) AND"
        )
        title = f"{tenant.get()}'s 1"
        added = (title, *values) if mark == "?" else {**values, "own": title}
        return sql.replace("WHERE", condition, 1), added


def test_hole_04_what_a_filter_reads_is_depended_on(
    blog: Blog, cache: YokedCache
) -> None:
    filtering(blog)
    sessions = blog.attached(cache, vary=lambda _: tenant.get())

    def ask(name: str) -> list[str]:
        tenant.set(name)
        with sessions() as session:
            return list(session.scalars(QUERY))

    for name in ("ann", "bob") * 4:
        assert ask(name) == [name]
    assert cache.stats().total.hits == 4
    with blog.sessions.begin() as session:
        session.execute(text("UPDATE posts SET title = 'ann''s 1' WHERE id = 21"))
    for _ in range(3):
        assert ask("ann") == ["ann", "bob"]
        assert ask("bob") == []


def test_hole_04_what_the_transaction_wrote_counts_for_what_a_filter_reads(
    blog: Blog, cache: YokedCache
) -> None:
    filtering(blog)
    sessions = blog.attached(cache, vary=lambda _: tenant.get())
    tenant.set("ann")
    for _ in range(3):
        with sessions() as session:
            assert list(session.scalars(QUERY)) == ["ann"]
    with sessions() as session:
        session.add(Post(id=99, title="ann's 1", author_id=2))
        session.flush()
        assert list(session.scalars(QUERY)) == ["ann", "bob"]
        session.rollback()
    with sessions() as session:
        assert list(session.scalars(QUERY)) == ["ann"]


def test_hole_04_a_filter_that_changes_under_one_vary_value_is_found_out(
    blog: Blog, cache: YokedCache
) -> None:
    filtering(blog)
    sessions = blog.attached(cache, vary=None)
    for name in ("ann", "bob", "ann", "ann", "bob", "bob"):
        tenant.set(name)
        with sessions() as session:
            assert list(session.scalars(QUERY)) == [name]
    assert cache.stats().total.refusals["rewritten"] == 6


def test_hole_04_parameters_replaced_on_their_way_are_not_stored(
    blog: Blog, cache: YokedCache
) -> None:
    sessions = blog.attached(cache, vary=lambda _: "same")

    @event.listens_for(blog.engine, "before_cursor_execute", retval=True)
    def swap(_c: Any, _k: Any, sql: str, values: Any, *_: Any) -> tuple[str, Any]:
        number = {"ann": 1, "bob": 2}[tenant.get()]
        if isinstance(values, dict):
            return sql, dict.fromkeys(values, number)
        return sql, tuple(number for _ in values)

    query = select(User.name).where(User.id == 3)
    for name in ("ann", "bob", "ann", "bob"):
        tenant.set(name)
        with sessions() as session:
            assert session.scalars(query).all() == [name]
    assert cache.stats().total.hits == 0


@pytest.mark.parametrize(
    ("sql", "bare"),
    [
        ("SELECT 1 /*a='b'*/", "SELECT 1"),
        ("/* x */ SELECT 1", "SELECT 1"),
        ("SELECT '/* x */'", "SELECT '/* x */'"),
        ('SELECT "/* x */" /* y */', 'SELECT "/* x */"'),
        ("SELECT $$ /* x */ $$", "SELECT $$ /* x */ $$"),
        ("SELECT 1 /*! + 1 */", "SELECT 1 /*! + 1 */"),
        ("SELECT 1 /*M! + 1 */", "SELECT 1 /*M! + 1 */"),
        (
            "SELECT 1 /*+ SET_VAR(sql_mode='') */",
            "SELECT 1 /*+ SET_VAR(sql_mode='') */",
        ),
        ("SELECT 1 /* x */ WHERE a", "SELECT 1   WHERE a"),
    ],
)
@pytest.mark.parametrize("dialect", ["postgresql", "sqlite", "mysql", "mariadb"])
def test_comments_are_taken_out_and_nothing_else(
    sql: str, bare: str, dialect: str
) -> None:
    if "$$" in sql and dialect != "postgresql":
        bare = "SELECT $$   $$"
    assert without_comments(sql, dialect) == bare


@pytest.mark.parametrize(
    "sql",
    [
        r"SELECT '\' /* x */ '",
        "SELECT 1 -- /* x",
        "SELECT 1 # /* x */",
        "SELECT `/* x */`",
    ],
)
def test_mysql_tells_comments_by_its_own_marks(sql: str) -> None:
    assert without_comments(sql, "mariadb") == sql


@pytest.mark.parametrize("tail", ["/* who */", "/* who */ LIMIT 1", "-- who"])
def test_hole_04_what_a_comment_hides_is_not_a_comment(
    blog: Blog, cache: YokedCache, tail: str
) -> None:
    sessions = cache.attach(sessionmaker(blog.engine), vary=None)

    @event.listens_for(blog.engine, "before_cursor_execute", retval=True)
    def add(_c: Any, _k: Any, sql: str, values: Any, *_: Any) -> tuple[str, Any]:
        return f"{sql} {tail}", values

    for _ in range(2):
        with sessions() as session:
            session.scalars(QUERY).all()
    assert cache.stats().total.hits == (1 if tail == "/* who */" else 0)
