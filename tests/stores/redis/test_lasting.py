"""
Connections that stay: read where bytes arrive, in pieces, late, or never.

What a real server would hardly say is said by one that follows a script.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import redis.asyncio
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import InvalidResponse

from tests.services.processes import wait_until
from yokedcache.errors import StoreError
from yokedcache.stores.redis import lasting
from yokedcache.stores.redis.aio import AsyncRedisStore
from yokedcache.stores.redis.aio_client import PLAIN, connect
from yokedcache.stores.redis.commands import Commands
from yokedcache.stores.redis.incarnation import TRUSTED
from yokedcache.stores.redis.lasting import Lasting
from yokedcache.stores.redis.layout import Layout
from yokedcache.stores.redis.wire import Refusal, Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.services.redis import RedisServer

GET = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
LONG = 30.0


class Script:
    """
    A server that says what it is told to say.
    """

    def __init__(self) -> None:
        self.heard = asyncio.Event()
        self.writer: Any = None

    async def serve(self, reader: asyncio.StreamReader, writer: Any) -> None:
        """
        Hear a connection out.
        """
        self.writer = writer
        while await reader.read(4096):
            self.heard.set()

    async def say(self, *pieces: bytes) -> None:
        """
        Send bytes, each piece by itself.
        """
        await self.heard.wait()
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0)


@asynccontextmanager
async def scripted() -> AsyncIterator[tuple[Lasting, Script]]:
    """
    Give a connection that stays, and the server at its other end.
    """
    script = Script()
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connection = redis.asyncio.Connection(port=port, **PLAIN)
    try:
        await connection.connect()
        line = Lasting.over(connection)
        assert line is not None
        yield line, script
    finally:
        await connection.disconnect()  # waits until it is closed
        assert line is not None
        assert line.lost
        script.writer.close()
        server.close()
        await server.wait_closed()


def asked(line: Lasting, request: Request, seconds: float) -> asyncio.Future[list[Any]]:
    """
    Ask, and wait for the answers.
    """
    future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()

    def then(outcome: list[Any] | Exception) -> None:
        if future.done():
            return
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    line.ask(request, seconds, then)
    return future


async def until(holds: Callable[[], bool]) -> None:
    """
    Let the loop go on until something holds.
    """
    async with asyncio.timeout(LONG):
        while not holds():  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0)


@pytest.mark.anyio
async def test_answers_are_told_once_they_are_whole() -> None:
    async with scripted() as (line, script):
        answer = asked(line, Request(GET * 2, 2), LONG)
        await script.say(b"$3\r\na", b"bc\r\n*2\r\n$1\r", b"\nx\r\n")
        assert not answer.done()
        await script.say(b"$-1\r\n")
        assert await answer == [b"abc", [b"x", None]]
        again = asked(line, Request(GET), LONG)
        await script.say(b"+OK\r\n")
        assert await again == [b"OK"]


@pytest.mark.anyio
async def test_a_refusal_is_an_answer() -> None:
    async with scripted() as (line, script):
        answer = asked(line, Request(GET * 2, 2), LONG)
        await script.say(b"-NOSCRIPT none\r\n:7\r\n")
        refused, seven = await answer
        assert isinstance(refused, Refusal)
        assert (refused.code, seven) == ("NOSCRIPT", 7)
        assert not line.lost


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"-LOADING the data\r\n", ConnectionLost),
        (b"?what\r\n", InvalidResponse),
        (b":1\r\n:2\r\n", InvalidResponse),
    ],
    ids=["loading", "garbage", "too-much"],
)
@pytest.mark.anyio
async def test_what_is_no_answer_ends_the_connection(
    said: bytes, error: type[Exception]
) -> None:
    async with scripted() as (line, script):
        answer = asked(line, Request(GET), LONG)
        await script.say(said)
        with pytest.raises(error):
            await answer
        await until(lambda: line.lost)


@pytest.mark.anyio
async def test_what_wasnt_asked_ends_the_connection() -> None:
    async with scripted() as (line, script):
        answer = asked(line, Request(GET), LONG)
        await script.say(b":1\r\n")
        assert await answer == [1]
        await script.say(b":2\r\n")
        await until(lambda: line.lost)
        with pytest.raises(ConnectionLost):
            await asked(line, Request(GET), LONG)


@pytest.mark.anyio
async def test_who_waits_is_told_when_the_connection_is_closed() -> None:
    async with scripted() as (line, script):
        answer = asked(line, Request(GET), LONG)
        await script.say(b"$3\r\na")
        script.writer.close()
        with pytest.raises(ConnectionLost):
            await answer
        assert line.lost


@pytest.mark.anyio
async def test_each_request_has_its_own_time() -> None:
    async with scripted() as (line, script):
        first = asked(line, Request(GET), LONG)
        await script.say(b":1\r\n")
        assert await first == [1]
        with pytest.raises(TimeoutError):  # sooner than the first one's alarm
            await asked(line, Request(GET), 0.01)

    async with scripted() as (line, script):
        first = asked(line, Request(GET), 0.01)
        await script.say(b":1\r\n")
        assert await first == [1]
        second = asked(line, Request(GET), LONG)
        await asyncio.sleep(0.03)  # the first one's alarm has rung
        assert not second.done()
        await script.say(b":2\r\n")
        assert await second == [2]
        third = asked(line, Request(GET), 0.01)
        with pytest.raises(TimeoutError):
            await third


@pytest.mark.anyio
async def test_who_was_cancelled_is_not_told() -> None:
    async with scripted() as (line, script):
        answer = asked(line, Request(GET), LONG)
        answer.cancel()
        await script.say(b":1\r\n")
        await until(lambda: line._then is None)
        again = asked(line, Request(GET), LONG)
        await script.say(b":2\r\n")
        assert await again == [2]


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
