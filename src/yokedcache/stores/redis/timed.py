"""
Connections of redis-py's whose every wait ends with the limit of the thread that waits.

What the URL says of timeouts makes a wait shorter, never longer.
"""

from __future__ import annotations

import socket
from functools import cache
from math import inf
from typing import Any

import redis
import redis.connection

from yokedcache.stores.names import addresses
from yokedcache.stores.waiting import limit

_Tcp: Any = redis.Connection
_parse_url: Any = redis.connection.parse_url

_HARDLY = 0.001
"""Seconds that connecting may take for which no time is left: it fails by itself."""


class TimedSocket:
    """
    A socket as the client library uses it.

    Setting a timeout is a system call: it is set if what is left is another by a tenth.
    """

    __slots__ = ("_most", "_set", "_sock")

    def __init__(self, sock: socket.socket, most: float | None) -> None:
        self._sock = sock
        self._set = -1.0
        self._most = inf
        self.settimeout(most)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def settimeout(self, seconds: float | None) -> None:
        """
        Let each wait take so long at most.
        """
        self._most = inf if seconds is None else seconds

    def recv_into(self, buffer: Any) -> int:
        """
        Receive what comes first.
        """
        left = limit().left()
        if not 0.9 * left <= self._set <= 1.1 * left:
            self._limit(left)
        return self._sock.recv_into(buffer)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """
        Receive what comes first.
        """
        left = limit().left()
        if not 0.9 * left <= self._set <= 1.1 * left:
            self._limit(left)
        return self._sock.recv(size, flags)

    def sendall(self, data: Any) -> None:
        """
        Send all of it.
        """
        left = limit().left()
        if not 0.9 * left <= self._set <= 1.1 * left:
            self._limit(left)
        self._sock.sendall(data)

    def _limit(self, seconds: float) -> None:
        seconds = min(seconds, self._most)
        if seconds != self._set:
            self._sock.settimeout(None if seconds == inf else seconds)
            self._set = seconds


class _Opening(socket.socket):
    """
    What TLS is begun over, in the time that is left once its certificates are read.
    """

    most: float | None = None

    def gettimeout(self) -> float | None:
        """
        Say how long its handshake may take.
        """
        return _shorter(self.most)


class _Found(_Tcp):  # type: ignore[misc]
    """
    A connection to a host that is looked up, and reached, within the limit.
    """

    def _connect(self) -> socket.socket:
        failed: OSError | None = None
        for family, kind, protocol, _, address in self._addresses():
            sock = _Opening(family, kind, protocol)
            try:
                self._prepare(sock)
                sock.settimeout(self.socket_connect_timeout)
                sock.connect(address)
                sock.most = self.socket_timeout
            except OSError as error:
                failed = error
                sock.close()
            else:
                return sock
        try:
            raise failed or OSError(f"the name {self.host!r} has no address")
        finally:
            del failed  # it knows this frame

    def _addresses(self) -> Any:
        what = (self.host, self.port, self.socket_type, socket.SOCK_STREAM)
        return addresses(limit().left(), *what)

    def _prepare(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.socket_keepalive:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in self.socket_keepalive_options.items():
                sock.setsockopt(socket.IPPROTO_TCP, option, value)


class _Timed:
    """
    What makes any kind of connection heed the limit.
    """

    _socket_connect_timeout: float | None
    _socket_timeout: float | None

    @property
    def socket_connect_timeout(self) -> float | None:
        """
        The seconds that connecting may take, as of now.
        """
        return _shorter(self._socket_connect_timeout)

    def _connect(self) -> TimedSocket:
        base: Any = super()
        made = base._connect()  # noqa: SLF001 - what they all have to open one by
        return TimedSocket(made, self._socket_timeout)


@cache
def timed(kind: Any) -> Any:
    """
    Give a kind of connections, of redis-py or on top of it, that heeds limits.
    """
    kinds = (_Timed, kind, _Found) if issubclass(kind, _Tcp) else (_Timed, kind)
    if kind is _Tcp:
        kinds = (_Timed, _Found)
    return type(f"Timed{kind.__name__}", kinds, {})


def kind_of(url: str) -> Any:
    """
    Give the kind of connections that a URL names.
    """
    return _parse_url(url).get("connection_class", _Tcp)


def _shorter(most: float | None) -> float | None:
    try:
        left = limit().left()
    except TimeoutError:
        # raised while a socket is made, it would leave one open, or two of one number
        return _HARDLY
    seconds = left if most is None else min(most, left)
    return None if seconds == inf else seconds
