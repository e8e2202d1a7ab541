"""
A session that a hit began is the session that a statement would have begun.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, create_engine, event, inspect, select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import Session, SessionTransaction, joinedload, sessionmaker

from tests.sqlalchemy.people import Post, User, fill
from yokedcache import YokedCache
from yokedcache.sqlalchemy.answers.beginning import LazyTransaction
from yokedcache.sqlalchemy.answers.blueprints import FAMILIAR

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from yokedcache.sqlalchemy.answers.playing import Kept

NOTES = ("_new", "_deleted", "_dirty", "_key_switches")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path / 'data.db'}")
    fill(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def cache() -> Iterator[YokedCache]:
    cache = YokedCache("memory://")
    yield cache
    cache.sync.close()


@pytest.fixture
def cached(cache: YokedCache, engine: Engine) -> sessionmaker[Session]:
    maker = cache.attach(sessionmaker(engine))
    for _ in range(5):
        with maker() as session:
            hit(session)
    return maker


def hit(session: Session) -> User:
    return session.scalars(select(User).where(User.id == 1)).one()


def test_a_transaction_begun_by_a_hit_has_what_any_other_has(
    cached: sessionmaker[Session], engine: Engine
) -> None:
    with cached() as session, Session(engine) as plain:
        hit(session)
        plain.begin()
        lazy: Any = session.get_transaction()
        other: Any = plain.get_transaction()
        assert type(lazy) is LazyTransaction
        assert lazy._new is lazy._new
        assert {name for name in vars(lazy) if not name.startswith("_yoked")} == {
            *vars(other)
        }
        assert all(type(getattr(lazy, name)) is type(getattr(other, name)) for name in NOTES)  # fmt: skip
        with pytest.raises(AttributeError):
            _ = lazy.nothing_of_that_name
        assert type(other) is SessionTransaction


def test_changes_after_a_hit_are_rolled_back_in_memory_too(
    cached: sessionmaker[Session],
) -> None:
    with cached() as session:
        user, fresh = hit(session), User(name="new")
        user.name = "changed"
        session.add(fresh)
        session.flush()
        number = fresh.id
        session.rollback()
        assert user.name == "ann"
        assert inspect(fresh).transient
        assert session.get(User, number) is None


def test_savepoints_after_a_hit_hand_on_what_they_noted(
    cached: sessionmaker[Session],
) -> None:
    with cached() as session:
        hit(session)
        with session.begin_nested():
            session.add(User(name="kept"))
        nested = session.begin_nested()
        undone = User(name="undone")
        session.add(undone)
        session.flush()
        nested.rollback()
        session.commit()
        names = session.scalars(select(User.name).order_by(User.id)).all()
        assert names == ["ann", "bob", "kept"]
        assert inspect(undone).transient


def test_without_autobegin_a_hit_begins_nothing(
    cached: sessionmaker[Session],
) -> None:
    with cached(autobegin=False) as session, pytest.raises(InvalidRequestError):
        hit(session)


def test_listeners_that_come_after_a_hit_are_heard(
    cached: sessionmaker[Session],
) -> None:
    names = {"persistent_to_detached", "after_begin", "after_transaction_end"}
    heard = set()
    with cached() as session:
        user = hit(session)
        for name in names:
            event.listen(session, name, lambda *_, name=name: heard.add(name))
        event.listen(session, "do_orm_execute", lambda _: heard.add("execute"))
        session.scalars(select(User.name)).all()
    assert inspect(user).detached
    assert heard == {*names, "execute"}


def test_listeners_on_one_connection_are_heard(
    engine: Engine, cache: YokedCache
) -> None:
    assert not cache.machine.closed  # engines are tracked
    heard: list[str] = []
    with engine.connect() as connection:
        for name in ("before_cursor_execute", "after_execute", "rollback"):
            event.listen(connection, name, lambda *_, name=name: heard.append(name))
        connection.execute(select(User.id))
    with engine.connect() as connection:
        connection.execute(select(User.id))
    assert heard == ["before_cursor_execute", "after_execute", "rollback"]


@pytest.mark.parametrize("other", [False, True], ids=["alone", "with another"])
def test_a_listener_added_when_a_connection_is_met_is_heard(
    engine: Engine, cache: YokedCache, other: bool
) -> None:
    assert not cache.machine.closed
    heard: list[str] = []

    def met(connection: Any) -> None:
        if other:
            event.listen(connection, "begin", lambda _: heard.append("begin"))

    event.listen(Engine, "engine_connect", met, insert=True)
    try:
        with engine.connect() as connection:
            connection.execute(select(User.id))
    finally:
        event.remove(Engine, "engine_connect", met)
    assert heard == ["begin"] * other


@pytest.mark.parametrize(
    "statement",
    [select(User), select(Post), select(User).options(joinedload(User.posts))],
    ids=["with JSON", "plain", "joined"],
)
def test_a_state_from_a_blueprint_is_the_loader_s(
    cache: YokedCache, engine: Engine, statement: Any
) -> None:
    assert FAMILIAR
    cached = cache.attach(sessionmaker(engine))
    for _ in range(5):
        with cached() as session:
            session.scalars(statement).unique().all()
    (entry,) = cache.machine.store.entries.values()
    kept: Kept = entry.value
    assert [template is not None for _, template in kept._templates] == [True]
    with cached() as session, Session(engine) as plain:
        mine = session.scalars(statement).unique().all()
        theirs = plain.scalars(statement).unique().all()
        for this, that in zip(mine, theirs, strict=True):
            one, other = inspect(this), inspect(that)
            worked_out = {"mapper", "_empty_collections"}
            assert {*vars(one)} - worked_out == {*vars(other)} - worked_out
            assert one.key == other.key
            assert one.session is session
            assert one.manager is other.manager
            assert one.load_path == other.load_path
            assert one.committed_state == other.committed_state == {}
            assert one.expired_attributes == other.expired_attributes == set()
            assert one.persistent
            assert one.identity_token is other.identity_token is None
            assert {*vars(this)} == {*vars(that)}
