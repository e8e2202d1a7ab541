"""
A cache that keeps nothing: everything goes through, and is counted as such.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session, sessionmaker

from tests.support.models import Base, User
from yokedcache import YokedCache, cached
from yokedcache.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def off() -> Iterator[YokedCache]:
    cache = YokedCache("null://")
    yield cache
    cache.sync.close()


def test_keys_are_not_kept(off: YokedCache) -> None:
    assert not off.sync.set("a", 1)
    assert off.sync.get("a", "nothing") == "nothing"
    assert [off.sync.get_or_set("a", lambda: 2) for _ in range(2)] == [2, 2]
    assert not off.sync.delete("a")
    off.sync.invalidate_tags("t")
    off.sync.clear()
    assert off.sync.explain("a").reason == "switched_off"
    assert off.stats().by_name["keys"].refusals["switched_off"] == 3
    assert off.stats().entries == 0


def test_functions_run_each_time(off: YokedCache) -> None:
    calls: list[int] = []

    @cached(cache=off)
    def function(n: int) -> list[int]:
        calls.append(n)
        return calls

    @cached(cache=off)
    async def afunction(n: int) -> int:
        calls.append(n)
        return n

    assert function(1) is function(1) is calls
    assert asyncio.run(afunction(2)) == asyncio.run(afunction(2)) == 2
    assert calls == [1, 1, 2, 2]
    assert off.stats().total.bypasses == {"switched_off": 4}
    assert off.stats().total.hits == 0
    told = off.sync.explain(function, 1)
    assert not told.served
    assert told.reason == "switched_off"


def test_statements_go_to_the_database(off: YokedCache) -> None:
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    attached = off.attach(sessionmaker(engine))
    with attached.begin() as session:
        session.add(User(id=1, name="old"))
    for name in ("old", "new"):
        with Session(engine) as session, session.begin():
            session.get_one(User, 1).name = name
        for _ in range(2):
            with attached() as session:
                assert session.scalars(select(User.name)).one() == name
    counts = off.stats().by_name["statements"]
    assert counts.bypasses == {"switched_off": 4}
    with attached() as session:
        told = off.sync.explain(select(User.name), session)
    assert (told.served, told.reason) == (False, "switched_off")
    engine.dispose()


def test_it_has_settings_and_no_host() -> None:
    cache = YokedCache("null://?ttl=5m", verify=0.5)
    assert cache.settings.ttl == 300.0
    assert cache.settings.verify == 0.5
    cache.sync.close()
    with pytest.raises(SettingsError, match="null:// URL names no host"):
        YokedCache("null://host")
