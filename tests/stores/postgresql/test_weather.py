"""
Servers that hang, start again, follow another one or want another password.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.services.processes import wait_until
from tests.support.postgres_stores import SCHEMA, Server, Store, empty, filled
from yokedcache import YokedCache
from yokedcache.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from yokedcache.testing.stores import Process

pytestmark = pytest.mark.timeout(120)

PROMPT = 5.0
"""Seconds within which what has a limit of a tenth comes back, on a busy machine."""


def works(process: Process) -> bool:
    try:
        return process.fill("new", b"y", "t") is None
    except StoreError:
        return False


def opened(store: Store, **settings: Any) -> YokedCache:
    given = {"lease": 0.5, "store_timeout": 1.0, "announce_timeout": 1.0, **settings}
    cache = YokedCache(store.database.url(), jitter=0.0, **given)
    wait_until(lambda: cache.sync.set("settled", 1, tags=["t"]))
    return cache


def test_one_that_hangs_costs_no_more_than_the_limit(
    server: Server, broken: Store, face: str
) -> None:
    one = broken.open(face)
    broken.settle(one)
    version = filled(one)
    with server.suspended():
        for tried in range(4):  # over the connection that there was, and over new ones
            began = time.monotonic()
            with pytest.raises(StoreError, match="in time"):
                one.do(one.commands.read("k", ["t"]), 0.1)
            assert time.monotonic() - began < PROMPT, tried
        with pytest.raises(StoreError, match="in time"):
            one.do(one.commands.fence(["u"], b"late"), 0.1)
    # it has forgotten nothing, and nobody is answered what another has asked
    assert one.read("k", "t") == b"x"
    assert one.stamp("t").vector.versions == [version]
    wait_until(lambda: broken.sessions() <= 1)


def test_a_cache_goes_on_while_it_hangs(server: Server, broken: Store) -> None:
    one = opened(broken, store_timeout=0.1, announce_timeout=0.3)
    other = opened(broken, store_timeout=10.0)
    with server.suspended():
        began = time.monotonic()
        assert all(one.sync.get("settled") is None for _ in range(100))
        # three, and one now and then: the breaker leaves the others out
        assert time.monotonic() - began < 100 * 0.1 / 2
        began = time.monotonic()
        one.sync.invalidate_tags("t")
        assert time.monotonic() - began < PROMPT
        assert one.stats().owed == 1
    wait_until(lambda: one.stats().owed == 0)
    assert other.sync.get("settled") is None
    wait_until(lambda: one.sync.set("settled", 2, tags=["t"]))
    wait_until(lambda: one.sync.get("settled") == 2)
    assert other.sync.get("settled") == 2
    one.sync.close()
    other.sync.close()


def test_a_commit_goes_on_over_a_start(server: Server, broken: Store) -> None:
    one, other = opened(broken), opened(broken)
    assert other.sync.get("settled") == 1
    fence = one.machine.store.fence(["t"])
    server.restart()
    # all is still in its tables, and nothing of it is believed
    kept = f"SELECT count(*) > 0 FROM {SCHEMA.replace('suite', 'yc')}.entries"
    assert broken.say(kept) == [(True,)]
    began = time.monotonic()
    while time.monotonic() - began < 1.5:  # three leases
        for cache in (one, other):
            assert not cache.sync.set("settled", 2, tags=["t"])
            assert cache.sync.get("settled") is None
    for cache in (one, other):  # it is the fence that keeps them from it
        wait_until(partial(cache.sync.set, "else", 2, tags=["u"]))
        assert not cache.sync.set("settled", 2, tags=["t"])
    one.machine.store.lift(fence)
    wait_until(lambda: other.sync.set("settled", 3, tags=["t"]))
    wait_until(lambda: one.sync.get("settled") == 3)
    assert one.stats().owed == other.stats().owed == 0
    one.sync.close()
    other.sync.close()


def test_another_password(server: Server, broken: Store, face: str) -> None:
    rules = server.data / "pg_hba.conf"
    before = rules.read_text()
    broken.say("CREATE ROLE guest LOGIN PASSWORD 'one-secret'")
    broken.say(f"GRANT CREATE ON DATABASE {broken.database.name} TO guest")
    rules.write_text(f"host all guest 127.0.0.1/32 scram-sha-256\n{before}")
    try:
        broken.say("SELECT pg_reload_conf()")
        one = broken.open(face, url=as_guest(broken, "one-secret"))
        wait_until(lambda: refused(broken, face, "none"))
        one.bump()
        broken.settle(one)
        filled(one)
        broken.say("ALTER ROLE guest PASSWORD 'two-secret'")
        assert one.read("k", "t") == b"x"  # who is in stays in
        end_sessions(broken)
        with pytest.raises(StoreError, match="password") as raised:
            one.read("k", "t")
        assert "secret" not in str(raised.value)
        new = broken.open(face, url=as_guest(broken, "two-secret"))
        assert new.read("k", "t") == b"x"
        broken.say("ALTER ROLE guest PASSWORD 'one-secret'")
        assert one.read("k", "t") == b"x"
    finally:
        rules.write_text(before)
        broken.say("SELECT pg_reload_conf()")
    for process in broken.opened:
        process.close()
    broken.say(f"DROP SCHEMA {SCHEMA} CASCADE; DROP OWNED BY guest; DROP ROLE guest")


def as_guest(store: Store, password: str) -> str:
    server = store.database.server
    where = f"{server.host}:{server.port}/{store.database.name}"
    return f"postgresql://guest:{password}@{where}"


def refused(store: Store, face: str, password: str) -> bool:
    process = store.open(face, url=as_guest(store, password))
    try:
        process.do(process.commands.note())
    except StoreError:
        return True
    finally:
        process.close()
    return False


def end_sessions(store: Store) -> None:
    store.say(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE application_name = 'yokedcache'"
    )


@pytest.fixture
def follower(server: Server, broken: Store) -> Iterator[Store]:
    """
    Give what a standby has of a store, which follows with whatever delay it likes.
    """
    one = broken.open()
    broken.settle(one)
    filled(one)
    one.close()
    with server.standby() as standby:
        store = Store(type(broken.database)(standby.server, broken.database.name))
        yield store
        store.close()


def test_a_standby_serves_nothing_and_has_nothing_once_it_is_the_primary(
    broken: Store, follower: Store, face: str
) -> None:
    one, there = broken.open(face), follower.open(face)
    version = one.stamp("t").vector.versions[0]
    operations = [
        there.commands.read("k", ["t"]),
        there.commands.stamp(["t"]),
        there.commands.bump(["t"]),
        there.commands.note(),
    ]
    for operation in operations:
        with pytest.raises(StoreError, match="has to be a primary"):
            there.do(operation)
    one.bump("t")  # which nobody over there hears of
    follower.say("SELECT pg_promote()")
    empty(there, version)
    follower.settle(there)
    wait_until(lambda: works(there))
    assert there.read("new", "t") == b"y"
