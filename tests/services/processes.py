"""
Child processes for private servers: demoted, on a free port, sure to end.

Most servers refuse to run as root, so under root everything here runs as `nobody`
in a directory of its own. That user may not be able to enter the project (below
a home of mode 700): then `reachable` says so and binaries are copied.
A server dies with the process that started it, even if that one was killed; the
directory that it leaves then is removed by the next test run.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

START_LIMIT = 30.0
STOP_LIMIT = 10.0
POLL = 0.005
MEMORY_WANTED = 1 << 30
# below those that systems give to clients: nobody takes one while its server is down
PORTS = range(12_000, 32_000)
BLOCK = 250
"""So many of them are one process's."""
_LOCKS: list[socket.socket] = []
HELD = ".held"


def free_port(and_above: int = 0) -> int:
    """
    Return a port of the loopback address that nobody listens on now.

    A server that is killed finds it free again: no client is ever given it, and no
    other test process. The port so far `and_above` it is only free now.
    """
    mine = _own_ports(os.getpid())
    for _ in range(BLOCK):
        port = next(mine)
        if _is_free(port) and _is_free(port + and_above):
            return port
    message = f"none of this process's {BLOCK} ports is free"
    raise RuntimeError(message)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@cache
def _own_ports(_process: int) -> Iterator[int]:
    """
    Take a block of ports that no other test process takes while this one lives.

    Between the look for a free port and the server's start it is nobody's: with one
    range for all, two processes found the same one. The first of a block is its lock.
    """
    blocks = list(range(PORTS.start, PORTS.stop, BLOCK))
    random.SystemRandom().shuffle(blocks)  # other workers seed the usual dice alike
    for first in blocks:
        lock = socket.socket()
        try:
            lock.bind(("127.0.0.1", first))
        except OSError:
            lock.close()
            continue
        _LOCKS.append(lock)
        return itertools.cycle(range(first + 1, first + BLOCK))
    message = f"all of {PORTS} is taken by test runs"
    raise RuntimeError(message)


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
    base = (_memory() if in_memory else None) or _temporary()
    _sweep(base)
    directory = Path(tempfile.mkdtemp(prefix=f"yokedcache-{name}-", dir=base))
    with _held(directory):
        try:
            if os.geteuid() == 0:
                directory.chmod(0o755)
            give(directory)
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def give(path: Path) -> None:
    """
    Make a file or directory the property of the user that servers run as.
    """
    if os.geteuid() == 0:
        user = _nobody()
        os.chown(path, user.pw_uid, user.pw_gid)


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


def wait_until(ready: Callable[[], bool]) -> None:
    """
    Poll something that can't be waited for until it is true; fail at a limit.
    """
    limit = time.monotonic() + START_LIMIT
    while not ready():
        if time.monotonic() > limit:
            raise TimeoutError(START_LIMIT)
        time.sleep(POLL)


@dataclass(slots=True)
class Process:
    """
    A server under way, and the file that holds what it printed.
    """

    popen: subprocess.Popen[bytes]
    command: Sequence[str | Path]
    directory: Path
    stop_signal: signal.Signals
    death_signal: signal.Signals

    @classmethod
    def start(
        cls,
        command: Sequence[str | Path],
        *,
        directory: Path,
        stop_signal: signal.Signals = signal.SIGTERM,
        death_signal: signal.Signals | None = None,
    ) -> Process:
        """
        Start the command in `directory`, with its output in a log there.

        `death_signal` is what it gets when this process dies: `stop_signal` if it
        isn't given.
        """
        death = death_signal or stop_signal
        popen = _launch(command, directory, death)
        return cls(popen, command, directory, stop_signal, death)

    @property
    def log(self) -> Path:
        """
        What the server printed, since its first start.
        """
        return _log(self.directory)

    @property
    def alive(self) -> bool:
        """
        Whether the server has not ended, though it may be suspended.
        """
        return self.popen.poll() is None

    def again(self) -> Process:
        """
        Start the same command in the same directory, after this one has ended.
        """
        popen = _launch(self.command, self.directory, self.death_signal)
        return replace(self, popen=popen)

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """
        Poll until `ready`; fail if the server ends first, or takes too long.
        """
        try:
            wait_until(lambda: not self.alive or ready())
        except TimeoutError:
            self.stop()
        if not self.alive:
            message = f"no server came up:\n{self.log.read_text()[-4000:]}"
            raise RuntimeError(message)

    def stop(self) -> None:
        """
        End the server, by force if it doesn't end by itself.
        """
        if self.alive:
            self.popen.send_signal(self.stop_signal)
            self.popen.send_signal(signal.SIGCONT)
        try:
            self.popen.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """
        End the server without a chance to do anything more.
        """
        if self.alive:
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait(STOP_LIMIT)

    def suspend(self) -> None:
        """
        Let the server do nothing, with all its connections open, until `resume`.
        """
        self.popen.send_signal(signal.SIGSTOP)
        # its threads go on until one of them has met the signal
        ends = os.WSTOPPED | os.WEXITED | os.WNOWAIT
        os.waitid(os.P_PID, self.popen.pid, ends)

    def resume(self) -> None:
        """
        Let a suspended server go on.
        """
        self.popen.send_signal(signal.SIGCONT)


def _launch(
    command: Sequence[str | Path], directory: Path, death_signal: signal.Signals
) -> subprocess.Popen[bytes]:
    def launch() -> subprocess.Popen[bytes]:
        with _log(directory).open("ab") as output:
            return subprocess.Popen(
                [*_dies_with_parent(death_signal), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **_demotion(directory),
            )

    # the kernel takes the end of the thread that starts a child for a parent's death
    return _starter(os.getpid()).submit(launch).result(START_LIMIT)


@cache
def _starter(_process: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="servers")


def _log(directory: Path) -> Path:
    return directory / "server.log"


@contextlib.contextmanager
def _held(directory: Path) -> Iterator[None]:
    # the kernel lets go of it when this process ends, in whatever way
    new = directory / f"{HELD}.new"
    with new.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        new.rename(directory / HELD)
        yield


@cache
def _sweep(base: Path) -> None:
    """
    Remove the directories of test runs that were killed.
    """
    for lock in base.glob(f"yokedcache-*/{HELD}"):
        with contextlib.suppress(OSError), lock.open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)


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
