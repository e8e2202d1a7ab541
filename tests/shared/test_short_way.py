"""
The short way of a hit: what was seen to hold is asked to still do, and nothing else.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.shared.conftest import look_ups
from tests.shared.functions import Copy
from yokedcache import YokedCache, cached
from yokedcache.again import Again, Standing
from yokedcache.errors import StoreError

if TYPE_CHECKING:
    from tests.services.redis import RedisServer

pytestmark = pytest.mark.usefixtures("may_block")  # both faces, in one body

Caches = "tuple[YokedCache, YokedCache]"
FACES = ["sync", "async"]


class Asked:
    """
    One cached function, called by either face, and how its short way went.
    """

    def __init__(self, cache: YokedCache, face: str, monkeypatch: Any) -> None:
        self.cache = cache
        self.face = face
        self.copy = Copy(cache, "short", lambda n: [n, len(self.calls)], tags=["t"])
        self.went: list[Standing] = []
        ask, ask_async = Again.ask, Again.ask_async

        def noted(again: Again, entry: Any) -> Standing:
            self.went.append(ask(again, entry))
            return self.went[-1]

        async def noted_async(again: Again, entry: Any) -> Standing:
            self.went.append(await ask_async(again, entry))
            return self.went[-1]

        monkeypatch.setattr(Again, "ask", noted)
        monkeypatch.setattr(Again, "ask_async", noted_async)

    @property
    def calls(self) -> list[Any]:
        return self.copy.calls

    async def __call__(self, n: int = 1) -> Any:
        self.copy.be_here()
        if self.face == "sync":
            return self.copy.function(n)
        return await self.copy.afunction(n)

    async def known(self, n: int = 1) -> None:
        """
        Have the answer known so well that the short way is open.
        """
        for _ in range(3):
            await self(n)
        assert self.went[-1:] == [Standing.SAME]
        self.went.clear()


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest) -> str:
    given: str = request.param
    return given


@pytest.fixture
def asked(caches: Caches, face: str, monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(caches[0], face, monkeypatch)


async def test_a_known_answer_is_one_question(asked: Asked) -> None:
    await asked.known()
    hits = asked.cache.stats().total.hits
    first = await asked()
    first.append("mine")
    assert await asked() == [1, 1]  # everyone has a copy
    assert asked.went == [Standing.SAME] * 2
    assert asked.cache.stats().total.hits == hits + 2


async def test_a_tag_ends_it(asked: Asked, caches: Caches) -> None:
    await asked.known()
    caches[1].sync.invalidate_tags("t")
    assert await asked() == [1, 2]
    assert asked.went == [Standing.OTHER]


async def test_a_new_answer_under_the_key_is_seen(asked: Asked, caches: Caches) -> None:
    await asked.known()
    other = Copy(caches[1], "short", lambda _: ["newer"], tags=["t"])
    other.be_here()
    assert other.function.refresh(1) == ["newer"]
    other.be_here()
    await other.afunction.refresh(1)
    assert await asked() == ["newer"]


async def test_a_dropped_answer_is_gone(asked: Asked, caches: Caches) -> None:
    await asked.known()
    other = Copy(caches[1], "short", lambda _: ["unused"], tags=["t"])
    other.be_here()
    assert other.function.invalidate(1) or other.afunction.invalidate(1)
    other.afunction.invalidate(1)
    assert await asked() == [1, 2]


async def test_a_ttl_ends_it(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    await asked.known()
    store = asked.cache.machine.store
    monkeypatch.setattr(store, "_clock", lambda: 1e12)
    await asked()
    assert asked.went == []


async def test_inside_another_cached_function_the_long_way_is_gone(
    asked: Asked, caches: Caches
) -> None:
    await asked.known()

    @cached(cache=caches[0])
    async def outer() -> Any:
        return await asked()

    assert await outer() == [1, 1]
    assert asked.went == []  # what it depends on has to be noted
    caches[1].sync.invalidate_tags("t")
    assert await outer() == [1, 2]


async def test_what_happens_meanwhile_in_this_process_counts(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asked.known()
    server: Any = asked.cache.machine.store.server
    name = "here" if asked.face == "sync" else "perform_async"
    perform = getattr(server, name)

    def bumped() -> None:
        asked.cache.machine.store.tags.bump(["t"])

    def here(operation: Any) -> Any:
        found = perform(operation)
        bumped()
        return found

    async def perform_async(operation: Any) -> Any:
        found = await perform(operation)
        bumped()
        return found

    with monkeypatch.context() as patched:
        patched.setattr(server, name, here if name == "here" else perform_async)
        await asked()
    assert asked.went == [Standing.OTHER]


async def test_a_store_that_fails_is_asked_once(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asked.known()
    server: Any = asked.cache.machine.store.server
    operations: list[str] = []

    def failing(operation: Any) -> Any:
        operations.append(operation.asked)
        raise StoreError("it is gone", asked=operation.asked)

    async def failing_async(operation: Any) -> Any:
        return failing(operation)

    with monkeypatch.context() as patched:
        patched.setattr(server, "here", failing)
        patched.setattr(server, "perform", failing)
        patched.setattr(server, "perform_async", failing_async)
        assert await asked() == [1, 2]
    assert asked.went == [Standing.UNKNOWN]
    assert operations.count("read") == 1


async def test_connections_that_were_closed_while_idle_cost_nothing(
    asked: Asked, server: RedisServer
) -> None:
    await asked.known()
    failures = asked.cache.stats().store_failures
    server.say("CLIENT", "KILL", "TYPE", "normal")
    assert await asked() == [1, 1]
    assert asked.went == [Standing.SAME]
    assert asked.cache.stats().store_failures == failures


async def test_a_crowd_is_answered_by_one_command(
    redis_caches: Caches, server: RedisServer
) -> None:
    copy = Copy(redis_caches[0], "crowd", lambda n: n, tags=["t", "n:{n}"])
    copy.be_here()
    for _ in range(3):
        await asyncio.gather(*map(copy.afunction, range(50)))
    before = look_ups(server)
    assert await asyncio.gather(*map(copy.afunction, range(50))) == [*range(50)]
    assert look_ups(server) == before + 1
    assert len(copy.calls) == 50


async def test_a_cold_crowd_opens_few_connections(
    caches: Caches, server: RedisServer
) -> None:
    copy = Copy(caches[0], "cold", lambda n: n, tags=["t"])
    copy.be_here()

    def opened() -> int:
        return int(server.info("stats")["total_connections_received"])

    before = opened()
    assert await asyncio.gather(*map(copy.afunction, range(64))) == [*range(64)]
    assert opened() - before <= 8 + 1  # and the one that asks
    assert caches[0].stats().store_failures == 0
