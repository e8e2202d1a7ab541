"""
Child processes for private servers: demoted, on a free port, sure to end.

Most servers refuse to run as root, so under root everything here runs as `nobody`
in a directory of its own. That user may not be able to enter the project (below
a home of mode 700): then `reachable` says so and binaries are copied.
A server dies with the process that started it, even if that one was killed.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

START_LIMIT = 30.0
STOP_LIMIT = 10.0
MEMORY_WANTED = 1 << 30


def free_port() -> int:
    """
    Return a port of the loopback address that nobody listens on now.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def reachable(directory: Path) -> bool:
    """
    Tell whether the user that servers run as can enter and read the directory.
    """
    if os.geteuid() != 0:
        return True
    # o+x on the way there, o+rx at the end
    way = all(parent.stat().st_mode & 0o001 for parent in directory.parents)
    return way and directory.stat().st_mode & 0o005 == 0o005


@contextlib.contextmanager
def private_directory(name: str, *, in_memory: bool = False) -> Iterator[Path]:
    """
    Give a new directory that belongs to the user that servers run as.

    With `in_memory` it lies on a memory file system if there is one: a new database
    takes 10 ms there instead of 200. Programs can't always be run from it.
    """
    base = _memory() if in_memory else None
    directory = Path(
        tempfile.mkdtemp(prefix=f"yokedcache-{name}-", dir=base or _temporary())
    )
    try:
        if os.geteuid() == 0:
            user = _nobody()
            os.chown(directory, user.pw_uid, user.pw_gid)
            directory.chmod(0o755)
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def copy_program(source: Path, target: Path) -> Path:
    """
    Copy a program's tree to where the servers' user can run it.
    """
    shutil.copytree(source, target, symlinks=True)
    return target


def run(command: Sequence[str | Path], *, directory: Path) -> None:
    """
    Run a command to its end as the servers' user; fail with what it printed.
    """
    done = subprocess.run(
        command,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=START_LIMIT,
        **_demotion(directory),
    )
    if done.returncode:
        message = f"{command[0]} ended with {done.returncode}:\n{done.stdout}"
        raise RuntimeError(message)


@dataclass(slots=True)
class Process:
    """
    A server under way, and the file that holds what it printed.
    """

    popen: subprocess.Popen[bytes]
    log: Path
    stop_signal: signal.Signals

    @classmethod
    def start(
        cls,
        command: Sequence[str | Path],
        *,
        directory: Path,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> Process:
        """
        Start the command in `directory`, with its output in a log there.
        """
        log = directory / "server.log"
        with log.open("wb") as output:
            popen = subprocess.Popen(
                [*_dies_with_parent(stop_signal), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **_demotion(directory),
            )
        return cls(popen, log, stop_signal)

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """
        Poll until `ready`; fail if the server ends first, or takes too long.
        """
        limit = time.monotonic() + START_LIMIT
        while not ready():
            if self.popen.poll() is not None or time.monotonic() > limit:
                self.stop()
                message = f"no server came up:\n{self.log.read_text()[-4000:]}"
                raise RuntimeError(message)
            time.sleep(0.01)

    def stop(self) -> None:
        """
        End the server, by force if it doesn't end by itself.
        """
        if self.popen.poll() is None:
            self.popen.send_signal(self.stop_signal)
        try:
            self.popen.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait(STOP_LIMIT)


def _temporary() -> Path:
    # pytest's tmp_path lies below a directory that only its owner may enter
    usual = Path(tempfile.gettempdir())
    return usual if reachable(usual) else Path("/tmp")


def _memory() -> Path | None:
    # containers often have only 64 MiB of it, and who names TMPDIR means it
    place = Path("/dev/shm")
    if "TMPDIR" in os.environ or not os.access(place, os.W_OK):
        return None
    return place if shutil.disk_usage(place).free >= MEMORY_WANTED else None


def _nobody() -> pwd.struct_passwd:
    return pwd.getpwnam("nobody")


def _demotion(directory: Path) -> dict[str, Any]:
    options: dict[str, Any] = {"cwd": directory}
    if os.geteuid() == 0:
        user = _nobody()
        options |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    # a server must not take a developer's PGDATA, MYSQL_HOME, ... for its own
    others = ("PG", "MYSQL", "MARIADB")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(others)}
    return options | {"env": kept | {"HOME": str(directory), "LC_ALL": "C"}}


def _dies_with_parent(stop_signal: signal.Signals) -> list[str]:
    # A killed test run (timeout, OOM) runs no clean-up: the kernel does it.
    # `preexec_fn` could set this too, but warns in a process with threads.
    setpriv = shutil.which("setpriv")
    name = stop_signal.name.removeprefix("SIG")
    return [setpriv, "--pdeathsig", name, "--"] if setpriv else []
