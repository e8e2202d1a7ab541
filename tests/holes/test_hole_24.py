"""
Hole 24: nothing of a live execution is reachable from what is stored.
"""

from __future__ import annotations

import gc
import types
import weakref
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, Column, Integer, MetaData, Table, insert, select, text
from sqlalchemy.engine import Connection, CursorResult, Engine
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import ClassManager, Mapper, Session, selectinload

from tests.support.models import Post, User
from yokedcache import cached

if TYPE_CHECKING:
    from tests.support.databases import Blog
    from yokedcache import YokedCache

LIVE = (Connection, CursorResult, DefaultExecutionContext, Engine, Session)
CODE = (
    *(type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType),
    # a mapping holds on to all that any test of the process made listen on it
    *(ClassManager, Mapper),
)


def reachable(start: Any) -> list[Any]:
    """
    Walk everything that an object holds on to, code apart.
    """
    seen = {id(start): start}
    todo = [start]
    while todo:
        for item in gc.get_referents(todo.pop()):
            if id(item) not in seen and not isinstance(item, CODE):
                seen[id(item)] = item
                todo.append(item)
    return list(seen.values())


def test_hole_24_a_recording_holds_nothing_of_the_execution(
    any_blog: Blog, cache: YokedCache
) -> None:
    # of settings, MariaDB's connections aren't known to be free once in other hands
    sessions = any_blog.attached(cache, vary=None)

    @cached(cache=cache, ttl=60)
    def find(session: Session) -> list[User]:
        return list(session.scalars(select(User).options(selectinload(User.posts))))

    with any_blog.engine.connect() as connection:
        driver = type(connection.connection.dbapi_connection)
    with sessions() as session:
        session.scalars(select(User)).all()
        session.execute(select(User.name, Post).join(Post)).all()
        session.execute(text("SELECT id, name FROM users")).all()
        find(session)
    entries = list(cache.machine.store.entries.values())
    assert len(entries) >= 4
    for entry in entries:
        held = reachable(entry.value)
        assert not [item for item in held if isinstance(item, LIVE)]
        assert not [item for item in held if isinstance(item, driver)]


def test_hole_24_sessions_and_objects_die_as_they_did(
    any_blog: Blog, cache: YokedCache
) -> None:
    sessions = any_blog.attached(cache)

    @cached(cache=cache, ttl=60)
    def find(session: Session) -> User | None:
        return session.get(User, 1)

    def use() -> list[weakref.ref[Any]]:
        with sessions() as session:
            users = session.scalars(select(User)).all()
            found = find(session)
            return [weakref.ref(item) for item in (session, *users, found)]

    for _ in range(2):
        references = use()
        gc.collect()
        assert [reference() for reference in references] == [None] * 5


def test_hole_24_mutable_values_in_rows_are_each_readers_own(
    any_blog: Blog, cache: YokedCache
) -> None:
    table = Table(
        "bags",
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("content", JSON),
    )
    table.create(any_blog.engine)
    with any_blog.engine.begin() as connection:
        connection.execute(insert(table), [{"id": 1, "content": {"a": [1]}}])
    sessions = any_blog.attached(cache)
    for _ in range(3):
        with sessions() as session:
            content = session.scalar(select(table.c.content))
        assert content == {"a": [1]}
        content["a"].append("spoilt")
