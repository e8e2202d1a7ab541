"""
Two applications that share a server by accident, under the prefix that all have.
"""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, sessionmaker

from tests.services.processes import wait_until
from tests.support.models import Base, User
from yokedcache import YokedCache, cached
from yokedcache.shared.belonging import Belonging

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


def user_of(cache: YokedCache, *identities: str, marks: bool = True) -> YokedCache:
    """
    Let a cache be that of a process that uses certain databases, and no others.
    """
    store: Any = cache.machine.store
    store.belonging = Belonging(marks=marks)
    for identity in identities:
        store.use(identity)
    wait_until(lambda: cache.sync.set("settled", 1))
    return cache


@pytest.mark.parametrize("near", [False, True])
def test_keys_set_by_hand_are_given_to_nobody_of_other_databases(
    redis_server: RedisServer, said: pytest.LogCaptureFixture, *, near: bool
) -> None:
    settings: Any = {"lease": 0.2, "jitter": 0.0, "store_timeout": 10.0}
    shop, blog = (
        user_of(YokedCache(redis_server.url(), near=near, **settings), identity)
        for identity in ("pg:shop", "pg:blog")
    )
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
    assert said.text.count("another application has stored it") == 1
    assert "prefix=" in said.text
    for cache in (shop, blog):
        cache.sync.close()


def test_a_database_is_met_as_it_is_first_read(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    script = """
import sys
from sqlalchemy import create_engine, text
from sqlalchemy.orm import sessionmaker
from yokedcache import YokedCache

url, path, value = sys.argv[1:]
cache = YokedCache(url, lease=0.2, jitter=0.0, store_timeout=10.0)
maker = cache.attach(sessionmaker(create_engine(f"sqlite:///{path}")))
with maker() as session:
    session.execute(text("SELECT 1")).all()
print(cache.sync.get("user:1"))
while not cache.sync.set("user:1", value):
    pass
print(cache.sync.get("user:1"))
"""

    def run(database: str, value: str) -> list[str]:
        command = [sys.executable, "-c", script, redis_server.url()]
        done = subprocess.run(
            [*command, str(tmp_path / database), value],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.split()

    assert run("shop.db", "shop") == ["None", "shop"]
    assert run("shop.db", "again") == ["shop", "again"]
    assert run("blog.db", "blog") == ["None", "blog"]
    assert run("blog.db", "again") == ["blog", "again"]


def test_what_a_process_of_very_many_databases_sets_is_for_all(
    applications: list[YokedCache],
) -> None:
    every = user_of(applications[0], *(f"pg:{number}" for number in range(65)))
    tenant = user_of(applications[1], "pg:1")
    every.sync.set("user:1", "of all")
    assert tenant.sync.get("user:1") == "of all"


def test_a_cache_that_is_made_later_is_told_of_databases_at_hand(
    applications: list[YokedCache], redis_server: RedisServer, tmp_path: Path
) -> None:
    # as if they were made in another process than the tests before
    stores: Any = [user_of(cache).machine.store for cache in applications]
    first, second = stores
    engine = create_engine(f"sqlite:///{tmp_path}/shop.db")
    with applications[0].attach(sessionmaker(engine))() as session:
        session.execute(text("SELECT 1")).all()
    later = YokedCache(redis_server.url())
    signed: Any = first.belonging.sign(())
    assert signed == second.belonging.sign(()) != []
    met: Any = later.machine.store.belonging
    assert not met.strange(signed)
    assert met.strange([b"another"])
    later.sync.close()
    engine.dispose()


def test_who_uses_no_database_is_a_part_of_all(
    applications: list[YokedCache],
) -> None:
    shop, worker = user_of(applications[0], "pg:shop"), user_of(applications[1])
    shop.sync.set("user:1", "of the shop")
    assert worker.sync.get("user:1") == "of the shop"
    worker.sync.set("user:1", "of the worker")
    assert shop.sync.get("user:1") == "of the worker"


def test_processes_of_one_application_share_what_they_set(
    applications: list[YokedCache],
) -> None:
    web = user_of(applications[0], "pg:shop")
    worker = user_of(applications[1], "pg:reports", "pg:shop")
    web.sync.set("user:1", "of the shop")
    assert worker.sync.get("user:1") == "of the shop"
    assert worker.sync.delete("user:1")
    assert web.sync.get("user:1") is None


def test_applications_that_name_a_prefix_share_what_they_set(
    redis_server: RedisServer,
) -> None:
    url = f"{redis_server.url()}?prefix=both"
    shop, blog = (
        user_of(YokedCache(url, lease=0.2, store_timeout=10.0), identity, marks=False)
        for identity in ("pg:shop", "pg:blog")
    )
    shop.sync.set("user:1", "of the shop")
    assert blog.sync.get("user:1") == "of the shop"
    for cache in (shop, blog):
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
