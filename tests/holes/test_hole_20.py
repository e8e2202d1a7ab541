"""
Hole 20: the key must be what the driver is sent, not what the statement says.
"""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import (
    Column,
    Integer,
    String,
    Table,
    TypeDecorator,
    bindparam,
    event,
    insert,
    select,
    true,
)

from tests.support.models import User

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

    from tests.support.databases import Blog
    from yokedcache import YokedCache

secret = contextvars.ContextVar("secret", default="")


class Sealed(TypeDecorator[str]):
    """
    Text that is stored with a key that depends on who asks.
    """

    impl = String(50)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        return f"{secret.get()}:{value}"


@pytest.fixture
def safe(any_blog: Blog) -> Table:
    from sqlalchemy import MetaData

    table = Table(
        "safe",
        MetaData(),
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("word", Sealed()),
        Column("content", String(50)),
    )
    table.create(any_blog.engine)
    with any_blog.engine.begin() as connection:
        for number, owner in enumerate(("ann", "bob")):
            secret.set(owner)
            row = {"id": number, "word": "open", "content": f"{owner}'s"}
            connection.execute(insert(table).values(row))
    return table


def test_hole_20_bind_processors_are_part_of_the_key(
    any_blog: Blog, cache: YokedCache, safe: Table
) -> None:
    sessions = any_blog.attached(cache)
    query = select(safe.c.content).where(safe.c.word == "open")

    def content() -> str | None:
        with sessions() as session:
            return session.scalars(query).one_or_none()

    for _ in range(2):
        for owner in ("ann", "bob", "nobody"):
            secret.set(owner)
            expected = None if owner == "nobody" else f"{owner}'s"
            with any_blog.counted() as sent:
                assert content() == expected
        assert len(sent) <= 1
    secret.set("ann")
    with any_blog.counted() as sent:
        assert content() == "ann's"
    assert sent == []


VARIANTS: list[Callable[[Session, Any], Any]] = [
    lambda s, x: s.scalars(select(User.name).where(User.id == x)).all(),
    lambda s, x: s.scalars(select(User.name).where(User.id.in_([x, x]))).all(),
    lambda s, x: s.scalars(select(User.name).where(User.id < x)).all(),
    lambda s, x: s.scalars(select(User.name).order_by(User.id).limit(x)).all(),
    lambda s, x: s.scalars(
        select(User.name).where(User.id == bindparam("number")), {"number": x}
    ).all(),
    lambda s, x: s.scalars(
        select(User.name).where(User.id == bindparam("n", callable_=lambda: x))
    ).all(),
    lambda s, x: s.scalars(select(User.name).where(User.id == x, true())).all(),
]


@pytest.mark.parametrize("number", range(len(VARIANTS)))
def test_hole_20_values_bound_in_any_way_are_part_of_the_key(
    any_blog: Blog, cache: YokedCache, number: int
) -> None:
    sessions = any_blog.attached(cache)
    for _ in range(2):
        for value in (1, 2, 3):
            with any_blog.sessions() as session:
                truth = VARIANTS[number](session, value)
            with sessions() as session:
                assert VARIANTS[number](session, value) == truth


def test_hole_20_types_of_values_are_part_of_the_key(
    any_blog: Blog, cache: YokedCache
) -> None:
    if any_blog.engine.dialect.name != "sqlite":
        return
    sessions = any_blog.attached(cache)
    from sqlalchemy import literal

    def kind(value: Any) -> Any:
        with sessions() as session:
            return session.scalar(select(literal(value, String)))

    for _ in range(2):
        assert [type(kind(value)) for value in ("1", 1, 1.0)] == [str, int, float]


def test_hole_20_a_statement_rewritten_on_its_way_is_not_stored(
    any_blog: Blog, cache: YokedCache
) -> None:
    sessions = any_blog.attached(cache, vary=None)
    tenant = ["1"]

    def rewrite(_c: Any, _k: Any, sql: str, values: Any, *_: Any) -> tuple[str, Any]:
        return sql.replace("1 = 1", f"users.id = {tenant[0]}"), values

    event.listen(any_blog.engine, "before_cursor_execute", rewrite, retval=True)
    from sqlalchemy import literal_column

    query = select(User.name).where(literal_column("1 = 1"))

    def names() -> list[str]:
        with sessions() as session:
            return list(session.scalars(query))

    for tenant[0], name in (("1", "ann"), ("2", "bob"), ("1", "ann")):
        assert names() == [name]
    assert cache.stats().total.refusals.get("rewritten", 0) == 3


def test_hole_20_refresh_and_populate_existing_go_to_the_database(
    any_blog: Blog, cache: YokedCache
) -> None:
    sessions = any_blog.attached(cache)
    with sessions() as session:
        ann = session.get_one(User, 1)
        session.scalars(select(User).where(User.id == 1)).all()
        with any_blog.counted() as sent:
            session.refresh(ann)
        assert len(sent) == 1
        with any_blog.counted() as sent:
            session.get_one(User, 1, populate_existing=True)
        assert len(sent) == 1
