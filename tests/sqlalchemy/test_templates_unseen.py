"""
A template is not seen: no event of the app runs for it, and results stay results.

Found by SQLAlchemy's own suite with the cache on (`make conformance`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import ForeignKey, create_engine, event, select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    immediateload,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
    sessionmaker,
)

from tests.sqlalchemy.people import Post, User, fill
from yokedcache import YokedCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Listen = Callable[[Any, str, Callable[..., Any]], None]

TIMES = 5


@pytest.fixture
def cached(tmp_path: Path) -> Iterator[sessionmaker[Session]]:
    engine = create_engine(f"sqlite:///{tmp_path / 'data.db'}")
    fill(engine)
    cache = YokedCache("memory://")
    yield cache.attach(sessionmaker(engine), vary=None)
    cache.sync.close()
    engine.dispose()


@pytest.fixture
def listen() -> Iterator[Listen]:
    listening: list[Any] = []

    def listen(target: Any, name: str, listener: Callable[..., Any]) -> None:
        event.listen(target, name, listener)
        listening.append((target, name, listener))

    yield listen
    for one in listening:
        event.remove(*one)


def seen_each_time(cached: Any, statement: Any, seen: list[Any]) -> list[int]:
    """
    Count what was seen at each of several executions.
    """
    counts = []
    for _ in range(TIMES):
        seen.clear()
        with cached() as session:
            session.scalars(statement).unique().all()
        counts.append(len(seen))
    return counts


@pytest.mark.parametrize(
    ("statement", "loaded"),
    [
        (select(User), 2),
        (select(Post).options(joinedload(Post.author)), 2),
        (select(Post).options(selectinload(Post.author)), 2),
    ],
    ids=["entity", "joined", "selectin"],
)
def test_a_load_listener_runs_once_an_instance(
    cached: Any, listen: Listen, statement: Any, loaded: int
) -> None:
    seen: list[Any] = []
    listen(User, "load", lambda *args: seen.append(args))
    assert seen_each_time(cached, statement, seen) == [loaded] * TIMES


def test_a_load_listener_runs_though_there_is_a_template(
    cached: Any, listen: Listen
) -> None:
    seen: list[Any] = []
    assert seen_each_time(cached, select(User), seen) == [0] * TIMES
    listen(User, "load", lambda *args: seen.append(args))
    assert seen_each_time(cached, select(User), seen) == [2] * TIMES


@pytest.mark.parametrize("option", [selectinload, immediateload])
def test_statements_of_eager_loads_are_announced_once(
    cached: Any, listen: Listen, option: Any
) -> None:
    seen: list[Any] = []
    listen(Session, "do_orm_execute", seen.append)
    counts = seen_each_time(cached, select(User).options(option(User.posts)), seen)
    assert counts == [counts[0]] * TIMES


@pytest.mark.parametrize("name", ["loaded_as_persistent", "persistent_to_detached"])
def test_sessions_of_the_app_are_all_that_its_listeners_see(
    cached: Any, listen: Listen, name: str
) -> None:
    seen: list[Any] = []
    listen(Session, name, lambda *args: seen.append(args))
    counts = seen_each_time(cached, select(User), seen)
    assert counts == [counts[0]] * TIMES


@pytest.mark.parametrize("fetch", ["all", "first", "partitions"])
@pytest.mark.parametrize("end", ["close", "expunge_all"])
def test_no_instance_comes_out_of_a_session_that_was_closed(
    cached: Any, end: str, fetch: str
) -> None:
    for _ in range(TIMES):
        with cached() as session:
            assert len(session.execute(select(User)).all()) == 2
    for _ in range(TIMES):
        session = cached()
        result = session.execute(select(User))
        getattr(session, end)()
        with pytest.raises(InvalidRequestError, match="no longer valid"):
            list(getattr(result, fetch)())
        session.close()


class Tree(DeclarativeBase):
    pass


class Node(Tree):
    __tablename__ = "nodes"
    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("nodes.id"))
    parent: Mapped[Node | None] = relationship(remote_side="Node.id", lazy="immediate")


def test_what_the_session_holds_is_loaded_with_an_instance(cached: Any) -> None:
    """
    An immediate load within itself takes only what the session has already.
    """
    Tree.metadata.create_all(cached.kw["bind"])
    with cached.begin() as session:
        session.add(Node(id=2, parent=Node(id=1)))
    loaded = []
    for _ in range(TIMES):
        with cached() as session:
            parent = session.get(Node, 1)
            child = session.scalars(select(Node).where(Node.id == 2)).one()
            loaded.append(child.__dict__.get("parent") is parent)
    assert loaded == [True] * TIMES
