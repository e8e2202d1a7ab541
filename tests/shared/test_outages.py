"""
What becomes of commits and hits at the end of an outage.

Found by the history check: `make consistency ARGS="--fault stopped --fault cut"`.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, insert, update
from sqlalchemy.orm import Session

from tests.services.processes import wait_until
from tests.services.proxy import Proxy
from tests.support.models import Base, User
from yokedcache import YokedCache
from yokedcache.core import doubt
from yokedcache.core.breaker import FAILURES
from yokedcache.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from tests.services.redis import RedisServer

RENAME = update(User).where(User.id == 1).values(name="new")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = create_engine(f"sqlite:///{tmp_path}/app.db")
    Base.metadata.create_all(made)
    with made.begin() as connection:
        connection.execute(insert(User).values(id=1, name="old"))
    yield made
    made.dispose()


@pytest.fixture
def open_through(
    redis_server: RedisServer,
) -> Iterator[Callable[..., tuple[YokedCache, Proxy]]]:
    """
    Give a function that opens a cache, with its own way to the server.
    """
    opened: list[tuple[YokedCache, Proxy]] = []

    def make(**settings: Any) -> tuple[YokedCache, Proxy]:
        proxy = Proxy((redis_server.host, redis_server.port)).__enter__()
        given = {"lease": 0.5, "store_timeout": 0.5, "jitter": 0.0, **settings}
        cache = YokedCache(redis_server.url(port=proxy.port), **given)
        opened.append((cache, proxy))
        wait_until(lambda: cache.sync.set("settled", 1))
        return opened[-1]

    yield make
    for cache, proxy in opened:
        proxy.restore()
        cache.sync.close()
        proxy.close()


def cut(proxy: Proxy) -> None:
    proxy.refuse()
    proxy.cut()


def rename(engine: Engine) -> None:
    with Session(engine) as session:
        session.execute(RENAME)
        session.commit()


def committing(engine: Engine) -> tuple[threading.Thread, list[StoreError]]:
    """
    Commit in a thread of its own; give that, and where it says why it was refused.
    """
    failed: list[StoreError] = []

    def commit() -> None:
        try:
            rename(engine)
        except StoreError as error:
            failed.append(error)

    writer = threading.Thread(target=commit)
    writer.start()
    return writer, failed


def test_commit_waits_for_a_server_that_is_soon_back(
    engine: Engine, open_through: Any
) -> None:
    cache, proxy = open_through(on_unreachable="refuse", announce_timeout=20.0)
    cut(proxy)
    writer, failed = committing(engine)
    wait_until(lambda: cache.stats().store_failures > 0)
    proxy.restore()
    writer.join(30)
    assert failed == []
    assert cache.stats().owed == 0


@pytest.mark.parametrize("setting", ["commit", "refuse"])
def test_hole_22_commit_that_is_through_returns_and_its_fence_stays(
    engine: Engine, open_through: Any, setting: str
) -> None:
    cache, proxy = open_through(on_unreachable=setting, announce_timeout=0.2)
    witness, _ = open_through(store_timeout=10.0)

    class Cutting(sqlite3.Connection):
        def commit(self) -> None:
            if self.in_transaction:
                cut(proxy)  # the fence is up, and the COMMIT not sent yet
            super().commit()

    cutting = create_engine(engine.url, connect_args={"factory": Cutting})
    rename(cutting)
    cutting.dispose()
    assert cache.stats().owed == 1
    (table,) = [n for n in cache.machine.store.names() if n.startswith("table:users@")]
    assert not witness.sync.set("old", 1, tags=[table])
    proxy.restore()
    wait_until(lambda: cache.stats().owed == 0)
    wait_until(lambda: witness.sync.set("new", 1, tags=[table]))


def test_hole_22_what_an_outage_costs_a_commit_it_costs_once(
    engine: Engine, open_through: Any
) -> None:
    cache, proxy = open_through(announce_timeout=0.2, store_timeout=0.2)
    proxy.hold()  # whoever asks waits as long as it may
    rename(engine)
    began = time.monotonic()
    with Session(engine) as session:
        for number in range(20):
            session.execute(RENAME)
            session.add(User(name=str(number)))
            session.flush()
        session.commit()
    assert time.monotonic() - began < 20 * 0.2 / 2
    assert cache.stats().owed > 0


def test_commit_after_an_outage_is_announced(engine: Engine, open_through: Any) -> None:
    cache, proxy = open_through(on_unreachable="refuse", announce_timeout=0.2)
    cut(proxy)
    for _ in range(6):
        with pytest.raises(StoreError):
            rename(engine)
    proxy.restore()
    # nobody has found out yet that it is over: the store would still be left alone
    rename(engine)
    wait_until(lambda: cache.stats().owed == 0)


def test_hole_22_nothing_is_served_until_others_have_told_of_their_changes(
    redis_server: RedisServer, open_through: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubt, "SECONDS", 60.0)
    writer, cut_off = open_through(announce_timeout=0.2)
    reader, proxy = open_through(announce_timeout=0.2)
    witness = YokedCache(redis_server.url(), lease=0.5, store_timeout=10.0)
    assert writer.sync.set("a", 1, tags=["t"])
    assert reader.sync.get("a") == 1
    for one in (cut_off, proxy):
        cut(one)
    writer.sync.invalidate_tags("t")
    assert writer.stats().owed == 1
    for _ in range(5):
        assert reader.sync.get("a") is None
    proxy.restore()
    # it can be asked again, and has not heard yet
    wait_until(lambda: reader.sync.set("again", 1))
    assert witness.sync.get("a") == 1
    assert reader.sync.get("a") is None
    cut_off.restore()
    wait_until(lambda: writer.stats().owed == 0)
    assert witness.sync.get("a") is None
    witness.sync.close()


def test_who_asked_once_in_vain_has_noticed_the_outage(
    open_through: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubt, "SECONDS", 60.0)
    settings = {"announce_timeout": 0.4, "store_timeout": 0.2}
    writer, cut_off = open_through(**settings)
    reader, proxy = open_through(**settings)
    assert writer.sync.set("a", 1, tags=["t"])
    assert reader.sync.get("a") == 1
    for one in (cut_off, proxy):
        cut(one)
    writer.sync.invalidate_tags("t")
    assert writer.stats().owed == 1
    failed = reader.stats().store_failures
    assert reader.sync.get("a") is None
    assert reader.stats().store_failures == failed + 1
    proxy.restore()
    assert reader.sync.get("a") is None
    cut_off.restore()


def test_a_look_up_that_failed_between_others_is_no_outage(open_through: Any) -> None:
    reader, proxy = open_through(announce_timeout=60.0)
    assert reader.sync.set("a", 1)
    proxy.cut()
    reader.sync.get("a")
    wait_until(lambda: reader.sync.get("a") == 1)


def test_an_outage_so_soon_after_another_is_one_of_its_own(
    open_through: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, proxy = open_through(announce_timeout=0.2)
    now = [100.0]
    server: Any = cache.machine.store.server
    for clock in (server, server._doubt):
        monkeypatch.setattr(clock, "_clock", lambda: now[0])
    cut(proxy)
    for _ in range(5):
        assert cache.sync.get("settled") is None
    proxy.restore()
    wait_until(lambda: cache.sync.set("again", 1))
    # nothing is looked up while it isn't relied on, so this one is met by a single load
    now[0] += 0.9 * doubt.SECONDS
    cut(proxy)
    failures = cache.stats().store_failures
    assert cache.sync.get_or_set("other", lambda: 2) == 2
    assert cache.stats().store_failures - failures < FAILURES
    proxy.restore()
    now[0] += 0.9 * doubt.SECONDS
    wait_until(lambda: cache.sync.set("again", 3))
    assert cache.sync.get("settled") is None
    now[0] += 1.1 * doubt.SECONDS
    assert cache.sync.get("settled") == 1


def test_commit_insists_again_once_an_outage_is_over(
    engine: Engine, open_through: Any
) -> None:
    cache, proxy = open_through(on_unreachable="refuse", announce_timeout=0.2)
    cut(proxy)
    for _ in range(4):
        with pytest.raises(StoreError):
            rename(engine)
    proxy.restore()
    wait_until(lambda: cache.sync.get("settled") == 1)
    cut(proxy)  # before anything was announced
    server = cache.machine.store.server
    server._patience = 20.0
    failures = cache.stats().store_failures
    writer, failed = committing(engine)
    wait_until(lambda: cache.stats().store_failures > failures)
    proxy.restore()
    writer.join(30)
    assert failed == []


def test_hits_come_back_after_an_outage(
    open_through: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubt, "SECONDS", 0.2)
    cache, proxy = open_through(announce_timeout=0.2)
    cut(proxy)
    for _ in range(5):
        assert cache.sync.get("settled") is None
    proxy.restore()
    wait_until(lambda: cache.sync.get("settled") == 1)


def test_reads_alone_find_out_that_a_second_outage_is_over(
    open_through: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A look-up that is refused must not use up the try that a load would make.
    """
    cache, proxy = open_through(announce_timeout=0.2)
    now = [100.0]
    server: Any = cache.machine.store.server
    breakers = (server._asking, server._storing, server._announcing)
    for clock in (server, server._doubt, *breakers):
        monkeypatch.setattr(clock, "_clock", lambda: now[0])

    def read() -> None:
        cache.sync.get_or_set("read", lambda: 1)

    cut(proxy)
    for _ in range(5):
        read()
    proxy.restore()
    now[0] += 10.0
    wait_until(lambda: cache.sync.set("again", 1))
    cut(proxy)
    for _ in range(5):
        read()
    proxy.restore()
    for _ in range(200):
        now[0] += 0.1
        read()
    assert cache.sync.get("read") == 1
