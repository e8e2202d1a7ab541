"""
Connections that stay with an event loop, read where their bytes arrive.

redis-py opens such a connection, says who we are, and closes it. In between hiredis reads
it inside of the loop's own callback: what is asked takes one turn of the loop to be sent
and one to be answered, where streams, and tasks that wait for them, take five.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import selectors
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import InvalidResponse, ResponseError

from yokedcache.stores.patience import Countdown
from yokedcache.stores.redis.faults import refusal

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from yokedcache.stores.redis.wire import Request

    Then: TypeAlias = Callable[[list[Any] | Exception], None]

_MORE: Final = object()
"""What hiredis gives while an answer isn't whole."""

_Selector: Final[Any] = getattr(selectors, "PollSelector", selectors.SelectSelector)
"""Of those that take no file descriptor of their own."""

_hiredis: Any = None
with contextlib.suppress(ImportError):  # it comes with our extra, not with redis-py
    _hiredis = importlib.import_module("hiredis")


class Lasting(asyncio.Protocol):
    """
    One connection of redis-py's, asked one request at a time.
    """

    def __init__(self, connection: Any, transport: Any, reader: Any) -> None:
        self.connection = connection
        self.lost = False
        """It was closed, by whomever."""
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._before = transport.get_protocol()
        self._reader = reader
        self._answers: list[Any] = []
        self._count = 0
        self._then: Then | None = None
        self._countdown = Countdown(lambda: self._tell(TimeoutError()))
        self._selector = _Selector()
        self._selector.register(
            transport.get_extra_info("socket"), selectors.EVENT_READ
        )
        self._transport.set_protocol(self)

    @classmethod
    def over(cls, connection: Any) -> Lasting | None:
        """
        Take a connection over on which nothing is under way.

        `None` if that can't be done with this version of the client library.
        """
        parse = getattr(getattr(connection, "_parser", None), "parse_error", None)
        transport = getattr(getattr(connection, "_writer", None), "transport", None)
        if _hiredis is None or parse is None or transport is None:
            return None

        def told(text: str) -> Any:
            error = parse(text)
            return refusal(error) if isinstance(error, ResponseError) else error

        reader = _hiredis.Reader(
            protocolError=InvalidResponse, replyError=told, notEnoughData=_MORE
        )
        return None if transport.is_closing() else cls(connection, transport, reader)

    @property
    def left(self) -> float:
        """
        The seconds that the last request has left unused of its own.
        """
        return self._countdown.left

    @property
    def has_heard(self) -> bool:
        """
        Tell whether something has arrived that nobody has read: that it was closed, say.
        """
        return bool(self._selector.select(0))

    def ask(self, request: Request, seconds: float, then: Then) -> None:
        """
        Send a request; `then` is told the answers, or why there are none.

        It is called by the loop, not before this has returned; one request at a time.
        """
        self._answers, self._count, self._then = [], request.count, then
        if self.lost:
            self._loop.call_soon(self._tell, ConnectionLost("it was closed"))
        else:
            self._countdown.start(seconds)
            self._transport.write(request.packed)

    def data_received(self, data: bytes) -> None:
        """
        Read what has come; tell the answers once they are whole.
        """
        try:
            whole = self._read(data)
        except Exception as error:  # noqa: BLE001 - not the loop's: whoever asked is told
            self.lost = True  # at once, for it may be given to the next one now
            self._transport.abort()
            self._tell(error)
            return
        if whole:
            self._tell(self._answers)

    def _read(self, data: bytes) -> bool:
        reader, answers = self._reader, self._answers
        reader.feed(data)
        while (answer := reader.gets()) is not _MORE:
            if isinstance(answer, Exception):  # it is loading its data, say
                raise answer
            answers.append(answer)
        if self._then is None or len(answers) > self._count:
            raise InvalidResponse("the server said what it wasn't asked")
        return len(answers) == self._count

    def connection_lost(self, exc: Exception | None) -> None:
        """
        Note that it is closed; whoever waits for an answer is told.
        """
        self.lost = True
        self._countdown.close()
        self._before.connection_lost(exc)
        self._tell(ConnectionLost(f"it was closed: {exc}" if exc else "it was closed"))

    def _tell(self, outcome: list[Any] | Exception) -> None:
        then, self._then = self._then, None
        self._countdown.stop()
        if then is not None:
            then(outcome)
