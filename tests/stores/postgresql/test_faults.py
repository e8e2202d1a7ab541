"""
Servers that don't answer, refuse, or have something else where our tables should be.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.services.processes import wait_until
from tests.services.proxy import Proxy, Way
from tests.support.postgres_stores import NIGHT, SCHEMA, Store
from yokedcache.errors import StoreError
from yokedcache.stores.postgresql import links
from yokedcache.stores.postgresql.layout import numbers, place
from yokedcache.testing.stores.processes import TIMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services.redis import RedisServer
    from yokedcache.testing.stores import Process

PROMPT = 5.0
"""Seconds within which what has a limit of a tenth comes back, on a busy machine."""


@pytest.fixture
def proxy(store: Store) -> Iterator[Proxy]:
    server = store.database.server
    with Proxy((server.host, server.port)) as running:
        yield running


def through(store: Store, proxy: Proxy, face: str) -> Process:
    url = f"postgresql://postgres@{proxy.host}:{proxy.port}/{store.database.name}"
    return store.open(face, url=url)


# the way to it


def test_one_that_hangs_costs_no_more_than_the_limit(
    store: Store, proxy: Proxy, face: str
) -> None:
    one = through(store, proxy, face)
    store.settle(one)
    assert one.fill("k", b"x", "t") is None
    proxy.hold()
    for tried in range(3):  # over the connection that there was, and over new ones
        began = time.monotonic()
        with pytest.raises(StoreError, match="in time"):
            one.do(one.commands.read("k", ["t"]), 0.1)
        assert time.monotonic() - began < PROMPT, tried
    proxy.restore()
    # what was asked in vain is answered to nobody
    assert one.read("k", "t") == b"x"
    assert one.read("other", "t") == "absent"


def test_something_else_listens_there(
    store: Store, redis_server: RedisServer, face: str
) -> None:
    address = f"{redis_server.host}:{redis_server.port}"
    one = store.open(face, url=f"postgresql://me:s3cret@{address}/x")
    with pytest.raises(StoreError) as caught:
        one.do(one.commands.read("k", ["t"]), 0.1)
    assert f"{address}/x didn't read in time; nothing has answered" in str(caught.value)
    assert "scheme" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_one_that_answered_before_is_what_it_is(
    store: Store, proxy: Proxy, face: str
) -> None:
    one = through(store, proxy, face)
    store.settle(one)
    proxy.hold()
    with pytest.raises(StoreError, match="in time") as caught:
        one.do(one.commands.read("k", ["t"]), 0.1)
    assert "scheme" not in str(caught.value)


def test_a_connection_that_is_cut_is_opened_again(
    store: Store, proxy: Proxy, face: str
) -> None:
    one = through(store, proxy, face)
    store.settle(one)
    assert one.fill("k", b"x", "t") is None
    proxy.cut()
    assert one.read("k", "t") == b"x"  # it was left there: another one is tried
    proxy.cut_after(0, Way.TO_CLIENT)
    fence = one.fence("t")  # done, and its answer lost: so it was asked again
    assert one.lift(fence) == 0
    assert one.stamp("t").unusable is None
    proxy.cut_after(20, Way.TO_CLIENT)
    assert one.read("k", "t") == "changed"
    proxy.cut()
    proxy.refuse()
    with pytest.raises(StoreError, match="can't be reached"):
        one.read("k", "t")
    proxy.accept()
    assert one.read("k", "t") == "changed"


@pytest.mark.parametrize("way", [Way.TO_CLIENT, Way.TO_SERVER])
def test_a_connection_that_is_cut_anywhere_in_the_middle(
    store: Store, proxy: Proxy, face: str, way: Way
) -> None:
    one, witness = through(store, proxy, face), store.open()
    store.settle(one)
    payload = bytes(range(256)) * 1000
    assert one.fill("k", payload, "t") is None
    for count in (1, 4, 30, 90, 150, 10_000, 200_000) if NIGHT else (4, 90, 10_000):
        proxy.cut_after(count, way)
        assert one.read("k", "t") == payload, count
        proxy.cut_after(count, way)
        fence = one.fence("u")
        assert witness.stamp("u").unusable == "commit_in_flight", count
        proxy.cut_after(count, way)
        one.lift(fence)
        assert witness.stamp("u").unusable is None, count
        proxy.cut_after(count, way)
        assert one.put("l", payload, one.stamp("u")) is None, count
        assert witness.read("l", "u") == payload, count


def test_a_connection_that_takes_longer_than_a_look_up_is_opened_by_several(
    store: Store, proxy: Proxy, face: str
) -> None:
    store.open().bump()
    one = through(store, proxy, face)
    proxy.delay(to_client=0.2)
    tries = 0

    def told() -> bool:
        nonlocal tries
        tries += 1
        try:
            return bool(one.do(one.commands.note(), 0.25))
        except StoreError:
            return False

    wait_until(told)
    assert tries > 1
    assert proxy.seen.connections < tries


def test_a_session_that_the_server_ends(store: Store, face: str) -> None:
    one = store.open(face)
    store.settle(one)
    assert one.fill("k", b"x", "t") is None
    store.say(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE application_name = 'yokedcache'"
    )
    assert one.read("k", "t") == b"x"


@pytest.mark.parametrize(
    "hold",
    [
        f"LOCK TABLE {SCHEMA}.tags",
        f"SELECT pg_advisory_xact_lock(hashtextextended('yokedcache {SCHEMA}', 0))",
    ],
    ids=["a table", "the making"],
)
def test_who_has_given_up_does_not_wait_in_the_server(
    store: Store, face: str, hold: str
) -> None:
    one = store.open(face)
    if "LOCK TABLE" in hold:
        store.settle(one)
    with store.connect() as holder, holder.transaction():
        holder.execute(hold)
        for asked in (one.commands.read("k", ["t"]), one.commands.note()):
            for _ in range(links.MOST):
                with pytest.raises(StoreError, match="in time"):
                    one.do(asked, 0.1)
        wait_until(lambda: store.waiting() == 0)
    assert one.read("k", "t") == "absent"


def test_who_gives_up_leaves_nothing_to_others(store: Store) -> None:
    process = store.open("async")
    store.settle(process)
    assert process.fill("k", b"x", "t") is None
    client, commands = process.client, process.commands

    async def given_up() -> None:
        reads = [commands.read("k", ["t"]), commands.note()] * 3
        for pause in range(6):
            asking = [
                asyncio.ensure_future(client.perform_async(read, 20.0))
                for read in reads
            ]
            for _ in range(pause):
                await asyncio.sleep(0)
            for one in asking[::2]:
                one.cancel()
            done = await asyncio.gather(*asking, return_exceptions=True)
            for place_of, found in enumerate(done):
                if isinstance(found, asyncio.CancelledError):
                    continue
                assert isinstance(found, bytes) is bool(place_of % 2)
        await client.close_async()

    asyncio.run(given_up())
    process.close()
    wait_until(lambda: store.sessions() == 0)


def test_many_at_once_have_each_their_own_answer(store: Store, face: str) -> None:
    one = store.open(face)
    store.settle(one)
    keys = [f"k{number}" for number in range(20)]
    for key in keys:
        one.fill(key, key.encode() * 50, "t")
    reads = [one.commands.read(key, ["t"]) for key in keys]
    found: list[Any] = [None] * len(keys)

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(
            *(one.client.perform_async(read, 20.0) for read in reads)
        )

    def ask(at: int) -> None:
        found[at] = one.client.perform(reads[at], 20.0)

    if face == "async":
        found = one._runner.run(all_at_once())  # type: ignore[union-attr]
    else:
        threads = [threading.Thread(target=ask, args=(at,)) for at in range(len(keys))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [hit.payload for hit in found] == [key.encode() * 50 for key in keys]
    assert store.sessions() <= links.MOST


# what it is, and who may do what


def test_many_processes_begin_at_once(store: Store) -> None:
    processes = [store.open() for _ in range(8)]
    gate = threading.Barrier(len(processes))
    versions: list[bytes] = []

    def begin(process: Process) -> None:
        gate.wait()
        versions.append(process.bump())

    threads = [threading.Thread(target=begin, args=(p,)) for p in processes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(versions)) == len(processes)
    assert len({version.partition(b".")[0] for version in versions}) == 1
    for process in processes:
        process.close()


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (f"CREATE TABLE {SCHEMA}.users ()", "holds something else"),
        (
            (
                f"CREATE TABLE {SCHEMA}.tags (); "
                f"COMMENT ON TABLE {SCHEMA}.tags IS 'yokedcache 0'"
            ),
            "another version of yokedcache",
        ),
    ],
)
def test_a_schema_of_something_else_is_left_alone(
    store: Store, before: str, said: str
) -> None:
    store.say(f"CREATE SCHEMA {SCHEMA}; {before}")
    one = store.open()
    with pytest.raises(StoreError, match=said):
        one.read("k", "t")
    names = store.say(
        f"SELECT count(*) FROM pg_class WHERE relnamespace = '{SCHEMA}'::regnamespace"
    )
    assert names == [(1,)]


def test_two_prefixes_see_nothing_of_each_other(store: Store) -> None:
    others = [Store(store.database, prefix) for prefix in ("Shop", "shop", "s" * 99)]
    for prefix in others:
        process = prefix.open()
        process.bump()
        assert process.read("k", "t") == "absent"
        process.close()
    one = store.open()
    store.settle(one)
    assert one.fill("k", b"x", "t") is None
    for prefix in others:
        process = prefix.open()
        assert process.read("k", "t") == "absent"
        process.bump("t")
        store.say(f"DROP SCHEMA {process.commands.schema} CASCADE")  # type: ignore[attr-defined]
        process.close()
    assert one.read("k", "t") == b"x"


# what lies there


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE {0}.tags SET version = 'x' WHERE digest = {1}",
        "UPDATE {0}.tags SET version = version || E' \\n' WHERE digest = {1}",
        "UPDATE {0}.tags SET fences = '{{}}' WHERE digest = {1}",
        "UPDATE {0}.tags SET fences = ARRAY[NULL::{0}.listed] WHERE digest = {1}",
        "UPDATE {0}.entries SET versions = '{{}}' WHERE id = {2}",
        "UPDATE {0}.entries SET versions = '{{NULL}}' WHERE id = {2}",
        "UPDATE {0}.entries SET digests = '{{NULL}}' WHERE id = {2}",
        "UPDATE {0}.entries SET digests = '{{7}}' WHERE id = {2}",
        "UPDATE {0}.entries SET key = 'x' WHERE id = {2}",
        "UPDATE {0}.entries SET mark = 'x' WHERE id = {2}",
    ],
)
def test_what_cannot_be_read_is_a_miss_and_heals(store: Store, change: str) -> None:
    one = store.open(lease=0.05)
    store.settle(one)
    wait_until(lambda: one.fill("k", b"x", "t") is None)
    (number,) = numbers(one.commands.tags(["t"]).digests)
    store.say(change.format(SCHEMA, number, place("k").row))
    assert isinstance(one.read("k", "t"), str)
    assert isinstance(one.read("k"), str)
    one.bump("u")
    wait_until(lambda: one.fill("k", b"y", "t") is None)
    assert one.read("k", "t") == b"y"


def test_what_has_ended_goes_by_itself(store: Store) -> None:
    one = store.open(lease=0.01)
    store.settle(one)
    stamp = one.stamp(*(f"t{number}" for number in range(40)), keep=0.01)
    for number in range(40):
        storing = one.commands.store(f"k{number}", b"x", stamp, TIMES, life=0.01)
        one.do(storing)
        one.do(one.commands.claim(f"k{number}", one.commands.tags([]), b"me"))

    def swept() -> bool:
        one.bump()
        one.do(one.commands.store("k", b"x", one.stamp(), TIMES, life=60.0))
        one.do(one.commands.claim("l", one.commands.tags([]), b"me"))
        left = "SELECT count(*) FROM {0}.{1} WHERE ends < {0}.now() - 5000"
        return all(
            store.say(left.format(SCHEMA, name).replace("5000", "50")) < [(4,)]
            for name in ("tags", "entries", "claims")
        )

    wait_until(swept)
