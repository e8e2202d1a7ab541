"""
What the library asks a database about itself, and what it makes of functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import sessionmaker

from tests.support.models import Base, User, people
from yokedcache import YokedCache

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine


@pytest.fixture
def cache() -> Iterator[YokedCache]:
    made = YokedCache()
    yield made
    made.sync.close()


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    made = create_engine(postgres_url)
    Base.metadata.create_all(made)
    with sessionmaker(made)() as session:
        session.add_all(people())
        session.commit()
    yield made
    made.dispose()


def names(cache: YokedCache, engine: Engine) -> list[str]:
    maker = cache.attach(sessionmaker(engine), ttl=60)
    with maker() as session:
        return list(session.scalars(select(User.name).order_by(User.id)))


def test_a_function_that_writes_is_an_unknown_write(
    cache: YokedCache, engine: Engine
) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "CREATE FUNCTION rename_all() RETURNS int LANGUAGE sql AS "
                "$$ UPDATE users SET name = name || '!'; SELECT 1 $$"
            )
        )
    before = names(cache, engine)
    assert names(cache, engine) == before
    with engine.begin() as connection:
        connection.execute(select(func.rename_all()))
    assert names(cache, engine) == [f"{name}!" for name in before]


def test_a_function_declared_not_to_write_costs_nothing(
    cache: YokedCache, engine: Engine
) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "CREATE FUNCTION one() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1'"
            )
        )
    names(cache, engine)
    names(cache, engine)
    hits = cache.stats().total.hits
    with engine.begin() as connection:
        connection.execute(select(func.one()))
    names(cache, engine)
    assert cache.stats().total.hits == hits + 1


def test_an_aborted_transaction_does_not_end_caching(
    cache: YokedCache, engine: Engine
) -> None:
    fresh = create_engine(engine.url)
    maker = cache.attach(sessionmaker(fresh), ttl=60)
    with maker() as session:
        with pytest.raises(DBAPIError):
            session.connection().exec_driver_sql("SELECT nonsense FROM nowhere")
        with pytest.raises(DBAPIError, match="aborted"):
            session.scalars(select(User.name)).all()
    first = names(cache, fresh)
    hits = cache.stats().total.hits
    assert names(cache, fresh) == first
    assert cache.stats().total.hits == hits + 1
    fresh.dispose()
