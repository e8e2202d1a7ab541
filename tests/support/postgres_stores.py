"""
A store on PostgreSQL as its tests have it, and servers that they may break.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.services.postgres import (
    Postgres,
    PostgresDatabase,
    PostgresServer,
    _runnable,
    _start,
)
from tests.services.processes import (
    Process as ServerProcess,
)
from tests.services.processes import (
    free_port,
    private_directory,
    run,
    wait_until,
)
from yokedcache.stores.postgresql.client import PostgresClient
from yokedcache.stores.postgresql.commands import Commands
from yokedcache.testing.stores import Process

if TYPE_CHECKING:
    from collections.abc import Iterator

NIGHT = "YOKEDCACHE_EVERY_KIND" in os.environ
"""Whether there is time for more."""

PREFIX = "suite"
SCHEMA = f"yokedcache_{PREFIX}"


class Store:
    """
    A schema in a database: opened by processes, and looked into.
    """

    def __init__(self, database: PostgresDatabase, prefix: str = PREFIX) -> None:
        self.database = database
        self.prefix = prefix
        self.opened: list[Process] = []

    def open(
        self, face: str = "sync", *, lease: float = 30.0, url: str | None = None
    ) -> Process:
        commands = Commands(self.prefix, lease=lease)
        url = url or self.database.url()
        client = PostgresClient(url, commands, ticket=lambda: 0.0)
        self.opened.append(Process(client, face))
        return self.opened[-1]

    def close(self) -> None:
        """
        End all processes that the test has left.
        """
        for process in self.opened:
            process.close()

    def connect(self) -> Any:
        return self.database.server.connect(self.database.name)

    def say(self, statement: str, *values: Any) -> list[Any]:
        with self.connect() as connection:
            done = connection.execute(statement, values or None)
            return done.fetchall() if done.description else []

    def unfolded(self) -> int:
        """
        Count what transactions said and nobody has folded.
        """
        schema = f"yokedcache_{self.prefix}"
        ((count,),) = self.say(f"SELECT count(*) FROM {schema}.said")
        return int(count)

    def sessions(self) -> int:
        """
        Count the connections that processes have open.
        """
        ((count,),) = self.say(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE application_name = 'yokedcache' AND datname = current_database()"
        )
        return int(count)

    def waiting(self) -> int:
        """
        Count the connections that wait for a lock.
        """
        ((count,),) = self.say(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return int(count)

    def settle(self, process: Process) -> None:
        """
        Let it be relied on, though it is new.
        """
        process.bump()
        self.say(f"UPDATE {SCHEMA}.tags SET ends = 0 WHERE digest = -1")
        self.say(
            f"DELETE FROM {SCHEMA}.tags WHERE '0' IN (SELECT token FROM unnest(fences))"
        )


class Server:
    """
    A server of the test's own.
    """

    def __init__(self, directory: Path, server: PostgresServer, process: Any) -> None:
        self.data = directory / "data"
        self.server = server
        self.process: ServerProcess = process

    def kill(self) -> None:
        """
        Have it end at once, as a machine does that loses its power.
        """
        self.process.kill()
        # its children see that it is gone, and go as well
        wait_until(lambda: not _children(self.data))

    def start(self) -> None:
        self.process = self.process.again()
        self.process.wait_until(self.server.answers)

    def crash(self, pid: int) -> None:
        """
        Have one of its processes die, on which it begins anew without ending.
        """
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not _alive(pid))
        wait_until(self.server.answers)

    def restart(self) -> None:
        """
        Have it end as it should, with all that is in its tables, and start it.
        """
        self.process.stop()
        self.start()

    @contextlib.contextmanager
    def suspended(self) -> Iterator[None]:
        """
        Let none of its processes do anything, with all connections open.
        """
        self.process.suspend()  # first: it starts no others, then
        others = [pid for pid in _children(self.data) if pid != self.process.popen.pid]
        for pid in others:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in others:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            self.process.resume()

    @contextlib.contextmanager
    def standby(self) -> Iterator[Server]:
        """
        Give a server that follows this one.
        """
        program, *options = self.process.command
        with private_directory("standby", in_memory=True) as directory:
            data, server = (
                directory / "data",
                PostgresServer("127.0.0.1", free_port(), "postgres"),
            )
            ours = [f"--host={self.server.host}", f"--port={self.server.port}"]
            copy = Path(program).with_name("pg_basebackup")
            taking = ["-D", data, "-R", "-X", "stream", "-c", "fast", "-U", "postgres"]
            run([copy, *taking, *ours], directory=directory)
            options = ["-D", str(data), f"--port={server.port}", *map(str, options[3:])]
            process = ServerProcess.start(
                [program, *options], directory=directory, stop_signal=signal.SIGINT
            )
            process.wait_until(server.answers)
            follower = Server(directory, server, process)
            try:
                yield follower
            finally:
                follower.process.stop()


def _alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def _children(data: Path) -> list[int]:
    """
    Give the processes whose working directory is a server's data.
    """
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "cwd").readlink() == data:
                found.append(int(entry.name))
    return found


@contextlib.contextmanager
def own_server() -> Iterator[Server]:
    """
    Give a server that may be killed.
    """
    with (
        _runnable(Postgres().require()) as binaries,
        private_directory("postgresql", in_memory=True) as directory,
    ):
        server, process = _start(binaries, directory)
        own = Server(directory, server, process)
        try:
            yield own
        finally:
            own.process.stop()


def filled(process: Process) -> bytes:
    """
    Store something, and give a version of this life.
    """
    assert process.fill("k", b"x", "t") is None
    assert process.fill("bare", b"x") is None
    assert process.read("k", "t") == process.read("bare") == b"x"
    return process.stamp("t").vector.versions[0]


def empty(process: Process, version: bytes) -> None:
    """
    Hold a store to what it is after it lost its memory, whose last version is given.
    """
    assert isinstance(process.read("k", "t"), str)
    assert isinstance(process.read("bare"), str)
    young = process.stamp("t")
    assert young.unusable == "commit_in_flight"
    assert young.vector.versions[0].partition(b".")[0] != version.partition(b".")[0]
    assert process.fill("k", b"x", "t") == "commit_in_flight"
    assert isinstance(process.read("k", "t"), str)
