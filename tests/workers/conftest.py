"""
Workers as processes, each spoken to over pipes.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.databases import sqlite_file
from tests.support.fixtures import cache, said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["cache", "said"]

PROJECT = Path(__file__).resolve().parents[2]
MANAGERS = ("WEB_CONCURRENCY", "XDG_RUNTIME_DIR", "YOKEDCACHE_URL")


class Worker:
    """
    A worker process, and how to have it do something.
    """

    module = "tests.workers.worker"
    """What it runs."""

    def __init__(
        self, where: str, environment: dict[str, str], **settings: Any
    ) -> None:
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-W", "error", "-m", self.module),
                *(where, json.dumps(settings)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=PROJECT,
            env=environment,
            text=True,
        )

    def do(self, name: str, *arguments: Any, **keywords: Any) -> Any:
        """
        Have it done, and give what came of it.
        """
        self.begin(name, *arguments, **keywords)
        return self.finish()

    def begin(self, name: str, *arguments: Any, **keywords: Any) -> None:
        """
        Tell it to begin, and don't wait.
        """
        assert self.process.stdin is not None
        words = [name, *arguments, *([keywords] if keywords else [])]
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()

    def finish(self) -> Any:
        """
        Give what came of what it was told.
        """
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the worker has ended"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def kill(self) -> None:
        """
        End it as `kill -9` does.
        """
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """
        Let it end by itself.
        """
        with contextlib.suppress(BrokenPipeError):
            self.process.communicate(timeout=60)


@pytest.fixture
def run_directory() -> Iterator[Path]:
    """
    A place where workers meet that no other test's workers know of.
    """
    place = Path(tempfile.mkdtemp(prefix="yc-"))  # pytest's own are too long a name
    yield place
    shutil.rmtree(place)


@pytest.fixture
def environment(run_directory: Path) -> dict[str, str]:
    """
    What the workers find in their environment.
    """
    kept = {name: value for name, value in os.environ.items() if name not in MANAGERS}
    return {
        **kept,
        "YOKEDCACHE_RUN_DIR": str(run_directory),
        "PYTHONPATH": f"{PROJECT}{os.pathsep}{PROJECT / 'src'}",
    }


@pytest.fixture
def start(url: str, environment: dict[str, str]) -> Iterator[Callable[..., Worker]]:
    """
    Start workers on one database; they end with the test.
    """
    started: list[Worker] = []

    def start(**settings: Any) -> Worker:
        started.append(Worker(url, environment, **settings))
        return started[-1]

    yield start
    for worker in started:
        worker.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """
    The database of the workers.
    """
    if request.param == "sqlite":
        return f"sqlite:///{sqlite_file(tmp_path)}"
    database: str = request.getfixturevalue("postgres_database").url("psycopg")
    return database
