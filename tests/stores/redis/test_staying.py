"""
Connections that stay open in an event loop: what goes over them, and who has them next.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.services.processes import wait_until
from yokedcache.errors import StoreError
from yokedcache.stores.redis import lasting
from yokedcache.stores.redis.aio import AsyncRedisStore
from yokedcache.stores.redis.aio_client import connect
from yokedcache.stores.redis.commands import Commands
from yokedcache.stores.redis.incarnation import TRUSTED
from yokedcache.stores.redis.layout import Layout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.services.redis import RedisServer
    from yokedcache.stores.redis.lasting import Lasting

LONG = 30.0


def stays(face: Any) -> list[Any]:
    """
    List what stays open in a store's event loop.
    """
    return list(face.store.lines.free)


def places(face: Any) -> int:
    """
    Count the connections that may yet be opened, or used for something else.
    """
    return int(face.store.lines._places) + len(stays(face))


@pytest.fixture
def staying(redis_server: RedisServer, open_face: Callable[..., Any]) -> Any:
    """
    Give a store in an event loop with an entry that was read, so that one stays.
    """
    face = open_face(redis_server)
    face.settle()
    face.fill("k", b"v", "a")
    assert face.read("k", "a") == b"v"
    assert len(stays(face)) == 1
    return face


in_a_loop = pytest.mark.parametrize("face_kind", ["async"])


@in_a_loop
def test_the_same_connection_is_asked_again(staying: Any) -> None:
    before = stays(staying)
    assert staying.read("k", "a") == b"v"
    assert staying.read("k") == b"v"  # which asks for the tags afterwards
    assert stays(staying) == before


@in_a_loop
def test_one_that_was_closed_meanwhile_costs_no_answer(staying: Any) -> None:
    (before,) = stays(staying)
    free = places(staying)
    staying.server.say("CLIENT", "KILL", "TYPE", "normal")
    assert staying.read("k", "a") == b"v"
    assert stays(staying) != [before]
    for _ in range(3):  # told of it before it is asked
        staying.server.say("CLIENT", "KILL", "TYPE", "normal")
        staying.idle()
        assert staying.read("k", "a") == b"v"
    staying.idle()
    assert places(staying) == free


@in_a_loop
def test_whatever_is_asked_goes_over_it(
    staying: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def another(*_: Any) -> None:
        pytest.fail("a connection was taken from the pool")

    before = stays(staying)
    monkeypatch.setattr(staying.store, "_using", another)
    assert staying.put("k", b"w", staying.stamp("a")) is None
    assert staying.lift(staying.fence("b")) == 0
    assert staying.read("k", "a") == b"w"
    assert stays(staying) == before


@in_a_loop
def test_a_change_isnt_sent_over_one_that_was_closed_meanwhile(staying: Any) -> None:
    free = places(staying)
    for _ in range(3):
        staying.server.say("CLIENT", "KILL", "TYPE", "normal")
        assert staying.lift(staying.fence("b")) == 0
    staying.idle()
    assert places(staying) == free


@in_a_loop
def test_a_late_answer_answers_nobody_else(staying: Any) -> None:
    staying.fill("other", b"other", "a")
    free = places(staying)
    with staying.server.suspended(), pytest.raises(StoreError, match="in time"):
        staying.do(staying.commands.read("k", ["a"]), 0.05)
    assert staying.read("other", "a") == b"other"
    assert staying.read("k", "a") == b"v"
    assert places(staying) == free


@in_a_loop
def test_as_many_stay_as_may(staying: Any) -> None:
    async def crowd() -> None:
        # a turn of the loop has one connection: so many in as many turns
        asked = []
        for number in range(40):
            read = staying.commands.read(f"k{number}")
            asked.append(asyncio.ensure_future(staying.store.perform(read)))
            await asyncio.sleep(0)
        await asyncio.gather(*asked)

    free = places(staying)
    for _ in range(3):
        staying.run(crowd())
    staying.idle()
    assert stays(staying)
    assert places(staying) == free


@in_a_loop
def test_what_was_given_up_sends_nothing_more(staying: Any) -> None:
    free = places(staying)

    def evaluated() -> int:
        stat = str(staying.server.info("commandstats")["cmdstat_evalsha"])
        return int(stat.removeprefix("calls=").partition(",")[0])

    async def given_up() -> None:
        # whom the connection leads to is asked first, and answered when nobody waits
        fence = staying.commands.fence(["b"], b"given-up")
        task = asyncio.ensure_future(staying.store.perform(fence))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    before = evaluated()
    time.sleep(2 * TRUSTED)

    def heard() -> bool:
        staying.idle()
        return places(staying) == free

    staying.run(given_up())
    wait_until(heard)
    assert evaluated() == before
    assert staying.read("k", "a") == b"v"


@asynccontextmanager
async def cutting(
    server: RedisServer, word: bytes
) -> AsyncIterator[tuple[int, list[int]]]:
    """
    Give the port of a way to a server that ends where a word is sent, and how often.
    """
    heard: list[int] = []

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            if word in data:
                heard.append(len(heard))
                break
            sink.write(data)
        sink.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(server.host, server.port)
        await asyncio.gather(pump(reader, back), pump(there, writer))

    way = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with way:
        yield way.sockets[0].getsockname()[1], heard


@pytest.mark.anyio
async def test_a_look_up_is_sent_again_once(redis_server: RedisServer) -> None:
    commands = Commands(Layout("again"))
    async with cutting(redis_server, b"MGET") as (port, heard):
        store = AsyncRedisStore(connect(redis_server.url(port=port)), limit=LONG)
        notes = [store.perform(commands.note()) for _ in range(8)]
        await asyncio.gather(*notes)
        assert len(store.lines.free) == 8
        with pytest.raises(StoreError, match="can't be reached to read"):
            await store.perform(commands.read("k", ["a"]))
        assert len(heard) == 2
        await store.aclose()
        with pytest.raises(StoreError, match="closed"):
            await store.perform(commands.read("k", ["a"]))
        assert len(heard) == 2


@in_a_loop
def test_who_is_handed_one_that_was_closed_keeps_his_turn(
    redis_server: RedisServer, open_face: Callable[..., Any]
) -> None:
    face = open_face(redis_server, max_connections=1)
    done: list[int] = []
    lines = face.store.lines
    give = lines.give

    def given(line: Lasting) -> None:
        give(line)
        line.lost = True  # as it is told that it was, a moment later
        lines.give = give

    async def ask(number: int) -> None:
        await face.store.perform(face.commands.note())
        done.append(number)

    async def crowd() -> None:
        await asyncio.gather(*map(ask, range(5)))

    lines.give = given
    face.run(crowd())
    assert done == [0, 1, 2, 3, 4]


@in_a_loop
def test_without_hiredis_none_stays(
    redis_server: RedisServer,
    open_face: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lasting, "_hiredis", None)
    face = open_face(redis_server)
    face.settle()
    face.fill("k", b"v", "a")
    free = places(face)
    for _ in range(3):
        assert face.read("k", "a") == b"v"
    assert stays(face) == []
    assert places(face) == free
