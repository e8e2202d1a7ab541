"""
Who else on this machine uses a database with a cache of its own.

Every process listens on a socket in the machine's run directories. Whoever begins
to use a database says so to all that listen, and goes on when each has answered:
one that uses it too has stopped serving by then. Both keep the connection, and
its end tells that the other is gone, however it went. A socket that nobody
listens on any more refuses, so nothing stale is ever believed.

Of two that come at once at least one is told of the other, since each adds its
name before it asks around, and whoever answers "I do" knows of the other, too.

The watching is done by one thread that sleeps in the system; no look-up pays.
"""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import os
import secrets
import selectors
import socket
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from yokedcache.runtime.forks import Guard
from yokedcache.runtime.log import logger, own_fault
from yokedcache.runtime.meeting import meeting_places

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE: Final = 10.0
"""Seconds to wait for a process that lives and doesn't answer: it was stopped."""

_ANY: Final = "?"
_YES, _NO = b"y", b"n"
_LINE: Final = 100
_CROWD: Final = 128
_BREATH: Final = 0.1
"""Seconds between failures, such as of a process that has no more files."""


class Listener(Protocol):
    """
    Who wants to know.
    """

    def arrived(self, name: str) -> None:
        """
        Learn that another process uses what `name` stands for; it waits for us.
        """

    def left(self, name: str) -> None:
        """
        Learn that no other process does any more.
        """

    def grace(self, name: str) -> float:
        """
        Say how many seconds after its end a process may still change something.
        """


def same(name: str, other: str) -> bool:
    """
    Tell whether two names may stand for one database: `pg:?` is any of its kind.
    """
    if name == other:
        return True
    kind, _, which = name.partition(":")
    other_kind, _, other_which = other.partition(":")
    return kind == other_kind and _ANY in {which, other_which}


class Presence:
    """
    One process among the others.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._names: set[str] = set()
        self._joined: dict[str, bool] = {}
        self._met: dict[socket.socket, set[str]] = {}
        self._due: dict[str, float] = {}
        self._doors: list[tuple[socket.socket, Path]] = []
        self._selector: selectors.BaseSelector | None = None
        self._bell: tuple[socket.socket, socket.socket] | None = None
        self._new: deque[socket.socket] = deque()
        self._guard = Guard()
        self._joining = Guard()

    def join(self, name: str) -> bool:
        """
        Begin to use what a name stands for; false if nobody could be asked.

        Returns when every other process that uses it knows.
        """
        with self._joining:
            if name not in self._joined:
                if self._selector is None:
                    self._open()
                with self._guard:
                    self._names.add(name)
                own = {path.name for _, path in self._doors}
                for _, path in self._doors:
                    for other in sorted(path.parent.glob("[0-9]*")):
                        if other.name not in own:
                            self._greet(other, name)
                self._joined[name] = bool(self._doors)
            return self._joined[name]

    def abandon(self) -> None:
        """
        Close everything, as a forked child does with what its parent goes on using.
        """
        # nothing is unregistered: parent and child share what the system watches
        for door, _ in self._doors:
            door.close()
        for other in [*self._met, *self._new, *(self._bell or ())]:
            other.close()
        if self._selector is not None:
            self._selector.close()

    def _open(self) -> None:
        """
        Begin to listen; a process that can't has no doors, and so knows that.
        """
        try:
            self._selector = selectors.DefaultSelector()
            self._bell = socket.socketpair()
            self._bell[0].setblocking(False)  # noqa: FBT003 - as the library has it
            self._selector.register(self._bell[0], selectors.EVENT_READ)
            for place in meeting_places():
                door = _door(place)
                if door is not None:
                    self._doors.append(door)
                    self._selector.register(door[0], selectors.EVENT_READ)
            self._begin_to_watch(self._selector)
        except (OSError, RuntimeError):  # no more files, no more threads
            self.abandon()
            for _, path in self._doors:
                path.unlink(missing_ok=True)
            self._doors.clear()

    def _begin_to_watch(self, selector: selectors.BaseSelector) -> None:
        atexit.register(_remove, [path for _, path in self._doors], os.getpid())
        thread = threading.Thread(
            target=self._watch, args=(selector,), name="yokedcache-presence",
            daemon=True,
        )  # fmt: skip
        contextvars.Context().run(thread.start)  # it carries no capture

    def _greet(self, path: Path, name: str) -> None:
        """
        Tell one process, and wait until it has heard.
        """
        other = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        other.settimeout(PATIENCE)
        answer, connected = b"", False
        try:
            other.connect(os.fspath(path))
            connected = True
            other.sendall(f"{name}\n".encode())
            answer = other.recv(1)
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)  # its process is gone
        except (FileNotFoundError, ConnectionError):
            pass  # it went just now
        except OSError as error:
            logger.warning(
                "a process with a cache in memory doesn't answer (%s: %r): what it "
                "serves may be older than what this one commits",
                path.name,
                error,
            )
            answer = _YES
        if answer != _YES:
            other.close()
            return
        self._meet(other, {name})
        if connected:  # else its end can't be heard: it counts as there for good
            other.setblocking(False)  # noqa: FBT003 - as the library has it
            self._new.append(other)
            self._ring()

    def _meet(self, other: socket.socket, names: set[str]) -> None:
        with self._guard:
            self._met[other] = names
            for name in names:
                self._due.pop(name, None)
                self._listener.arrived(name)

    def _ring(self) -> None:
        if self._bell is not None:
            with contextlib.suppress(OSError):
                self._bell[1].send(b".")

    def _watch(self, selector: selectors.BaseSelector) -> None:
        """
        Hear of those who come and go, as long as the process lives.
        """
        doors = {door for door, _ in self._doors}
        heard: dict[socket.socket, bytes] = {}
        while True:
            try:
                ready = selector.select(self._rest())
            except (OSError, ValueError):
                return  # closed: this is a forked child's copy, or the end
            while self._new:
                selector.register(self._new.popleft(), selectors.EVENT_READ)
            for key, _ in ready:
                one: socket.socket = key.fileobj  # type: ignore[assignment]
                try:
                    if one in doors:
                        guest, _ = one.accept()
                        guest.setblocking(False)  # noqa: FBT003 - as the library has it
                        heard[guest] = b""
                        selector.register(guest, selectors.EVENT_READ)
                    else:
                        self._hear(selector, one, heard)
                except Exception as error:  # noqa: BLE001 - the others are still watched
                    # unanswered: whoever asked waits, then says that we don't answer
                    time.sleep(_BREATH)
                    own_fault(error, "watching other processes")
            self._part_for_good()

    def _rest(self) -> float | None:
        with self._guard:
            if not self._due:
                return None
            return max(0.0, min(self._due.values()) - time.monotonic())

    def _hear(
        self,
        selector: selectors.BaseSelector,
        one: socket.socket,
        heard: dict[socket.socket, bytes],
    ) -> None:
        try:
            said = one.recv(_LINE)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        bell = self._bell is not None and one is self._bell[0]
        if bell or (said and one not in heard and said != _NO):
            return
        if not said or one not in heard:  # its end; or an answer that came late
            heard.pop(one, None)
            selector.unregister(one)
            one.close()
            self._part(one)
            return
        heard[one] += said
        if heard[one].endswith(b"\n") and one not in self._met:
            self._answer(one, heard[one].decode().strip())

    def _answer(self, guest: socket.socket, name: str) -> None:
        with self._guard:
            names = {own for own in self._names if same(own, name)}
            if names:
                self._meet(guest, names)
        with contextlib.suppress(OSError):  # it went: its end will be read next
            guest.send(_YES if names else _NO)

    def _part(self, other: socket.socket) -> None:
        """
        Note that a process is gone; what it began may still come to an end.
        """
        with self._guard:
            names = self._met.pop(other, set())
            left = set().union(*self._met.values())
            for name in names - left:
                self._due[name] = time.monotonic() + self._listener.grace(name)

    def _part_for_good(self) -> None:
        with self._guard:
            now = time.monotonic()
            for name in [name for name, due in self._due.items() if due <= now]:
                del self._due[name]
                self._listener.left(name)


def _door(place: Path) -> tuple[socket.socket, Path] | None:
    """
    Listen on a socket in a directory; it has its name when it listens.
    """
    path = place / f"{os.getpid()}-{secrets.token_hex(4)}"
    hidden = place / f".{path.name}"
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        door.bind(os.fspath(hidden))
        door.listen(_CROWD)
        door.setblocking(False)  # noqa: FBT003 - as the library has it
        hidden.rename(path)
    except OSError:
        door.close()
        return None
    return door, path


def _remove(paths: list[Path], process: int) -> None:
    if os.getpid() == process:
        for path in paths:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
