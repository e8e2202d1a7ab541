"""
A pooler that has clients share connections to a PostgreSQL, transaction by transaction.

It does what PgBouncer may do in that mode, at its worst: each transaction is another
connection's than the one before, and a connection forgets all between two of them.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import struct
import threading
from typing import TYPE_CHECKING, Self

from tests.services.processes import free_port

if TYPE_CHECKING:
    from tests.services import PostgresDatabase

_ENCRYPTION = frozenset({80877103, 80877104})
_PROTOCOL = 196608
_ANSWERED = frozenset(b"QS")
"""What the server ends its answer to by saying that it is ready."""


class Line:
    """
    One end of a connection, message by message.
    """

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            more = self.end.recv(count - len(found))
            if not more:
                raise EOFError
            found += more
        return found

    def message(self) -> tuple[int, bytes]:
        """
        Give a message's kind, and the whole of it.
        """
        head = self.read(5)
        (length,) = struct.unpack(">i", head[1:])
        return head[0], head + self.read(length - 4)

    def until_ready(self) -> tuple[list[bytes], bytes]:
        """
        Give an answer, and in what state of a transaction the server is then.
        """
        found = []
        while True:
            kind, whole = self.message()
            found.append(whole)
            if kind == ord("Z"):
                return found, whole[-1:]


class Pooler:
    """
    A context manager; clients connect to its `port` instead of the server's.

    Unless it `forgets`, a connection keeps what a transaction left in it.
    """

    def __init__(
        self,
        database: PostgresDatabase,
        user: str,
        *,
        size: int = 3,
        forgets: bool = True,
    ) -> None:
        self.database = database
        self.forgets = forgets
        self.user = user
        self.port = free_port()
        self.clients = 0
        self._here: set[Line] = set()
        self.used: set[int] = set()
        """Which connections a transaction was ever on."""
        self._free: queue.Queue[Line] = queue.Queue()
        self._lines: list[Line] = []
        self._listener = socket.create_server(("127.0.0.1", self.port))
        for _ in range(size):
            self._greeting = self._join()

    @property
    def url(self) -> str:
        return f"postgresql://{self.user}@127.0.0.1:{self.port}/{self.database.name}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._accept, name="pooler")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._end(b"")  # of a test that failed
        self._thread.join()
        self._listener.close()
        for line in self._lines:
            line.end.close()

    def dismiss(self) -> int:
        """
        Send clients away that say nothing, as one does that has enough of them.
        """
        said = b"SFATAL\0VFATAL\0C08P01\0Mclient_idle_timeout\0\0"
        message = b"E" + struct.pack(">i", len(said) + 4) + said
        return self._end(message)

    def _end(self, message: bytes) -> int:
        gone, self._here = self._here, set()
        for client in gone:
            with contextlib.suppress(OSError):
                client.end.sendall(message)
                client.end.shutdown(socket.SHUT_RDWR)
        return len(gone)

    def _join(self) -> list[bytes]:
        """
        Open one more connection; give what the server says to that.
        """
        server = self.database.server
        line = Line(socket.create_connection((server.host, server.port)))
        facts = f"user\0{self.user}\0database\0{self.database.name}\0\0".encode()
        line.end.sendall(struct.pack(">ii", len(facts) + 8, _PROTOCOL) + facts)
        greeting, _ = line.until_ready()
        self._lines.append(line)
        self._free.put(line)
        return greeting

    def _accept(self) -> None:
        threads = []
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                break
            self.clients += 1
            threads.append(threading.Thread(target=self._serve, args=(Line(client),)))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def _serve(self, client: Line) -> None:
        server: Line | None = None
        with client.end:
            try:
                self._greet(client)
                self._here.add(client)
                while True:
                    kind, whole = client.message()
                    if kind == ord("X"):
                        return
                    server = server or self._take()
                    server.end.sendall(whole)
                    if kind in _ANSWERED:
                        answer, state = server.until_ready()
                        if state == b"I":
                            self._give_back(server)
                            server = None
                        client.end.sendall(b"".join(answer))
            except (EOFError, ConnectionError):
                pass
            finally:
                self._here.discard(client)
                if server is not None:  # in the middle of a transaction
                    server.end.close()
                    self._join()

    def _greet(self, client: Line) -> None:
        while True:
            length, code = struct.unpack(">ii", client.read(8))
            client.read(length - 8)
            if code not in _ENCRYPTION:
                break
            client.end.sendall(b"N")
        client.end.sendall(b"".join(self._greeting))

    def _take(self) -> Line:
        line = self._free.get(timeout=20)
        self.used.add(id(line))
        return line

    def _give_back(self, line: Line) -> None:
        if self.forgets:
            text = b"DISCARD ALL\0"
            line.end.sendall(b"Q" + struct.pack(">i", len(text) + 4) + text)
            line.until_ready()
        self._free.put(line)
