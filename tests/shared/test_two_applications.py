"""
Two applications that share a server by accident, under the prefix that all have.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker

from tests.services.processes import wait_until
from tests.support.models import Base, User
from yokedcache import YokedCache, cached

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.services.redis import RedisServer


@pytest.fixture
def applications(redis_server: RedisServer) -> Iterator[list[YokedCache]]:
    """
    Give their caches.
    """
    url = redis_server.url()
    made = [
        YokedCache(url, lease=0.2, jitter=0.0, store_timeout=10.0) for _ in range(2)
    ]
    for cache in made:
        wait_until(lambda: cache.sync.set("settled", 1))  # noqa: B023 - runs at once
    yield made
    for cache in made:
        cache.sync.close()


def test_functions_of_one_name_are_told_apart_by_what_they_do(
    applications: list[YokedCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, cache in enumerate(applications):
        # as each has it in a module of the most usual name
        services: Any = ModuleType("app_services")
        monkeypatch.setitem(sys.modules, "app_services", services)
        code = f"def settings():\n    return 'of application {number}'"
        exec(code, services.__dict__)
        services.settings = cached(cache=cache)(services.settings)
        for _ in range(2):
            assert services.settings() == f"of application {number}"
        assert cache.stats().total.hits == 1
    first, other = applications
    assert first.stats().store_misses == other.stats().store_misses


def test_statements_are_told_apart_by_their_databases(
    applications: list[YokedCache], tmp_path: Path
) -> None:
    for number, cache in enumerate(applications):
        engine = create_engine(f"sqlite:///{tmp_path}/{number}.db")
        Base.metadata.create_all(engine)
        with Session(engine) as session, session.begin():
            session.add(User(id=1, name=f"of application {number}"))
        maker = cache.attach(sessionmaker(engine))
        for _ in range(2):
            with maker() as session:
                assert session.get_one(User, 1).name == f"of application {number}"
        assert cache.stats().total.hits > 0
        engine.dispose()
