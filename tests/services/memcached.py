"""
Memcached: private servers that tests may break in every way.

One starts in some 10 ms and keeps nothing. There is no wheel of it: it comes from
Debian's packages, installed by root or unpacked by anybody else.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote_to_bytes

from pymemcache.client.base import Client  # type: ignore[import-untyped]
from pymemcache.exceptions import MemcacheError  # type: ignore[import-untyped]

from tests.services.base import Service, ask_version, with_libraries
from tests.services.processes import Process, free_port, private_directory

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(slots=True)
class MemcachedServer:
    """
    A server on a port of its own, with handles for everything that may happen to it.
    """

    port: int
    process: Process
    host: str = "127.0.0.1"

    @classmethod
    @contextlib.contextmanager
    def running(cls, *options: str) -> Iterator[MemcachedServer]:
        """
        Give a server that answers; whatever was done to it, it ends afterwards.
        """
        home = Memcached().require().directory
        program = _program(home)
        with private_directory("memcached") as directory:
            port = free_port()
            process = Process.start(
                [
                    *with_libraries(home),
                    str(program),
                    *("-l", "127.0.0.1", "-p", str(port), "-U", "0", "-t", "2"),
                    *options,
                ],
                directory=directory,
                # a suspended server would not notice anything milder
                death_signal=signal.SIGKILL,
            )
            server = cls(port, process)
            try:
                server.wait()
                yield server
            finally:
                server.process.kill()

    @classmethod
    @contextlib.contextmanager
    def several(cls, count: int, *options: str) -> Iterator[list[MemcachedServer]]:
        """
        Give so many servers.
        """
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(cls.running(*options)) for _ in range(count)]

    @property
    def address(self) -> str:
        """
        Its host and port, as they stand in a URL.
        """
        return f"{self.host}:{self.port}"

    def client(self) -> Any:
        """
        Return a client of its own; the caller closes it.
        """
        return Client(
            (self.host, self.port), timeout=5, connect_timeout=5, default_noreply=False
        )

    def say(self, command: str, *arguments: Any, **options: Any) -> Any:
        """
        Call one method of a client that nothing else knows.
        """
        with contextlib.closing(self.client()) as client:
            return getattr(client, command)(*arguments, **options)

    def all_keys(self) -> list[bytes]:
        """
        List the keys of all that it keeps.
        """
        # it has one crawler, which may be at work of its own accord
        while (dumped := self._dumped()).startswith(b"BUSY"):
            pass
        words = (line.partition(b" ")[0] for line in dumped.splitlines())
        written = (word.removeprefix(b"key=") for word in words if b"=" in word)
        return [unquote_to_bytes(word) for word in written]

    def _dumped(self) -> bytes:
        with socket.create_connection((self.host, self.port), timeout=5) as link:
            link.sendall(b"lru_crawler metadump all\r\n")
            said = b""
            while not (said.endswith(b"END\r\n") or said.startswith(b"BUSY")):
                more = link.recv(65536)
                assert more, said
                said += more
            return said

    def answers(self) -> bool:
        """
        Tell whether it takes commands now.
        """
        try:
            self.say("version")
        except (MemcacheError, OSError):
            return False
        return True

    def wait(self) -> None:
        """
        Return when it answers; fail if it ends first, or takes too long.
        """
        self.process.wait_until(self.answers)

    def flush(self) -> None:
        """
        Have it forget everything.
        """
        self.say("flush_all")

    def kill(self) -> None:
        """
        End it at once, as `kill -9` does.
        """
        self.process.kill()

    def restart(self) -> None:
        """
        Start it anew on its port, after killing it if it still runs.
        """
        self.process.kill()
        self.process = self.process.again()
        self.wait()

    @contextlib.contextmanager
    def suspended(self) -> Iterator[None]:
        """
        Let it hang, connections open, within the block.
        """
        self.process.suspend()
        try:
            yield
        finally:
            self.process.resume()


class Memcached(Service):
    """
    Memcached 1.6 or newer; a directory of it has `bin` in it.
    """

    name: ClassVar = "memcached"
    directory_variable: ClassVar = "YC_MEMCACHED_HOME"
    packages: ClassVar = ("memcached",)
    unpacked: ClassVar = ("memcached", "libevent-2.1-7")

    def candidates(self) -> Iterator[tuple[str, Path]]:
        yield "system", Path("/usr")
        if found := shutil.which("memcached"):
            yield "PATH", Path(found).resolve().parent.parent
        if reachable_tree := self.unpacked_tree():
            yield "unpacked", reachable_tree / "usr"

    def version(self, directory: Path) -> str | None:
        program = _program(directory)
        if not program.exists():
            return None
        return ask_version(*with_libraries(directory), program, "--version")


def _program(home: Path) -> Path:
    return home / "bin" / "memcached"
