"""
One connection to one server, over the client library; and what it says goes wrong there.

A connection that failed is never used again: what the library would open in its place may
lead to another life of the server, where the numbers that `cas` names mean other things.
"""

from __future__ import annotations

import socket
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from pymemcache.client.base import Client  # type: ignore[import-untyped]
from pymemcache.exceptions import (  # type: ignore[import-untyped]
    MemcacheError,
    MemcacheServerError,
    MemcacheUnexpectedCloseError,
    MemcacheUnknownCommandError,
)

from yokedcache.errors import StoreError
from yokedcache.stores.memcached.layout import read_counter
from yokedcache.stores.memcached.steps import Seen
from yokedcache.stores.names import addresses

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.stores.addresses import Address
    from yokedcache.stores.memcached.layout import Names
    from yokedcache.stores.memcached.memory import Memory

CAUGHT: Final = (MemcacheError, OSError, ValueError, LookupError, TypeError)
"""What means that the server, or the way to it, is at fault."""

TOO_LARGE: Final = "too_large"

_HEAD: Final = 512
"""Bytes that a server takes beside an item's value, at most."""
_PEEK: Final = socket.MSG_PEEK | getattr(socket, "MSG_DONTWAIT", 0)
_BIGGEST: Final = 1 << 20


class Deadline:
    """
    Until when a connection may take, whatever is asked over it.
    """

    __slots__ = ("ends",)

    def __init__(self, ends: float) -> None:
        self.ends = ends

    def left(self) -> float:
        """
        Tell how many seconds are left.

        Raises:
            TimeoutError: none.
        """
        seconds = self.ends - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds


class _Socket(socket.socket):
    """
    A socket whose every wait ends with its deadline.
    """

    deadline: Deadline

    def connect(self, address: Any) -> None:
        self.settimeout(self.deadline.left())
        super().connect(address)

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        self.settimeout(self.deadline.left())
        return super().recv(size, flags)

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        self.settimeout(self.deadline.left())
        super().sendall(data, flags)


def _sockets(deadline: Deadline) -> Any:
    """
    Give what the library makes sockets of.
    """
    names = ("AF_UNSPEC", "SOCK_STREAM", "IPPROTO_TCP", "TCP_NODELAY")
    kind = type("TimedSocket", (_Socket,), {"deadline": deadline})

    def found(*what: Any) -> Any:
        return addresses(deadline.left(), *what)

    told = {one: getattr(socket, one) for one in names}
    return SimpleNamespace(socket=kind, getaddrinfo=found, **told)


class Link:
    """
    A connection that one caller at a time has.
    """

    def __init__(
        self, address: Address, names: Names, memory: Memory, ends: float
    ) -> None:
        self.deadline = Deadline(ends)
        self._names = names
        self._memory = memory
        self._client = Client(
            address,
            no_delay=True,
            default_noreply=False,
            socket_module=_sockets(self.deadline),
        )
        try:
            self._largest = self._meet()
        except BaseException:
            self.close()
            raise

    @property
    def usable(self) -> bool:
        """
        Whether it is still the connection that it was.
        """
        return self._client.sock is not None

    def is_quiet(self) -> bool:
        """
        Tell whether nothing has come that nobody asked for, such as its end.
        """
        sock = self._client.sock
        if sock is None:
            return False
        try:
            sock.settimeout(0.0)
            socket.socket.recv(sock, 1, _PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """
        End it.
        """
        self._client.close()

    def do(self, command: str, arguments: tuple[Any, ...]) -> Any:
        """
        Do one command, in whatever time is left.
        """
        if not self.usable:
            raise MemcacheUnexpectedCloseError
        commands: dict[str, Callable[..., Any]] = {
            "get": self._get,
            "gets": self._gets,
            "cas": self._cas,
            "add": self._add,
            "set": self._set,
            "delete": self._client.delete,
            "young": self._is_young,
        }
        return commands[command](*arguments)

    def _meet(self) -> int:
        """
        Refuse a server that can't be relied on; tell how large a value may be.
        """
        self._observe()
        try:
            said = self._client.stats("settings")
        except MemcacheUnknownCommandError:
            self._observe()  # connects anew: the library has closed it
            return _BIGGEST - _HEAD
        if said.get(b"cas_enabled", True) not in (True, b"yes"):
            raise StoreError("it was started without `cas` (-C): nothing is safe on it")
        if said.get(b"memory_file", b"(null)") not in (b"(null)", b""):
            raise StoreError(
                "it keeps its memory over restarts (-e), and what was changed in "
                "between would be undone"
            )
        largest = said.get(b"item_size_max", _BIGGEST)
        return int(largest) - _HEAD

    def _observe(self) -> None:
        asked = time.monotonic()
        stats = self._client.stats()
        self._memory.observe(stats, asked, time.monotonic())
        known = read_counter(self._client.get(self._names.counter))
        if known is not None:
            self._names.check_ring(known[1])

    def _now(self) -> int:
        while (now := self._memory.time(time.monotonic())) is None:
            self._observe()  # until its time is over
        return now

    def _get(self, keys: list[bytes]) -> Seen:
        now = self._now()
        return Seen(self._client.get_many(keys), now)

    def _gets(self, keys: list[bytes]) -> Seen:
        now = self._now()
        return Seen(self._client.gets_many(keys), now)

    def _cas(self, key: bytes, value: bytes, unique: bytes, life: int) -> bool:
        return bool(self._client.cas(key, value, unique, expire=life, noreply=False))

    def _add(self, key: bytes, value: bytes, life: int) -> bool:
        return bool(self._client.add(key, value, expire=life, noreply=False))

    def _set(self, key: bytes, value: bytes, life: int) -> str | None:
        if len(value) > self._largest:
            return TOO_LARGE
        try:
            self._client.set(key, value, expire=life, noreply=False)
        except MemcacheServerError as error:
            if "too large" in said_by(error):
                return TOO_LARGE
            raise
        return None

    def _is_young(self, origin: bytes, lease: int) -> bool:
        now = time.monotonic()
        self._observe()
        return self._memory.is_young(origin, lease, now)


def is_refusal(error: BaseException) -> bool:
    """
    Tell whether it is the server that says no: it answers, then.
    """
    return isinstance(error, MemcacheServerError) and not isinstance(
        error, MemcacheUnexpectedCloseError
    )


def said_by(error: BaseException) -> str:
    """
    Give what a server said, or the library of it.
    """
    first = error.args[0] if error.args else ""
    return first.decode("utf-8", "replace") if isinstance(first, bytes) else str(error)


def store_error(error: BaseException, asked: str, address: str) -> StoreError:
    """
    Say what was asked of whom, and what went wrong.
    """
    facts = {"asked": asked, "address": address}
    if isinstance(error, StoreError):
        facts |= error.facts
    return StoreError(f"{address} {_said(error, asked)}", **facts)


def _said(error: BaseException, asked: str) -> str:
    if isinstance(error, StoreError):
        return f"can't {asked}: {error.message}"
    if isinstance(error, TimeoutError):
        return f"didn't {asked} in time"
    if isinstance(error, MemcacheUnexpectedCloseError):
        return f"closed the connection to {asked}"
    if isinstance(error, OSError):
        return f"can't be reached to {asked}: {error}"
    if is_refusal(error):
        return f"refused to {asked}: {said_by(error)}"
    said = "it answers as no Memcached does that speaks the text protocol"
    return f"can't {asked}: {said} ({said_by(error) or type(error).__name__})"
