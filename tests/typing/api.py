"""
The public API as a user's type checker sees it: checked by mypy and pyright, never run.

A line that ends in `type: ignore` is one that a checker must refuse; mypy says
so if it doesn't.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable, Iterator
from datetime import timedelta
from typing import Any, assert_type

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from yokedcache import MISS, YokedCache, cached, cached_dependency
from yokedcache.core.entry import Miss
from yokedcache.sqlalchemy import FromCache, NoCache
from yokedcache.stats import Counts, Explanation, Stats
from yokedcache.sync import SyncCache
from yokedcache.testing import FakeClock

cache = YokedCache("memory://", ttl="5m", max_entries=1000, clock=FakeClock())


@cached
def bare(number: int, text: str = "x") -> list[int]:
    return [number, len(text)]


@cached(
    cache=cache,
    ttl=timedelta(minutes=5),
    tags=["numbers", "number:{number}"],
    result_tags=lambda found: [f"found:{number}" for number in found],
    condition=bool,
    stale="1m",
    stale_on_error=3600,
    early=1.0,
    errors={LookupError: "30s"},
    vary=None,
    copy=False,
)
def with_options(number: int, /, *, flag: bool = False) -> list[int]:
    return [number] * flag


@cached
async def bare_async(number: int) -> dict[str, int]:
    return {"number": number}


@cached
def of_anything(value: object, model: type[Session] = Session) -> bool:
    return isinstance(value, model)


@cached(ttl="5m")
def of_a_class(model: type[Session]) -> str:
    return model.__name__


@cached(ttl="5m", key="{number}")
async def async_with_options(number: int, *, flag: bool = False) -> str | None:
    return str(number) if flag else None


class Repository:
    def __init__(self, session: Session) -> None:
        self.session = session

    @cached
    def bare(self, number: int) -> str:
        return str(number)

    @cached(ttl=60)
    async def with_options(self, number: int, *, flag: bool = False) -> str:
        return str(number) * flag

    @classmethod
    @cached
    def of_class(cls, number: int) -> float:
        return float(number)

    @classmethod
    @cached(ttl=60)
    async def of_class_async(cls, number: int) -> float:
        return float(number)

    @staticmethod
    @cached(ttl=60)
    def static(number: int) -> bytes:
        return bytes(number)


def functions() -> None:
    assert_type(bare(1), list[int])
    assert_type(bare(1, text="y"), list[int])
    assert_type(bare.refresh(number=1), list[int])
    assert_type(bare.uncached(1), list[int])
    assert_type(bare.invalidate(1), bool)
    assert_type(bare.key(1), Hashable)
    assert_type(of_anything(1, model=Session), bool)
    assert_type(of_anything(value=1), bool)
    assert_type(of_a_class(model=Session), str)
    assert_type(bare.warm([bare.call(1), (2,), {"number": 3}]), int)
    assert_type(with_options(1, flag=True), list[int])
    found = bare.peek(1)
    assert_type(found, list[int] | Miss)
    if found is not MISS:
        assert_type(found, list[int])

    bare("1")  # type: ignore[arg-type]
    bare()  # type: ignore[call-arg]
    bare.refresh("1")  # type: ignore[arg-type]
    bare.invalidate(1, 2)  # type: ignore[arg-type]
    bare.key(nummer=1)  # type: ignore[call-arg]
    bare.peek("1")  # type: ignore[arg-type]
    bare.call("1")  # type: ignore[arg-type]
    bare.uncached(1, 2)  # type: ignore[arg-type]
    bare.warm(["1"])  # type: ignore[list-item]
    with_options(1, True)  # type: ignore[call-arg]
    with_options(number=1)  # type: ignore[call-arg]


async def async_functions() -> None:
    assert_type(await bare_async(1), dict[str, int])
    assert_type(await bare_async.refresh(1), dict[str, int])
    assert_type(await bare_async.uncached(1), dict[str, int])
    assert_type(await bare_async.warm([bare_async.call(1)]), int)
    assert_type(bare_async.peek(1), dict[str, int] | Miss)
    assert_type(bare_async.invalidate(1), bool)
    assert_type(await async_with_options(1, flag=True), str | None)
    assert_type(async_with_options.peek(1), str | None | Miss)

    await bare_async("1")  # type: ignore[arg-type]
    await async_with_options(1, True)  # type: ignore[call-arg]
    await async_with_options.refresh("1")  # type: ignore[arg-type]


async def methods(repository: Repository) -> None:
    assert_type(repository.bare(1), str)
    assert_type(repository.bare.refresh(1), str)
    assert_type(repository.bare.invalidate(1), bool)
    assert_type(repository.bare.peek(1), str | Miss)
    assert_type(repository.bare.warm([(1,)]), int)
    assert_type(Repository.bare(repository, 1), str)
    assert_type(await repository.with_options(1, flag=True), str)
    assert_type(await repository.with_options.refresh(1), str)
    assert_type(await repository.with_options.warm([(1,)]), int)

    assert_type(Repository.of_class(1), float)
    assert_type(repository.of_class(1), float)
    assert_type(Repository.of_class.invalidate(1), bool)
    assert_type(await Repository.of_class_async(1), float)
    assert_type(await Repository.of_class_async.refresh(1), float)

    assert_type(Repository.static(1), bytes)
    assert_type(Repository.static.refresh(1), bytes)
    assert_type(Repository.static.peek(1), bytes | Miss)
    assert_type(repository.static(1), bytes)
    assert_type(repository.static.refresh(number=1), bytes)

    repository.bare("1")  # type: ignore[arg-type]
    repository.bare.refresh("1")  # type: ignore[arg-type]
    await repository.with_options(1, True)  # type: ignore[call-arg]
    Repository.of_class("1")  # type: ignore[arg-type]
    Repository.static("1")  # type: ignore[arg-type]
    repository.static("1")  # type: ignore[arg-type]
    repository.of_class("1")  # type: ignore[arg-type]
    of_a_class(int)  # type: ignore[arg-type]


def options() -> None:
    cached(tll="5m")  # type: ignore[call-overload]
    cached(ttl=object())  # type: ignore[call-overload]
    cached(3)  # type: ignore[call-overload]
    cached(errors={3: "5m"})  # type: ignore[dict-item]


def get_session(number: int = 1) -> Iterator[Session]:
    with Session(info={"number": number}) as session:
        yield session


async def get_async_session() -> AsyncIterator[AsyncSession]:
    async with AsyncSession() as session:
        yield session


def dependencies() -> None:
    blocking = cached_dependency(
        get_session, cache=cache, ttl="5m", table_name="users", vary=None
    )
    assert_type(blocking(number=2), Iterator[Session])
    asynchronous = cached_dependency(get_async_session)
    assert_type(asynchronous(), AsyncIterator[AsyncSession])

    blocking("2")  # type: ignore[arg-type]
    cached_dependency(get_session, table="users")  # type: ignore[call-arg]


async def face() -> None:
    assert_type(await cache.get("key"), Any)
    assert_type(await cache.set("key", 1, ttl="5m", tags=["a"]), bool)
    assert_type(await cache.get_many(["key"]), dict[str, Any])
    assert_type(await cache.set_many({"key": 1}), int)
    assert_type(await cache.delete("key"), bool)
    assert_type(await cache.exists("key"), bool)
    assert_type(await cache.expire("key", timedelta(minutes=5)), bool)
    assert_type(await cache.get_or_set("key", lambda: 1), int)
    assert_type(await cache.get_or_set("key", get_number), int)
    assert_type(await cache.fetch_or_set("key", get_number), int)
    await cache.invalidate_tags("a")
    await cache.invalidate_tags(["a", "b"])
    await cache.invalidate_prefix("a")
    await cache.invalidate_database()
    await cache.clear()
    assert_type(cache.stats(), Stats)
    assert_type(cache.stats().total, Counts)
    assert_type(cache.explain(bare, 1), Explanation)
    assert_type(cache.explain(select(1), session=Session()), Explanation)
    async with cache as entered:
        assert_type(entered, YokedCache)

    await cache.set("key", 1, 5)  # type: ignore[call-arg]
    await cache.set("key", 1, ttl=b"5m")  # type: ignore[arg-type]
    await cache.expire("key", None)  # type: ignore[arg-type]


async def get_number() -> int:
    return 1


def blocking_face() -> None:
    with cache as entered:
        assert_type(entered, SyncCache)
    assert_type(cache.sync, SyncCache)
    assert_type(cache.sync.get("key", MISS), Any)
    assert_type(cache.sync.set("key", 1, ttl=5.0), bool)
    assert_type(cache.sync.get_or_set("key", lambda: 1), int)
    assert_type(cache.sync.fetch_or_set("key", lambda: "a"), str)
    assert_type(cache.sync.stats(), Stats)
    cache.sync.invalidate_tags("a")
    cache.sync.close()


def sessions() -> None:
    maker = sessionmaker[Session]()
    async_maker = async_sessionmaker[AsyncSession]()
    scope = scoped_session(maker)
    assert_type(cache.attach(maker), sessionmaker[Session])
    assert_type(
        cache.attach(async_maker, ttl="5m", tables=["users"], vary=None),
        async_sessionmaker[AsyncSession],
    )
    assert_type(cache.attach(scope, tables="users"), scoped_session[Session])
    assert_type(cache.attach(Session()), Session)
    cache.detach(maker)
    select(1).options(FromCache(ttl="5m", tags=["a"]))
    select(1).options(NoCache())

    cache.attach(maker, tabels="users")  # type: ignore[call-arg]
    cache.attach(maker, ttl=object())  # type: ignore[arg-type]
    FromCache("5m")  # type: ignore[call-arg]
