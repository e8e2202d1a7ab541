"""
A call waits for a shared store in vain once, however much it would ask of it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, insert, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

from tests.services.processes import wait_until
from tests.services.proxy import Proxy
from tests.support.models import Base, User
from yokedcache import YokedCache, cached
from yokedcache.boarding import CHEAP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.services.redis import RedisServer

NAME = select(User.name).where(User.id == 1)
ANN = select(User).where(User.id == 1)


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[Proxy]:
    with Proxy((redis_server.host, redis_server.port)) as made:
        yield made


@pytest.fixture
def cache(redis_server: RedisServer, proxy: Proxy) -> Iterator[YokedCache]:
    made = YokedCache(
        redis_server.url(port=proxy.port), lease=0.5, store_timeout=0.2, jitter=0.0
    )
    wait_until(lambda: made.sync.set("settled", 1))
    yield made
    proxy.restore()
    made.sync.close()


@pytest.fixture
def url(tmp_path: Path) -> str:
    made = create_engine(f"sqlite:///{tmp_path}/app.db")
    Base.metadata.create_all(made)
    with made.begin() as connection:
        connection.execute(insert(User).values(id=1, name="ann"))
    made.dispose()
    return f"{tmp_path}/app.db"


@pytest.fixture
def maker(url: str, cache: YokedCache) -> Iterator[sessionmaker[Session]]:
    engine = create_engine(f"sqlite:///{url}")
    yield cache.attach(sessionmaker(engine))
    engine.dispose()


def failures(cache: YokedCache) -> int:
    return cache.stats().store_failures


def hits(cache: YokedCache) -> int:
    return cache.stats().total.hits


def until_served(cache: YokedCache, ask: Callable[[], Any]) -> None:
    def served() -> bool:
        before = hits(cache)
        ask()
        return hits(cache) == before + 1

    wait_until(served)


def once_in_vain(cache: YokedCache, proxy: Proxy, ask: Callable[[], Any]) -> Any:
    """
    Ask while the server hangs; give what came of it, having waited once.
    """
    proxy.hold()
    before = failures(cache)
    answer = ask()
    assert failures(cache) == before + 1
    return answer


@pytest.mark.parametrize("warm", [False, True])
def test_a_function(cache: YokedCache, proxy: Proxy, *, warm: bool) -> None:
    @cached(cache=cache, tags=["t"])
    def answer(number: int) -> int:
        time.sleep(2 * CHEAP)  # worth a claim
        return number

    until_served(cache, lambda: answer(1))
    asked = 1 if warm else 2
    assert once_in_vain(cache, proxy, lambda: answer(asked)) == asked


@pytest.mark.parametrize("near", [False, True])
def test_a_function_whose_tags_its_body_finds(
    cache: YokedCache, proxy: Proxy, maker: sessionmaker[Session], *, near: bool
) -> None:
    plain = sessionmaker(maker.kw["bind"])

    @cached(cache=cache)
    def name(_: int) -> str | None:
        with plain() as session:
            time.sleep(2 * CHEAP)
            return session.scalar(NAME)

    if near:
        until_served(cache, lambda: name(1))
    assert once_in_vain(cache, proxy, lambda: name(2)) == "ann"


async def test_a_function_in_an_event_loop(cache: YokedCache, proxy: Proxy) -> None:
    @cached(cache=cache, tags=["t"])
    async def answer(number: int) -> int:
        return number

    for asked in (1, 1, 1):
        await answer(asked)
    proxy.hold()
    for asked in (1, 2):  # known here already, and new
        before = failures(cache)
        assert await answer(asked) == asked
        assert failures(cache) == before + 1


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("how", ["rows", "entities", "get"])
def test_a_statement(
    cache: YokedCache,
    proxy: Proxy,
    maker: sessionmaker[Session],
    how: str,
    *,
    warm: bool,
) -> None:
    def ask() -> Any:
        with maker() as session:
            if how == "rows":
                return session.scalar(NAME)
            user = session.get(User, 1) if how == "get" else session.scalar(ANN)
            assert user is not None
            return user.name

    if warm:
        for _ in range(5):  # the short way, by then
            until_served(cache, ask)
    assert once_in_vain(cache, proxy, ask) == "ann"


@pytest.mark.parametrize("warm", [False, True])
async def test_a_statement_in_an_event_loop(
    cache: YokedCache, proxy: Proxy, url: str, *, warm: bool
) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{url}")
    maker: async_sessionmaker[AsyncSession] = cache.attach(async_sessionmaker(engine))

    async def ask() -> Any:
        async with maker() as session:
            return await session.scalar(NAME)

    for _ in range(20 if warm else 0):
        await ask()
    assert not warm or hits(cache) > 0
    proxy.hold()
    before = failures(cache)
    assert await ask() == "ann"
    assert failures(cache) == before + 1
    await engine.dispose()


def test_plain_keys(cache: YokedCache, proxy: Proxy) -> None:
    assert once_in_vain(cache, proxy, lambda: cache.sync.get("settled")) is None
    assert not once_in_vain(
        cache, proxy, lambda: cache.sync.set("other", 1, tags=["u"])
    )
    load = lambda: cache.sync.get_or_set("another", lambda: 2)  # noqa: E731
    assert once_in_vain(cache, proxy, load) == 2


def test_what_is_refused_at_once_costs_nothing_so_more_is_asked(
    cache: YokedCache, proxy: Proxy
) -> None:
    until_served(cache, lambda: cache.sync.get_or_set("a", lambda: 1))
    proxy.cut()  # and lets them connect again
    assert cache.sync.get_or_set("b", lambda: 2) == 2
    assert cache.sync.get("b") == 2
