"""
MariaDB: a private server without syncs, and a fresh database for whoever asks.

It is made in a second and listens on a free loopback port only. There is no wheel of
it: it comes from Debian's packages, installed by root or unpacked by anybody else.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pymysql  # type: ignore[import-untyped]

from tests.services.base import (
    Login,
    Service,
    ask_version,
    login_parts,
    with_libraries,
)
from tests.services.processes import Process, free_port, private_directory, run

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = {
    "bind-address": "127.0.0.1",
    "skip-name-resolve": "ON",
    "innodb-buffer-pool-size": "32M",
    "innodb-log-file-size": "16M",
    "innodb-flush-log-at-trx-commit": "0",
    "innodb-doublewrite": "OFF",
    # a test that waits for a lock waits for ever: better say so
    "innodb-lock-wait-timeout": "10",
    "lock-wait-timeout": "10",
    "max-connections": "200",
    "local-infile": "ON",
    "character-set-server": "utf8mb4",
    "default-time-zone": "+00:00",
}

_LIBRARIES = ("libaio1", "liburing2")
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class MariaDBDatabase:
    """
    One database (MariaDB says schema) on a server.
    """

    server: MariaDBServer
    name: str

    def url(self, driver: str, dialect: str = "mariadb") -> str:
        """
        Return its URL for SQLAlchemy with a driver (`pymysql`, ...).
        """
        return f"{dialect}+{driver}://{self.server.authority}/{self.name}"


@dataclass(frozen=True, slots=True)
class MariaDBServer(Login):
    """
    A server that answers: the parts of its URL, and databases on demand.
    """

    @classmethod
    def from_url(cls, url: str) -> MariaDBServer:
        """
        Take the parts from a URL, whatever driver it names.
        """
        return cls(**login_parts(url, port=3306, user="root"))

    def connect(self, database: str | None = None) -> Any:
        """
        Open a connection in autocommit mode; the caller closes it.
        """
        return pymysql.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password or "",
            database=database,
            connect_timeout=5,
            autocommit=True,
        )

    def answers(self) -> bool:
        """
        Tell whether the server takes logins now: before, SIGTERM is lost on it.
        """
        try:
            self.connect().close()
        except pymysql.OperationalError:
            return False
        return True

    def say(self, *statements: str, database: str | None = None) -> None:
        """
        Execute statements over a connection that nothing else knows.
        """
        with (
            contextlib.closing(self.connect(database)) as connection,
            connection.cursor() as cursor,
        ):
            for statement in statements:
                cursor.execute(statement)

    def create_database(self) -> MariaDBDatabase:
        """
        Make an empty database with a name that nobody else uses.
        """
        name = f"yc_{os.getpid()}_{next(_numbers)}"
        self.say(f"CREATE DATABASE {name}")
        return MariaDBDatabase(self, name)

    def drop_database(self, database: MariaDBDatabase) -> None:
        """
        Remove a database, after ending the connections that may hold locks on it.
        """
        with (
            contextlib.closing(self.connect()) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(
                "SELECT id FROM information_schema.processlist WHERE db = %s",
                (database.name,),
            )
            for (thread,) in cursor.fetchall():
                with contextlib.suppress(pymysql.OperationalError):
                    cursor.execute(f"KILL {thread}")
            cursor.execute(f"DROP DATABASE IF EXISTS {database.name}")


class MariaDB(Service):
    """
    MariaDB 10.6 or newer; a directory of it has `bin` and `sbin` in it.
    """

    name: ClassVar = "mariadb"
    url_variable: ClassVar = "YC_MARIADB_URL"
    directory_variable: ClassVar = "YC_MARIADB_HOME"
    # the second has my_print_defaults, without which the first can't begin
    packages: ClassVar = ("mariadb-server-core", "mariadb-client-core")
    unpacked: ClassVar = (*packages, *_LIBRARIES)

    def candidates(self) -> Iterator[tuple[str, Path]]:
        yield "system", Path("/usr")
        if found := shutil.which("mariadbd"):
            yield "PATH", Path(found).resolve().parent.parent
        if reachable_tree := self.unpacked_tree():
            yield "unpacked", reachable_tree / "usr"

    def version(self, directory: Path) -> str | None:
        server = _program(directory, "mariadbd")
        if server is None or _program(directory, "mariadb-install-db") is None:
            return None
        if _program(directory, "my_print_defaults") is None:
            return None
        said = ask_version(*with_libraries(directory), server, "--version")
        return said and said.partition("-")[0]

    @contextlib.contextmanager
    def running(self) -> Iterator[MariaDBServer]:
        """
        Give a server: the one that the environment names, or a private one.
        """
        if url := self.running_url():
            yield MariaDBServer.from_url(url)
            return
        home = self.require().directory
        with private_directory(self.name, in_memory=True) as directory:
            server, process = _start(home, directory)
            try:
                yield server
            finally:
                process.stop()


def _program(home: Path, name: str) -> Path | None:
    places = (home / part / name for part in ("sbin", "bin", "libexec"))
    return next((place for place in places if place.exists()), None)


def _start(home: Path, directory: Path) -> tuple[MariaDBServer, Process]:
    data = directory / "data"
    places = [f"--basedir={home}", f"--datadir={data}"]
    install = _program(home, "mariadb-install-db")
    daemon = _program(home, "mariadbd")
    if install is None or daemon is None:  # pragma: no cover - `version` has looked
        raise FileNotFoundError(home)
    options = ["--auth-root-authentication-method=normal", "--skip-test-db"]
    command = [*with_libraries(home), str(install), "--no-defaults"]
    run(
        [*command, "--skip-name-resolve", *options, *places],
        directory=directory,
    )
    server = MariaDBServer("127.0.0.1", free_port(), "root")
    settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
    process = Process.start(
        [
            *with_libraries(home),
            str(daemon),
            "--no-defaults",
            *places,
            f"--lc-messages-dir={home / 'share' / 'mysql'}",
            f"--plugin-dir={home / 'lib' / 'mysql' / 'plugin'}",
            f"--socket={directory / 'socket'}",
            f"--pid-file={directory / 'pid'}",
            f"--port={server.port}",
            *settings,
        ],
        directory=directory,
    )
    process.wait_until(server.answers)
    return server, process
