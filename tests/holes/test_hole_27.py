"""
Hole 27: functions in a SELECT may write, and may set what later answers depend on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, func, select, text

from tests.support.looking import NAME, name

if TYPE_CHECKING:
    from tests.support.databases import AsyncBlog, Blog
    from yokedcache import YokedCache

CHARGING = {
    "postgresql": (
        "CREATE FUNCTION charge_card() RETURNS int LANGUAGE sql AS "
        "$$ UPDATE users SET name = name || '!'; SELECT 1 $$"
    ),
    "mariadb": (
        "CREATE FUNCTION charge_card() RETURNS int BEGIN "
        "UPDATE users SET name = CONCAT(name, '!'); RETURN 1; END"
    ),
}


@pytest.mark.parametrize("blog", ["postgresql", "mariadb"], indirect=True)
@pytest.mark.parametrize("written", ["built", "by hand"])
def test_hole_27_a_function_that_writes_runs_each_time_and_is_heard(
    blog: Blog, cache: YokedCache, written: str
) -> None:
    with blog.engine.begin() as connection:
        connection.exec_driver_sql(CHARGING[blog.engine.dialect.name])
    maker = blog.attached(cache)
    statement: Any = select(func.charge_card())
    if written == "by hand":
        statement = text("SELECT charge_card()")
    for number in range(3):
        assert [name(maker), name(maker)] == ["ann" + "!" * number] * 2
        with maker() as session:
            assert session.scalar(statement) == 1
            assert session.scalar(NAME) == "ann" + "!" * (number + 1)
            session.commit()
    with maker() as session:
        session.scalar(statement)
        session.rollback()
    assert name(maker) == "ann!!!"


@pytest.mark.parametrize("blog", ["sqlite"], indirect=True)
def test_hole_27_a_function_of_the_app_s_runs_each_time(
    blog: Blog, cache: YokedCache
) -> None:
    charged: list[int] = []

    @event.listens_for(blog.engine, "connect")
    def define(connection: Any, _: Any) -> None:
        connection.create_function("charge_card", 0, lambda: charged.append(1))

    blog.engine.dispose()
    maker = blog.attached(cache, vary=None)
    for _ in range(3):
        with maker() as session:
            session.execute(select(func.charge_card())).all()
    assert len(charged) == 3


@pytest.mark.parametrize("blog", ["postgresql"], indirect=True)
def test_hole_27_a_function_that_logs_in_makes_a_context(
    blog: Blog, cache: YokedCache
) -> None:
    """
    What is answered on its connection from then on is somebody's own.
    """
    with blog.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE FUNCTION login(who text) RETURNS text LANGUAGE sql AS "
            "$$ SELECT set_config('app.who', who, false) $$"
        )
        connection.exec_driver_sql(
            "CREATE VIEW mine AS SELECT name FROM users "
            "WHERE name = current_setting('app.who', true)"
        )
    maker = blog.attached(cache)
    mine = text("SELECT name FROM mine")

    def shown(who: str) -> Any:
        with maker() as session:
            session.scalar(select(func.login(who)))
            seen = session.scalar(mine)
            session.scalar(NAME)
            return seen

    assert [shown(who) for who in ("ann", "bob", "ann", "eve")] == [
        "ann", "bob", "ann", "eve",
    ]  # fmt: skip
    assert cache.stats().total.hits == 0


@pytest.mark.anyio
async def test_hole_27_on_the_event_loop(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    kind = async_blog.engine.dialect.name
    if kind == "sqlite":
        charge: Any = text("UPDATE users SET name = name || '!' RETURNING 1")
    else:
        creating = CHARGING["mariadb" if kind == "mysql" else kind]
        async with async_blog.engine.begin() as connection:
            await connection.exec_driver_sql(creating)
        charge = select(func.charge_card())
    maker = async_blog.attached(cache)
    for number in range(2):
        for _ in range(2):
            async with maker() as session:
                assert await session.scalar(NAME) == "ann" + "!" * number
        async with maker() as session:
            await session.execute(charge)
            await session.commit()
