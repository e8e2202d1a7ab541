"""
One private server, with handles for everything that may happen to it.

The handles speak over its socket, so they reach it whatever stands before its port.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.services.processes import Process, free_port, give, private_directory
from tests.services.redis.certificates import Certificate, make_certificate
from tests.services.redis.kinds import Redis, RedisKind
from tests.services.redis.settings import Variant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OLD_BUS = 10_000
"""
So far above its port an older server of a Cluster talks to others, it can't be told where.
"""

DATA = ("*.rdb", "*.aof", "appendonlydir")


@dataclass(slots=True)
class RedisServer:
    """
    A server on a port of its own, and beside it on a socket.
    """

    kind: RedisKind
    variant: Variant
    directory: Path
    port: int
    process: Process
    certificate: Certificate | None = None
    host: str = "127.0.0.1"

    @classmethod
    @contextlib.contextmanager
    def running(
        cls, kind: RedisKind | None = None, variant: Variant | None = None
    ) -> Iterator[RedisServer]:
        """
        Give a server that answers; whatever was done to it, it ends afterwards.
        """
        kind, variant = kind or Redis(), variant or Variant()
        variant.check(kind)
        with (
            kind.runnable() as command,
            private_directory(kind.name, in_memory=True) as directory,
        ):
            certificate = variant.certificate
            if variant.tls and not certificate:
                certificate = make_certificate(Redis().openssl() or [], directory)
            port = free_port(and_above=0 if kind.modern else OLD_BUS)
            lines = variant.lines(kind, port, directory / "socket", certificate)
            process = launch(command, directory, lines)
            server = cls(kind, variant, directory, port, process, certificate)
            try:
                server.wait()
                yield server
            finally:
                server.process.kill()

    @property
    def bus(self) -> int:
        """
        The port where it talks to others of a Cluster.
        """
        return int(self.variant.options.get("cluster-port", self.port + OLD_BUS))

    @property
    def socket(self) -> Path:
        """
        Its Unix socket.
        """
        return self.directory / "socket"

    def url(
        self,
        database: int = 0,
        *,
        user: str | None = None,
        password: str | None = None,
        socket: bool = False,
        port: int | None = None,
    ) -> str:
        """
        Return its URL, for the default user unless another is named.

        With `port`, that of something that stands before the server (`Proxy`).
        """
        secret = password if user else password or self.variant.password
        login = f"{user or ''}:{quote(secret, safe='')}@" if secret else ""
        if socket:
            return f"unix://{login}{self.socket}?db={database}"
        scheme = "rediss" if self.variant.tls else "redis"
        url = f"{scheme}://{login}{self.host}:{port or self.port}/{database}"
        return url + (f"?{self.certificate.told()}" if self.certificate else "")

    def client(self, url: str | None = None, **options: Any) -> Any:
        """
        Return a client that tries once; the caller closes it.
        """
        return redis.Redis.from_url(url or self.url(), **_ONCE, **options)

    def say(self, *words: Any) -> Any:
        """
        Send a command over the socket as the default user; return the bare answer.
        """
        return speak(self.url(socket=True), *words)

    def say_by_port(self, *words: Any) -> Any:
        """
        Do so over its port: it names others by what they are there, with TLS or without.
        """
        return speak(self.url(), *words)

    def info(self, *sections: str) -> dict[str, str]:
        """
        Return what the server says of itself.
        """
        return facts(self.say("INFO", *sections))

    def answers(self) -> bool:
        """
        Tell whether it takes commands now: while it loads its data, it does not.
        """
        try:
            self.say("PING")
        except redis.RedisError:
            return False
        return True

    def wait(self) -> None:
        """
        Return when it answers; fail if it ends first, or takes too long.
        """
        self.process.wait_until(self.answers)

    def configure(self, **settings: str | int) -> None:
        """
        Change settings of the running server: `maxmemory_policy="allkeys-lru"`.
        """
        for name, value in settings.items():
            self.say("CONFIG", "SET", name.replace("_", "-"), value)

    def flush(self) -> None:
        """
        Remove all data and all scripts.
        """
        self.say("FLUSHALL")
        self.say("SCRIPT", "FLUSH")

    def kill(self) -> None:
        """
        End it at once, as `kill -9` does.
        """
        self.process.kill()

    def stop(self) -> None:
        """
        Tell it to end: a `snapshot` is written.
        """
        self.process.stop()

    def restart(self, *, with_data: bool = True) -> None:
        """
        Start it anew on its port, after killing it if it still runs.

        What it finds is what its variant had kept, or nothing with `with_data=False`.
        """
        self.process.kill()
        if not with_data:
            self._forget()
        self.process = self.process.again()
        self.wait()

    @contextlib.contextmanager
    def suspended(self) -> Iterator[None]:
        """
        Let it hang, connections open, within the block.
        """
        self.suspend()
        try:
            yield
        finally:
            self.resume()

    def suspend(self) -> None:
        """
        Let it hang (SIGSTOP) until `resume`.
        """
        self.process.suspend()

    def resume(self) -> None:
        """
        Let it go on (SIGCONT).
        """
        self.process.resume()

    def _forget(self) -> None:
        for pattern in DATA:
            for found in self.directory.glob(pattern):
                if found.is_dir():
                    shutil.rmtree(found)
                else:
                    found.unlink()


_ONCE: dict[str, Any] = {"retry": Retry(NoBackoff(), 0)}


def speak(url: str, *words: Any) -> Any:
    """
    Send a command over a connection of its own; return the answer as the server words it.
    """
    options = {"protocol": 2, "decode_responses": True, "socket_timeout": 5}
    with redis.Redis.from_url(url, **_ONCE, **options) as client:
        client.response_callbacks.clear()
        return client.execute_command(*words)


def facts(answer: str) -> dict[str, str]:
    """
    Take apart an answer of lines `name:value`.
    """
    lines = (line.partition(":") for line in answer.splitlines())
    return {name: value for name, colon, value in lines if colon}


def launch(
    command: list[str], directory: Path, lines: Iterator[str], *arguments: str
) -> Process:
    """
    Start a server with a file of settings that it may write itself.
    """
    settings = directory / "server.conf"
    settings.write_text("\n".join(lines) + "\n")
    give(settings)
    return Process.start(
        [*command, str(settings), *arguments],
        directory=directory,
        # a suspended server would not notice anything milder
        death_signal=signal.SIGKILL,
    )
