"""
Hole 4: the tenant in a session's `info`, which the body of a cached function reads.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from sqlalchemy.util import greenlet_spawn

from tests.tenants.places import Secret
from yokedcache import cached

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.tenants.places import AsyncPlace, Place
    from yokedcache import YokedCache

    Ask = Callable[[str], Any]

ORDER = ("a", "b", "a", "b", "b", "a")


def content(session: Any) -> Any:
    query = select(Secret.content).where(Secret.owner == session.info["tenant"])
    return session.scalar(query)


def of_argument(place: Place, cache: YokedCache) -> Ask:
    function = cached(cache=cache)(content)

    def ask(name: str) -> Any:
        with Session(place.admin, info={"tenant": name}) as session:
            return function(session)

    return ask


def of_self(place: Place, cache: YokedCache) -> Ask:
    class Shelf:
        def __init__(self, session: Session) -> None:
            self.session = session

        @cached(cache=cache)
        def content(self) -> Any:
            return content(self.session)

    def ask(name: str) -> Any:
        with Session(place.admin, info={"tenant": name}) as session:
            return Shelf(session).content()

    return ask


def of_registry(place: Place, cache: YokedCache) -> Ask:
    registry = scoped_session(sessionmaker(place.admin))
    function = cached(cache=cache)(content)

    def ask(name: str) -> Any:
        registry().info["tenant"] = name
        try:
            return function(registry)
        finally:
            registry.remove()

    return ask


def of_maker(place: Place, cache: YokedCache) -> Ask:
    @cached(cache=cache)
    def function(maker: sessionmaker[Session]) -> Any:
        with maker() as session:
            return content(session)

    return lambda name: function(sessionmaker(place.admin, info={"tenant": name}))


def of_class(place: Place, cache: YokedCache) -> Ask:
    class Own(Session):
        tenant: str

        @property
        def info(self) -> Any:
            return {"tenant": self.tenant}

    function = cached(cache=cache)(content)

    def ask(name: str) -> Any:
        with Own(place.admin) as session:
            session.tenant = name
            return function(session)

    return ask


@pytest.mark.parametrize("way", [of_argument, of_self, of_registry, of_maker, of_class])
def test_hole_04_info_is_part_of_the_key(
    place: Place, way: Callable[[Place, YokedCache], Ask], cache: YokedCache
) -> None:
    ask = way(place, cache)
    for name in ORDER:
        assert ask(name) == name
    counts = cache.stats().total
    assert (counts.loads, counts.hits) == (2, 4)


@pytest.mark.anyio
@pytest.mark.usefixtures("may_block")
async def test_hole_04_info_of_async_sessions(
    async_place: AsyncPlace, cache: YokedCache
) -> None:
    engine = AsyncEngine(await greenlet_spawn(async_place.engine))

    @cached(cache=cache)
    async def function(session: AsyncSession) -> Any:
        query = select(Secret.content).where(Secret.owner == session.info["tenant"])
        return await session.scalar(query)

    for name in ORDER:
        async with AsyncSession(engine, info={"tenant": name}) as session:
            assert await function(session) == name
    counts = cache.sync.stats().total
    assert (counts.loads, counts.hits) == (2, 4)


def test_hole_04_it_matters_whose_info_it_is(place: Place, cache: YokedCache) -> None:
    @cached(cache=cache)
    def both(one: Session, two: Session) -> Any:
        return [session.info.get("tenant") for session in (one, two)]

    for info in ({}, {"tenant": "a"}):
        for other in ({"tenant": "a"}, {}, {"tenant": "b"}):
            for _ in range(2):
                with (
                    Session(place.admin, info=info) as one,
                    Session(place.admin, info=other) as two,
                ):
                    expected = [info.get("tenant"), other.get("tenant")]
                    assert both(one, two) == expected
    assert cache.stats().total.loads == 6


def test_hole_04_an_engine_in_info_is_told_from_others(
    place: Place, cache: YokedCache
) -> None:
    @cached(cache=cache)
    def told(session: Session) -> Any:
        return session.info["engine"].get_execution_options().get("shop")

    for name in ORDER:
        engine = place.admin.execution_options(shop=name)
        with Session(place.admin, info={"engine": engine}) as session:
            session.info["session"] = session
            assert told(session) == name


def test_what_cannot_be_keyed_is_bypassed(place: Place, cache: YokedCache) -> None:
    class Person:
        def __init__(self, tenant: str) -> None:
            self.tenant = tenant

        __hash__ = None  # type: ignore[assignment]

    def told(session: Session) -> str:
        return str(session.info["person"].tenant)

    def ask(function: Any, name: str) -> Any:
        with Session(place.admin, info={"person": Person(name)}) as session:
            return function(session)

    careless, names = cached(cache=cache)(told), iter(ORDER)
    careful = cached(cache=cache, vary=lambda: current)(told)
    for current in names:
        assert ask(careless, current) == ask(careful, current) == current
    counts = cache.stats().total
    assert counts.bypasses == {"unkeyable_info": len(ORDER)}
    assert (counts.loads, counts.hits) == (2, 4)


def test_what_libraries_and_tools_keep_there_matters_to_nobody(
    place: Place, cache: YokedCache
) -> None:
    tracker = type("Tracker", (), {"__module__": "advanced_alchemy._listeners"})

    @cached(cache=cache)
    def told(session: Session) -> int:
        return len(session.info)

    for _ in range(3):
        info = {"tracker": tracker(), "log": logging.getLogger(__name__)}
        with Session(place.admin, info=info) as session:
            assert told(session) == 2
    counts = cache.stats().total
    assert (counts.loads, counts.hits) == (1, 2)


def test_nothing_varies_if_the_app_says_so(place: Place, cache: YokedCache) -> None:
    @cached(cache=cache, vary=None)
    def told(session: Session, name: str) -> str:
        return name

    for number, name in enumerate(ORDER):
        with Session(place.admin, info={"request": number}) as session:
            assert told(session, name) == name
    counts = cache.stats().total
    assert (counts.loads, counts.hits) == (2, 4)
