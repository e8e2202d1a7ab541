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
    from collections.abc import Callable, Iterator
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


MAKING = "cache = YokedCache(url, lease=0.2, jitter=0.0, store_timeout=10.0, **more)"


@pytest.fixture
def make(redis_server: RedisServer, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """
    Give what makes the cache of a project, by code that lies in its folder.
    """
    made = []

    def made_in(project: str, **more: Any) -> YokedCache:
        folder = tmp_path / project
        folder.mkdir(exist_ok=True)
        (folder / "pyproject.toml").touch()
        (folder / "app.py").write_text(MAKING)
        scope = {"__name__": "app", "YokedCache": YokedCache, "more": more}
        code = compile(MAKING, folder / "app.py", "exec")
        exec(code, scope | {"url": redis_server.url()}, scope)
        cache: Any = scope["cache"]
        made.append(cache)
        wait_until(lambda: cache.sync.set("settled", 1))
        return cache  # type: ignore[no-any-return]

    yield made_in
    for cache in made:
        cache.sync.close()


@pytest.mark.parametrize("near", [False, True])
def test_keys_set_by_hand_are_each_applications_own(
    make: Callable[..., YokedCache], said: pytest.LogCaptureFixture, *, near: bool
) -> None:
    shop, blog = (make(project, near=near) for project in ("shop", "blog"))
    shop.sync.set("user:1", "of the shop", tags=["users"])
    assert blog.sync.get("user:1") is None
    assert not blog.sync.exists("user:1")
    assert not blog.sync.expire("user:1", 60)
    assert blog.sync.get_many(["user:1"]) == {}
    assert shop.sync.get("user:1") == "of the shop"
    blog.sync.set("user:1", "of the blog")
    assert blog.sync.get("user:1") == "of the blog"
    if not near:
        assert shop.sync.get("user:1") is None
    assert shop.sync.get_or_set("page", lambda: "of the shop") == "of the shop"
    assert blog.sync.get_or_set("page", lambda: "of the blog") == "of the blog"
    assert blog.stats().unreadable > 0
    assert said.text.count("another application has set it") == 1
    assert "prefix=" in said.text


def test_processes_of_one_project_share_what_they_set(
    make: Callable[..., YokedCache],
) -> None:
    web, worker = (make("shop") for _ in range(2))
    web.sync.set("user:1", "of the shop")
    assert worker.sync.get("user:1") == "of the shop"
    assert worker.sync.delete("user:1")
    assert web.sync.get("user:1") is None


def test_applications_that_name_a_prefix_share_what_they_set(
    make: Callable[..., YokedCache],
) -> None:
    shop, blog = (make(project, prefix="both") for project in ("shop", "blog"))
    shop.sync.set("user:1", "of the shop")
    assert blog.sync.get("user:1") == "of the shop"
    assert make("blog").sync.get("user:1") is None


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
