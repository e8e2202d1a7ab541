"""
Hole 9 on SQLite: statement-level outside a transaction, a snapshot inside one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.orm import Session, sessionmaker

from tests.holes.renaming import TITLES, is_served, reasons, stays_one_state
from tests.support.databases import Blog, Statements, blog_at, sqlite_file
from tests.support.looking import NAME, name, rename
from tests.support.models import Post, User

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from yokedcache import YokedCache


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Blog]:
    with blog_at(f"sqlite:///{sqlite_file(tmp_path)}") as made:
        yield made


def begin(session: Session) -> None:
    session.execute(text("BEGIN"))


def savepoint(session: Session) -> None:
    session.begin_nested()
    session.connection()


def by_listener(url: Any) -> Engine:
    """
    Begin as SQLAlchemy's documentation recommends it.
    """
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def leave_alone(driver: Any, _: Any) -> None:
        driver.isolation_level = None

    @event.listens_for(engine, "begin")
    def send(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def by_driver(url: Any) -> Engine:
    """
    Have a transaction open all the time, as the driver's `autocommit=False` has.
    """
    engine = create_engine(url)

    def open_again(driver: Any, *_: Any) -> None:
        driver.isolation_level = None
        if not driver.in_transaction:
            driver.execute("BEGIN")

    event.listen(engine, "connect", open_again)
    event.listen(engine, "checkout", open_again)
    return engine


def maker_of(cache: YokedCache, engine: Engine) -> sessionmaker[Session]:
    maker = sessionmaker(engine)
    cache.attach(maker, vary=None)
    return maker


def test_hole_09_outside_a_transaction_each_statement_stands_for_itself(
    file: Blog, cache: YokedCache
) -> None:
    maker = file.attached(cache)
    is_served(cache, maker)
    with maker() as session:
        session.scalars(TITLES).all()
        rename(file)
        assert session.scalars(NAME).one() == "new"
        with file.counted() as sent:
            assert name(maker) == "new"
        assert not sent


@pytest.mark.parametrize("how", [begin, savepoint])
def test_hole_09_a_transaction_is_a_snapshot(
    file: Blog, cache: YokedCache, how: Any
) -> None:
    stays_one_state(file, cache, file.attached(cache), how)


@pytest.mark.parametrize("how", [begin, savepoint])
def test_hole_09_a_transaction_is_served_and_stores(
    file: Blog, cache: YokedCache, how: Any
) -> None:
    is_served(cache, file.attached(cache), how)


@pytest.mark.parametrize("make", [by_listener, by_driver])
def test_hole_09_a_transaction_that_begins_with_the_first_statement(
    file: Blog, cache: YokedCache, make: Any
) -> None:
    engine = make(file.engine.url)
    maker, statements = maker_of(cache, engine), Statements(engine)
    is_served(cache, maker)
    stays_one_state(file, cache, maker)
    with maker() as session:
        with statements.counted() as sent:
            assert session.scalars(NAME).one() == "new"  # makes the snapshot
        assert sent[-1].startswith("SELECT")
        rename(file, "newer")
        assert session.scalars(TITLES).all()
        assert session.scalars(NAME).one() == "new"
        session.commit()
        assert session.scalars(NAME).one() == "newer"
    engine.dispose()


def test_hole_09_an_update_after_a_read_can_still_fail(
    file: Blog, cache: YokedCache
) -> None:
    engine = by_listener(file.engine.url)
    maker = maker_of(cache, engine)
    assert name(maker) == "ann"
    with maker() as session:
        ann = session.get_one(User, 1)
        rename(file)
        ann.name += "!"
        with pytest.raises(Exception, match="locked"):
            session.commit()
    assert name(maker) == "new"
    engine.dispose()


def test_hole_09_after_a_write_nothing_is_served(file: Blog, cache: YokedCache) -> None:
    maker = file.attached(cache)
    assert name(maker) == "ann"
    with maker() as session:
        session.add(User(id=9, name="dan"))
        session.flush()
        assert session.scalars(NAME).one() == "ann"
        session.rollback()
    assert reasons(cache) == {"dirty": 1}


def test_hole_09_what_is_opened_under_an_open_cursor_shares_its_snapshot(
    file: Blog, cache: YokedCache
) -> None:
    """
    The first result pins a state of the file, and the second keeps it pinned.
    """
    maker = file.attached(cache)
    with file.sessions() as session, maker() as other:
        connection = session.connection()
        with Session(bind=connection) as shared:
            cache.attach(shared)
            first = connection.exec_driver_sql("SELECT id FROM posts")
            first.fetchone()
            rename(file)
            second = connection.exec_driver_sql("SELECT id FROM users")
            second.fetchone()
            first.close()
            del first
            assert shared.scalars(NAME).one() == "ann"
            assert other.scalars(NAME).one() == "new"
            second.close()
    assert name(maker) == "new"


def test_hole_09_a_cursor_left_open_by_a_transaction_pins_its_snapshot(
    file: Blog, cache: YokedCache
) -> None:
    maker = file.attached(cache)
    with maker() as session:
        begin(session)
        session.scalars(TITLES).all()
        rename(file)
        left = session.connection().exec_driver_sql("SELECT id FROM posts")
        left.fetchone()
        session.execute(text("COMMIT"))
        assert session.scalars(NAME).one() == "ann"
        assert name(maker) == "new"
        left.close()


def test_hole_09_a_begin_that_reads_nothing_makes_no_snapshot(
    file: Blog, cache: YokedCache
) -> None:
    maker = file.attached(cache)
    assert name(maker) == "ann"
    with maker() as session:
        session.scalars(TITLES).all()
    with maker() as session:
        begin(session)
        with file.counted() as sent:
            session.scalars(TITLES).all()
        assert len(sent) == 1  # not served, or this would be newer than the next
        rename(file)
        assert session.scalars(NAME).one() == "ann"
        assert session.get(Post, 11) is not None
