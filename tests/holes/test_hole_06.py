"""
Hole 6: commits that are no `do_commit`, in blocking code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, event, func, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from tests.holes.asking import Asker
from tests.support.databases import twin
from tests.support.looking import RENAMING, RENAMING_TEXT, name
from tests.support.models import Post, User
from yokedcache import YokedCache

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from tests.support.databases import Blog

AUTOCOMMIT: Any = {"isolation_level": "AUTOCOMMIT"}


@pytest.fixture
def ask(blog: Blog, cache: YokedCache) -> Asker:
    return Asker(blog, cache)


@pytest.mark.parametrize("way", [text, str])
def test_hole_06_text_that_commits(blog: Blog, ask: Asker, way: Any) -> None:
    ends = ["COMMIT", "commit;", "/* now */ COMMIT", "-- now\nCommit"]
    if blog.engine.dialect.name != "mariadb":
        ends += ["END", "end transaction"]
    with blog.engine.connect() as connection:
        execute = connection.execute if way is text else connection.exec_driver_sql
        for number, end in enumerate(ends):
            before = ask()
            execute(way(f"UPDATE users SET name = 'name {number}' WHERE id = 1"))
            assert ask() == before
            execute(way(end))
            assert ask() == {f"name {number}"}
            connection.rollback()
            assert ask.served() == {f"name {number}"}


def test_hole_06_text_that_commits_in_a_session_that_rolls_back(
    blog: Blog, ask: Asker
) -> None:
    with blog.sessions() as session:
        session.get_one(User, 1).name = "new"
        session.flush()
        session.execute(text("COMMIT"))
        assert ask() == {"new"}
        session.get_one(User, 1).name = "never"
        session.flush()
        assert ask() == {"new"}
        session.rollback()
    assert ask.served() == {"new"}


def automatic(blog: Blog) -> Engine:
    return blog.engine.execution_options(**AUTOCOMMIT)


def test_hole_06_autocommit(blog: Blog, ask: Asker) -> None:
    engine = create_engine(blog.engine.url, **AUTOCOMMIT)
    for connecting in (
        blog.engine.connect().execution_options(**AUTOCOMMIT),
        automatic(blog).connect(),
        engine.connect(),
    ):
        with connecting as connection:
            for way in (connection.execute, connection.exec_driver_sql):
                for to in ("new", "ann"):
                    sql: Any = f"UPDATE users SET name = '{to}' WHERE id = 1"
                    way(text(sql) if way == connection.execute else sql)
                    assert ask.served() == {to}
            connection.rollback()
            assert ask.served() == {"ann"}
    engine.dispose()


def test_hole_06_autocommit_in_a_session_that_rolls_back(
    blog: Blog, ask: Asker
) -> None:
    with Session(automatic(blog)) as session:
        session.get_one(User, 1).name = "new"
        session.flush()
        assert ask() == {"new"}
        session.rollback()
    assert ask.served() == {"new"}


def test_hole_06_begun_by_hand_in_autocommit_mode(blog: Blog, ask: Asker) -> None:
    with automatic(blog).connect() as connection:
        for end, seen in (("ROLLBACK", "ann"), ("COMMIT", "new")):
            connection.exec_driver_sql("BEGIN")
            connection.execute(RENAMING)
            assert ask() == {"ann"}
            connection.exec_driver_sql(end)
            assert ask.served() == {seen}


@pytest.mark.parametrize("how", ["many", "failing"])
def test_hole_06_several_rows_in_autocommit_mode(
    blog: Blog, ask: Asker, how: str
) -> None:
    """
    Some drivers send row by row, so that the first may stay though the second fails.
    """
    rows: list[dict[str, Any]] = [{"n": "new", "i": 1}, {"n": "bob", "i": 2}]
    statement = text("UPDATE users SET name = :n WHERE id = :i")
    if how == "failing":
        rows[1]["n"] = None
    with automatic(blog).connect() as connection:
        if how == "failing":
            with pytest.raises(DBAPIError):
                connection.execute(statement, rows)
        else:
            connection.execute(statement, rows)
        truth = name(blog.sessions)
        assert ask() == {truth}
    assert ask.served() == {truth}


@pytest.mark.parametrize("blog", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize("fetches", [True, False])
@pytest.mark.parametrize("form", ["core", "text"])
def test_hole_06_rows_of_a_write_in_autocommit_mode(
    blog: Blog, ask: Asker, form: str, fetches: bool
) -> None:
    """
    Python's sqlite3 ends a statement, and commits it, when its last row was fetched.
    """
    returning: Any = RENAMING.returning(User.id)
    if form == "text":
        returning = text(f"{RENAMING_TEXT} RETURNING id")
    with automatic(blog).connect() as connection:
        result = connection.execute(returning)
        assert ask() == {name(blog.sessions)}
        if fetches:
            assert result.scalars().all() == [1]
        else:
            result.close()
        assert name(blog.sessions) == "new"
        assert ask.served() == {"new"}


@pytest.mark.parametrize("blog", ["sqlite", "postgresql"], indirect=True)
def test_hole_06_rows_of_a_bulk_insert_in_autocommit_mode(
    blog: Blog, cache: YokedCache
) -> None:
    count = select(func.count()).select_from(User)
    maker = blog.attached(cache)

    def counted() -> Any:
        with maker() as session:
            return session.scalar(count)

    def truth() -> Any:
        with blog.sessions() as session:
            return session.scalar(count)

    engine = automatic(blog)
    event.listen(engine, "after_cursor_execute", lambda *_: counted())
    rows = [{"name": str(number), "active": True} for number in range(5)]
    with engine.connect() as connection:
        statement = insert(User).returning(User.id, sort_by_parameter_order=True)
        if blog.engine.dialect.name == "postgresql":
            rows = [{"id": 4 + number, **row} for number, row in enumerate(rows)]
        result = connection.execute(statement, rows)
        assert result.scalars().all() == [4, 5, 6, 7, 8]
        assert counted() == truth() == 8


@pytest.mark.parametrize("blog", ["sqlite"], indirect=True)
@pytest.mark.parametrize("way", ["session", "connection", "text"])
def test_hole_06_release_of_the_outermost_savepoint(
    blog: Blog, ask: Asker, way: str
) -> None:
    """
    Python's sqlite3 sends no BEGIN before SAVEPOINT: its RELEASE is a commit.
    """
    with blog.sessions() as session:
        connection = session.connection()
        if way == "text":
            connection.exec_driver_sql("SAVEPOINT a")
        outer = (session if way == "session" else connection).begin_nested()
        if way == "session":
            session.get_one(User, 1).name = "new"
            session.flush()
        else:
            connection.execute(RENAMING)
        assert ask() == {"ann"}
        outer.commit()
        if way == "text":
            assert ask() == {"ann"}
            connection.exec_driver_sql("RELEASE a")
        assert ask() == {"new"}
        session.rollback()
    assert ask.served() == {"new"}


def test_hole_06_several_engines_in_one_session(
    blog: Blog, cache: YokedCache, ask: Asker
) -> None:
    """
    Each has its own commit: what the first did stays when the second refuses.
    """
    other = twin(blog.engine)
    titles = blog.attached(cache)
    with titles() as session:
        assert session.get_one(Post, 21).title == "bob's 1"
    for refuses in (False, True):
        title = f"retitled {refuses}"
        with Session(binds={User: blog.engine, Post: other}) as session:
            if blog.engine.dialect.name == "sqlite":  # one writer at a time
                session.get_one(User, 1).name = title
            else:
                session.get_one(User, 1).name = title
                session.get_one(Post, 21).title = title
            session.flush()
            if refuses:
                event.listen(other, "commit", _refuse)
                session.connection(bind_arguments={"bind": other})
                with pytest.raises(RuntimeError, match="refused"):
                    session.commit()
            else:
                session.commit()
        assert ask() == {name(blog.sessions)}
        with titles() as reading, blog.sessions() as truth:
            assert reading.get_one(Post, 21).title == truth.get_one(Post, 21).title
    assert ask.served() == {name(blog.sessions)}
    other.dispose()


def _refuse(_: Any) -> None:
    msg = "refused"
    raise RuntimeError(msg)


@pytest.mark.parametrize("when", ["before the write", "after the write"])
@pytest.mark.parametrize("with_", ["session", "connection"])
def test_hole_06_tags_invalidated_inside_a_transaction(
    blog: Blog, cache: YokedCache, when: str, with_: str
) -> None:
    """
    Whoever fills in between keeps what the commit makes old, so it invalidates again.
    """
    kept = cache.sync

    def filled() -> Any:
        if kept.get("name") is None:  # by hand: nothing tells what was read
            kept.set("name", name(blog.sessions), tags=["people"])
        return kept.get("name")

    assert filled() == "ann"
    opened: Any = Session(blog.engine) if with_ == "session" else blog.engine.connect()
    with opened as connection:
        if when == "after the write":
            connection.execute(RENAMING)
            kept.invalidate_tags(["people"])
            assert filled() == "ann"
        else:
            connection.execute(text("SELECT 1"))
            kept.invalidate_tags(["people"])
            assert filled() == "ann"
            connection.execute(RENAMING)
        connection.commit()
    assert filled() == "new"


def test_hole_06_readers_on_both_sides_of_the_commit(
    blog: Blog, cache: YokedCache
) -> None:
    """
    What was committed is seen before `commit()` returns, and nothing older is kept.
    """
    seen: list[Any] = []
    engine = _committing(blog, lambda: seen.append(ask()))
    ask = Asker(blog, cache)
    with engine.begin() as connection:
        connection.execute(RENAMING)
    assert seen == [{"ann"}, {"new"}]
    assert ask.served() == {"new"}
    engine.dispose()


def test_hole_06_a_cache_made_while_a_commit_is_under_way(
    blog: Blog, cache: YokedCache
) -> None:
    made: list[YokedCache] = []
    asks: list[Asker] = []

    def make() -> None:
        if not made:
            made.append(YokedCache(jitter=0))
            asks.append(Asker(blog, made[0]))

    engine = _committing(blog, make)
    with engine.begin() as connection:
        connection.execute(RENAMING)
    assert asks[0]() == {"new"}
    assert asks[0].served() == {"new"}
    made[0].sync.close()
    engine.dispose()


def test_hole_06_a_commit_that_wrote_nothing_changes_nothing(
    blog: Blog, cache: YokedCache, ask: Asker
) -> None:
    before = cache.machine.store.tags.counter
    for options in ({}, AUTOCOMMIT):
        with blog.engine.connect().execution_options(**options) as connection:
            connection.execute(text("SELECT 1"))
            connection.commit()
        assert ask() == {"ann"}
    with blog.counted() as sent:
        assert ask() == {"ann"}
    assert sent == []
    assert cache.machine.store.tags.counter == before


def _committing(blog: Blog, deed: Callable[[], None]) -> Any:
    """
    Make an engine that does a deed on both sides of each COMMIT that it sends.
    """
    engine = twin(blog.engine)
    send = engine.dialect.do_commit

    def do_commit(connection: Any) -> None:
        deed()
        send(connection)
        deed()

    engine.dialect.do_commit = do_commit  # type: ignore[method-assign]
    return engine
