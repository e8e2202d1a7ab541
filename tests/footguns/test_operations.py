"""
Footguns 16, 46, 47, 49 to 51 and 55: what it is like to run the library.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, select
from starlette.requests import Request

import yokedcache.cache
from tests.support.models import User
from yokedcache import YokedCache, cached, cached_dependency
from yokedcache.errors import ClosedError
from yokedcache.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sqlalchemy.orm import Session

    from tests.support.databases import Blog

ALL_MODULES = """
import importlib, pkgutil, yokedcache
for module in pkgutil.walk_packages(yokedcache.__path__, "yokedcache."):
    importlib.import_module(module.name)
from yokedcache import YokedCache, cached, cached_dependency
YokedCache()
"""


def python(code: str, *options: str) -> str:
    """
    Run code in a Python of its own.
    """
    done = subprocess.run(
        [sys.executable, *options, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        timeout=50,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_footgun_16_every_module_imports_without_a_warning() -> None:
    python(ALL_MODULES, "-W", "error")


def test_footgun_46_an_event_loop_a_call_is_fine(cache: YokedCache) -> None:
    runs: list[int] = []

    @cached(cache=cache, ttl=60)
    async def load() -> int:
        runs.append(1)
        await asyncio.sleep(0)
        return 7

    async def use() -> tuple[int, Any]:
        cache.sync.set("from", "the blocking face")
        return await load(), await cache.get("from")

    for _ in range(3):
        assert asyncio.run(use()) == (7, "the blocking face")
    assert cache.sync.get("from") == "the blocking face"
    assert runs == [1]


ALONE = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        first = name.partition(".")[0]
        known = {"yokedcache", "msgpack"} | sys.stdlib_module_names
        if first not in known and not first.startswith("_sysconfigdata"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Blocker())
"""

USED = """
import yokedcache
calls = []

@yokedcache.cached(ttl=60)
def double(number):
    calls.append(number)
    return [number * 2]

assert double(2) == double(2) == [4] and calls == [2]
cache = yokedcache.YokedCache()
cache.sync.set("key", {"a": 1}, tags=["t"])
assert cache.sync.get("key") == {"a": 1}
print(type(cache.machine.store).__name__, "sqlalchemy" in sys.modules)
"""

REDIS_IS_THERE = """
import sys, types
redis = types.ModuleType("redis")
redis.asyncio = types.ModuleType("redis.asyncio")
sys.modules |= {"redis": redis, "redis.asyncio": redis.asyncio}
"""


@pytest.mark.parametrize("around", [ALONE, REDIS_IS_THERE], ids=["alone", "redis"])
def test_footgun_47_what_is_installed_changes_nothing(around: str) -> None:
    assert python(around + USED) == "MemoryStore False\n"


def test_footgun_49_nobody_waits_for_a_strangers_query(
    blog: Blog, cache: YokedCache
) -> None:
    sessions = blog.attached(cache)
    entered, leave = threading.Event(), threading.Event()

    @cached(cache=cache, ttl=60)
    def find(number: int) -> int:
        if number == 1:
            entered.set()
            assert leave.wait(30)
        return number

    def slow(*_: Any) -> None:
        if threading.current_thread() is stranger:
            entered.set()
            assert leave.wait(30)

    def query() -> Any:
        with sessions() as session:
            return session.scalars(select(User)).all()

    event.listen(blog.engine, "after_cursor_execute", slow)
    for number, work in ((4, lambda: find(1)), (5, query)):
        entered.clear()
        leave.clear()
        stranger = threading.Thread(target=work)
        stranger.start()
        try:
            assert entered.wait(30)
            assert find(2) == 2
            with sessions() as session:
                assert session.get_one(User, 1).name == "ann"
            with blog.sessions.begin() as session:
                session.add(User(id=number, name="dan"))
            assert stranger.is_alive()
        finally:
            leave.set()
            stranger.join()


def fails(*_: Any, **__: Any) -> Any:
    raise RuntimeError("can't be copied")


class Awkward:
    """
    A value that defies being kept.
    """

    __copy__ = __deepcopy__ = __reduce_ex__ = fails


@pytest.mark.parametrize(
    "value",
    [Awkward(), [Awkward()], iter(()), open, lambda: 1],
    ids=["awkward", "nested", "iterator", "builtin", "lambda"],
)
def test_footgun_50_a_value_that_cannot_be_kept_is_still_given(
    cache: YokedCache, value: Any
) -> None:
    @cached(cache=cache, ttl=60)
    def give() -> Any:
        return value

    for _ in range(3):
        assert give() is value


def test_footgun_50_a_cache_that_is_full_or_closed_fails_no_query(
    any_blog: Blog,
) -> None:
    cache = YokedCache(max_bytes=1000, max_entries=1)
    sessions = any_blog.attached(cache)

    @cached(cache=cache, ttl=60)
    def large(size: int) -> str:
        return "x" * size

    for _ in range(2):
        for _ in range(2):
            assert len(large(100_000)) == 100_000
            with sessions() as session:
                assert len(session.scalars(select(User)).all()) == 3
                assert session.get_one(User, 1).name == "ann"
        cache.sync.close()
    with pytest.raises(ClosedError):
        cache.sync.get("key")


def test_footgun_51_a_dependency_on_the_request_is_nobody_elses(
    cache: YokedCache,
) -> None:
    def blocking(request: Request) -> dict[str, str]:
        return {"user": request.headers["authorization"]}

    async def waiting(request: Request) -> dict[str, str]:
        return {"user": request.headers["authorization"]}

    def yielding(request: Request) -> Iterator[dict[str, str]]:
        yield {"user": request.headers["authorization"]}

    async def yielding_async(request: Request) -> AsyncIterator[dict[str, str]]:
        yield {"user": request.headers["authorization"]}

    wrapped = [
        cached_dependency(function, cache=cache)
        for function in (blocking, waiting, yielding, yielding_async)
    ]

    async def users(name: str) -> list[str]:
        headers = [(b"authorization", name.encode())]
        request = Request({"type": "http", "headers": headers})
        one, two, three, four = wrapped
        found = [
            one(request),
            await two(request),
            *three(request),
            *[item async for item in four(request)],
        ]
        return [item["user"] for item in found]

    async def run() -> None:
        for name in ("ann", "bob", "ann"):
            assert await users(name) == [name] * 4

    asyncio.run(run())


def test_footgun_51_what_a_function_varies_on_is_in_its_key(
    any_blog: Blog, cache: YokedCache
) -> None:
    user = contextvars.ContextVar("user", default="nobody")

    @cached(cache=cache, ttl=60, vary=user.get)
    def mine() -> str:
        return user.get()

    sessions = any_blog.attached(cache, vary=lambda session: session.info["tenant"])

    @cached(cache=cache, ttl=60)
    def tenant(session: Session) -> str:
        session.scalars(select(User.name)).all()
        return str(session.info["tenant"])

    for name in ("ann", "bob", "ann"):
        user.set(name)
        assert mine() == name
        with sessions(info={"tenant": name}) as session:
            assert tenant(session) == name
    assert cache.stats().by_name[f"{mine.__module__}.{mine.__qualname__}"].hits == 1


def test_footgun_55_caches_do_not_inherit_from_one_another() -> None:
    first = YokedCache(ttl=1, max_entries=5, prefixes=["a"])
    second = YokedCache()
    assert second.settings == Settings()
    assert first.settings.ttl == 1
    first.sync.set("key", 1)
    assert second.sync.get("key") is None
    first.sync.close()
    second.sync.set("key", 2)
    assert second.sync.get("key") == 2
    second.sync.close()


def test_footgun_55_the_default_cache_is_made_anew_after_it_was_closed() -> None:
    runs: list[int] = []

    @cached(ttl=60)
    def load() -> int:
        runs.append(1)
        return 1

    while not yokedcache.cache.default_cache().machine.closed:
        default = yokedcache.cache.default_cache()
        load()
        default.sync.close()
        mine = YokedCache()
        assert yokedcache.cache.default_cache() is mine
        assert [load(), load()] == [1, 1]
        assert mine.stats().total.loads == 1
        mine.sync.close()
        break
    assert len(runs) == 2
