"""
Connections that stay: read where bytes arrive, in pieces, late, or never.

What a real server would hardly say is said by one that follows a script.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import redis.asyncio
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import InvalidResponse

from yokedcache.stores.redis.aio_client import PLAIN
from yokedcache.stores.redis.lasting import Lasting
from yokedcache.stores.redis.wire import Refusal, Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

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
