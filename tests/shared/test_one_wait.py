"""
A call waits for a shared store in vain once, however much it would ask of it.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, event, insert, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

from tests.services.processes import wait_until
from tests.services.proxy import Proxy
from tests.support.held import LIMIT
from tests.support.models import Base, User
from yokedcache import MISS, YokedCache, cached
from yokedcache.boarding import CHEAP
from yokedcache.errors import StoreError
from yokedcache.sqlalchemy.answers.quick import WAITED

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


def asking(maker: sessionmaker[Session], how: str) -> Callable[[], Any]:
    def ask() -> Any:
        with maker() as session:
            if how == "rows":
                return session.scalar(NAME)
            user = session.get(User, 1) if how == "get" else session.scalar(ANN)
            assert user is not None
            assert WAITED not in session.__dict__
            return user.name

    return ask


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


@pytest.mark.parametrize("known", [False, True])
def test_a_function_whose_tags_its_body_finds(
    cache: YokedCache, proxy: Proxy, maker: sessionmaker[Session], *, known: bool
) -> None:
    plain = sessionmaker(maker.kw["bind"])

    @cached(cache=cache)
    def name(_: int) -> str | None:
        with plain() as session:
            time.sleep(2 * CHEAP)
            return session.scalar(NAME)

    if known:
        until_served(cache, lambda: name(1))
    assert once_in_vain(cache, proxy, lambda: name(2)) == "ann"


async def test_a_function_in_an_event_loop(cache: YokedCache, proxy: Proxy) -> None:
    @cached(cache=cache, tags=["t"])
    async def answer(number: int) -> int:
        return number

    while not hits(cache):
        await answer(1)
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
    ask = asking(maker, how)
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
    load = lambda: cache.sync.get_or_set("another", lambda: 2)  # noqa: E731
    assert once_in_vain(cache, proxy, load) == 2


def test_what_is_refused_at_once_costs_nothing_so_more_is_asked(
    cache: YokedCache, proxy: Proxy
) -> None:
    until_served(cache, lambda: cache.sync.get_or_set("a", lambda: 1))
    proxy.cut()  # and lets them connect again
    assert cache.sync.get_or_set("b", lambda: 2) == 2
    assert cache.sync.get("b") == 2


def late(cache: YokedCache, monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    """
    Have the server answer all but one kind of question in time; give what it is asked.
    """
    client: Any = cache.machine.store.server.client  # type: ignore[attr-defined]
    perform: Any = client.perform
    asked: list[str] = []

    def answer(operation: Any, limit: float) -> Any:
        asked.append(operation.asked)
        if operation.asked == name:
            time.sleep(limit)
            raise StoreError("didn't come in time", asked=name)
        return perform(operation, limit)

    monkeypatch.setattr(client, "perform", answer)
    return asked


def test_who_claimed_a_load_gives_it_up(
    cache: YokedCache, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    @cached(cache=cache, tags=["t"])
    def answer(number: int) -> int:
        time.sleep(2 * CHEAP)
        return number

    until_served(cache, lambda: answer(1))
    asked = late(cache, monkeypatch, "store")
    assert answer(2) == 2
    assert asked == ["read", "claim", "store", "release"]
    assert redis_server.say("KEYS", "yc:f:*") == []


def test_a_stale_answer_saves_a_call_whose_claim_was_waited_for_in_vain(
    cache: YokedCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    down: list[bool] = []

    @cached(cache=cache, ttl=0.2, stale_on_error=60, tags=["t"])
    def answer(number: int) -> int:
        time.sleep(2 * CHEAP)
        if down:
            raise RuntimeError("the database is away")
        return number

    until_served(cache, lambda: answer(1))
    down.append(True)
    late(cache, monkeypatch, "claim")
    wait_until(lambda: answer.peek(1) is MISS)
    assert answer(1) == 1


def test_a_value_that_isn_t_stored_takes_the_old_one_s_place_all_the_same(
    cache: YokedCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cache.sync.set("key", "old")
    asked = late(cache, monkeypatch, "store")
    assert not cache.sync.set("key", "new")
    assert asked[-2:] == ["store", "remove"]
    assert cache.sync.get("key") is None


def test_what_is_renewed_in_the_background_is_stored_all_the_same(
    cache: YokedCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    @cached(cache=cache, ttl=0.2, stale=60, tags=["t"])
    def answer(number: int) -> int:
        time.sleep(2 * CHEAP)
        return number

    until_served(cache, lambda: answer(1))
    asked = late(cache, monkeypatch, "claim")
    wait_until(lambda: answer(1) == 1 and "store" in asked)


def test_what_others_are_answered_shows_that_the_store_is_back(
    cache: YokedCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    @cached(cache=cache, tags=["t"])
    def answer(number: int) -> int:
        assert cache.sync.set("seen", number)
        return number

    until_served(cache, lambda: answer(1))
    asked = late(cache, monkeypatch, "read")
    assert answer(2) == 2
    monkeypatch.undo()
    assert asked[-1] == "store"
    assert answer.peek(2) == 2


@pytest.mark.parametrize("how", ["rows", "entities", "get"])
def test_a_crowd_that_waits_in_vain_still_asks_the_database_once(
    cache: YokedCache,
    maker: sessionmaker[Session],
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    engine = maker.kw["bind"]
    ask = asking(maker, how)
    for _ in range(5):  # the short way, by then
        until_served(cache, ask)
    begun, go_on, sent = threading.Event(), threading.Event(), []
    both = threading.Barrier(2)

    def hang(operation: Any, limit: float) -> Any:
        both.wait(LIMIT)  # so both have begun before one has waited
        time.sleep(limit)
        raise StoreError("didn't come in time", asked=operation.asked)

    def slow(*_: Any) -> None:
        sent.append(1)
        begun.set()
        assert go_on.wait(LIMIT)

    event.listen(engine, "before_cursor_execute", slow)
    shared = cache.stats().total.shared
    server: Any = cache.machine.store.server  # type: ignore[attr-defined]
    monkeypatch.setattr(server.client, "perform", hang)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(ask), pool.submit(ask)
        assert begun.wait(LIMIT)
        waiting: Any = cache.machine.terminal
        wait_until(lambda: any(map(len, waiting._waiting.values())))
        go_on.set()
        assert (first.result(LIMIT), second.result(LIMIT)) == ("ann", "ann")
    assert sent == [1]
    assert cache.stats().total.shared == shared + 1
