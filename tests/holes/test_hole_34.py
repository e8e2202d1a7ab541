"""
Hole 34: whoever changes a statement last, and sessions of several shards.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, inspect, select, update
from sqlalchemy.ext.horizontal_shard import ShardedSession, set_shard_id
from sqlalchemy.orm import sessionmaker, with_loader_criteria

from tests.support.databases import STATEMENT_LEVEL, blog_at
from tests.support.models import User

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy.orm import ORMExecuteState

    from tests.support.databases import AsyncBlog, Blog
    from yokedcache import YokedCache

NAMES = select(User.name).order_by(User.id)


def names(maker: Any, statement: Any = NAMES, **info: Any) -> Any:
    with maker() as session:
        session.info.update(info)
        return session.scalars(statement).all()


def only_whom_it_concerns(state: ORMExecuteState) -> None:
    who = state.session.info.get("who")
    if state.is_select and who:
        own = with_loader_criteria(User, User.name == who)
        state.statement = state.statement.options(own)


@pytest.mark.parametrize("vary", ["unsaid", None])
def test_hole_34_a_listener_that_was_registered_later_is_part_of_the_key(
    blog: Blog, cache: YokedCache, vary: Any
) -> None:
    maker = blog.attached(cache, **({} if vary == "unsaid" else {"vary": vary}))
    for _ in range(4):
        assert names(maker) == ["ann", "bob", "eve"]
    event.listen(maker, "do_orm_execute", only_whom_it_concerns)
    for _ in range(4):
        assert names(maker, who="bob") == ["bob"]
        assert names(maker, who="eve") == ["eve"]
        assert names(maker) == ["ann", "bob", "eve"]
    with maker() as session:

        @event.listens_for(session, "do_orm_execute")
        def nobody(state: ORMExecuteState) -> None:
            state.statement = state.statement.where(User.id == 3)

        assert session.scalars(NAMES).all() == ["eve"]
    assert names(maker) == ["ann", "bob", "eve"]


@pytest.mark.anyio
async def test_hole_34_on_the_event_loop(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    maker = async_blog.attached(cache)

    async def asked(who: str) -> Any:
        async with maker() as session:
            session.info["who"] = who
            return (await session.scalars(NAMES)).all()

    for _ in range(4):
        assert await asked("") == ["ann", "bob", "eve"]
    inner = maker.kw["sync_session_class"]
    event.listen(inner, "do_orm_execute", only_whom_it_concerns)
    for _ in range(4):
        assert [await asked(who) for who in ("bob", "eve")] == [["bob"], ["eve"]]


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def shards(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Blog]]:
    """
    Give two blogs, each a shard.
    """
    options: dict[str, Any] = {}
    if request.param == "sqlite":
        urls = [f"sqlite:///{tmp_path / shard}.db" for shard in ("north", "south")]
    else:
        kind = {"postgresql": "postgres"}.get(request.param, request.param)
        make: Callable[[], Any] = request.getfixturevalue(f"make_{kind}_database")
        driver = {"postgresql": "psycopg", "mariadb": "pymysql"}[request.param]
        urls = [make().url(driver) for _ in range(2)]
        options = STATEMENT_LEVEL if request.param == "mariadb" else {}
    with ExitStack() as stack:
        yield {
            shard: stack.enter_context(blog_at(url, **options))
            for shard, url in zip(("north", "south"), urls, strict=True)
        }


def test_hole_34_each_shard_is_answered_by_itself(
    shards: dict[str, Blog], cache: YokedCache
) -> None:
    maker = sessionmaker(
        class_=ShardedSession,
        shards={shard: blog.engine for shard, blog in shards.items()},
        shard_chooser=lambda *_: "north",
        identity_chooser=lambda *_, **__: ["north", "south"],
        execute_chooser=lambda _: ["north", "south"],
    )
    cache.attach(maker)
    first = select(User).where(User.id == 1)

    def seen() -> Any:
        with maker() as session:
            both = session.scalars(first).all()
            one = session.scalars(first.options(set_shard_id("south"))).all()
            got = session.get_one(User, 1, identity_token="south")
            assert [got] == one
            token: Any = inspect(got).identity_token
            assert token == "south"
            return [user.name for user in (*both, *one)]

    for _ in range(4):
        assert seen() == ["ann", "ann", "ann"]
    hits = cache.stats().total.hits
    assert hits > 0
    with shards["south"].engine.begin() as connection:
        connection.execute(update(User).where(User.id == 1).values(name="new"))
    for _ in range(4):
        assert seen() == ["ann", "new", "new"]
    with maker() as session:
        session.scalars(first.options(set_shard_id("north"))).one().name = "newer"
        session.commit()
    for _ in range(4):
        assert seen() == ["newer", "new", "new"]
