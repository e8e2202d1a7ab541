"""
Hole 4 over async drivers: the same mechanisms, the same two tenants.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker
from sqlalchemy.util import greenlet_spawn

from tests.tenants.mechanisms import MECHANISMS
from tests.tenants.places import secret_of, tenant
from tests.tenants.test_mechanisms import ORDER, by_context
from yokedcache import cached

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.tenants.mechanisms import Engines
    from tests.tenants.places import AsyncPlace
    from yokedcache import YokedCache

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("may_block")]


@pytest.fixture(params=[name for name in MECHANISMS if name != "creator"])
def engines(request: pytest.FixtureRequest, async_place: AsyncPlace) -> Engines:
    return MECHANISMS[request.param](async_place)


def asking(
    place: AsyncPlace, engines: Engines, cache: YokedCache, **options: Any
) -> Callable[[], Awaitable[Any]]:
    makers: dict[Any, Any] = {}

    async def ask() -> Any:
        engine = await greenlet_spawn(engines)
        if engine not in makers:
            maker = async_sessionmaker(AsyncEngine(engine))
            makers[engine] = cache.attach(maker, **options)
        async with makers[engine]() as session:
            return await session.scalar(place.query)

    return ask


async def test_hole_04_nothing_is_kept_until_the_app_says_what_it_varies_on(
    async_place: AsyncPlace, engines: Engines, cache: YokedCache
) -> None:
    ask = asking(async_place, engines, cache)
    function = cached(cache=cache)(ask)
    for name in ORDER:
        tenant.set(name)
        assert await ask() == await function() == secret_of(name)
    counts = cache.sync.stats().total
    assert counts.hits == 0
    assert counts.bypasses == {"listeners": 2 * len(ORDER)}


async def test_hole_04_each_tenant_is_served_its_own_under_vary(
    async_place: AsyncPlace, engines: Engines, cache: YokedCache
) -> None:
    ask = asking(async_place, engines, cache, vary=by_context)
    function = cached(cache=cache, vary=tenant.get)(ask)
    careless = cached(cache=cache)(ask)
    for name in ORDER:
        tenant.set(name)
        expected = secret_of(name)
        assert await ask() == await function() == await careless() == expected
    assert cache.sync.stats().by_name["statements"].hits
