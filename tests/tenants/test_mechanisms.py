"""
Hole 4: what a statement is answered may depend on who asks, and no hook sees it.

Each way is tried with two tenants: nothing is kept until the app says what answers
vary on, one line says so with the place in the app's code, and then each tenant is
served its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.orm import sessionmaker

from tests.tenants.mechanisms import MECHANISMS
from tests.tenants.places import secret_of, tenant
from yokedcache import cached

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.tenants.mechanisms import Engines
    from tests.tenants.places import Place
    from yokedcache import YokedCache

ORDER = ("a", "b", "a", "b", "b", "a", "a", "b")


@pytest.fixture(params=MECHANISMS)
def engines(request: pytest.FixtureRequest, place: Place) -> Engines:
    return MECHANISMS[request.param](place)


def asking(
    place: Place, engines: Engines, cache: YokedCache, **options: Any
) -> Callable[[], Any]:
    makers: dict[Any, Any] = {}

    def ask() -> Any:
        engine = engines()
        if engine not in makers:
            makers[engine] = cache.attach(sessionmaker(engine), **options)
        with makers[engine]() as session:
            return session.scalar(place.query)

    return ask


def by_context(session: object) -> str:
    return tenant.get()


def test_hole_04_nothing_is_kept_until_the_app_says_what_it_varies_on(
    place: Place,
    engines: Engines,
    cache: YokedCache,
    said: pytest.LogCaptureFixture,
) -> None:
    ask = asking(place, engines, cache)
    function = cached(cache=cache)(ask)
    for name in ORDER:
        tenant.set(name)
        assert ask() == function() == secret_of(name)
    counts = cache.stats().total
    assert counts.hits == 0
    assert counts.bypasses == {"listeners": 2 * len(ORDER)}
    lines = {r.message for r in said.records if "is not cached" in r.message}
    assert 1 <= len(lines) <= 2  # one an engine
    for line in lines:
        assert "mechanisms.py:" in line
        assert "vary=" in line


def test_hole_04_each_tenant_is_served_its_own_under_vary(
    place: Place, engines: Engines, cache: YokedCache
) -> None:
    ask = asking(place, engines, cache, vary=by_context)
    function = cached(cache=cache, vary=tenant.get)(ask)
    careless = cached(cache=cache)(ask)
    for name in ORDER:
        tenant.set(name)
        assert ask() == function() == careless() == secret_of(name)
    by_name = cache.stats().by_name
    assert by_name["statements"].hits
    assert sum(counts.hits for counts in by_name.values()) > by_name["statements"].hits


def test_hole_04_nothing_varies_if_the_app_says_so(
    place: Place, engines: Engines, cache: YokedCache
) -> None:
    tenant.set("a")
    ask = asking(place, engines, cache, vary=None)
    for _ in range(4):
        assert ask() == secret_of("a")
    assert cache.stats().total.hits
