"""
Hole 10 behind real servers: uvicorn and gunicorn, with one worker and with several.

The listening socket is the test's own, so a request waits until a worker takes it.
"""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from tests.workers.conftest import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# several interpreters start in each
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

_GUNICORN = ("gunicorn", "tests.workers.web:wsgi", "--log-level", "warning")
SERVERS = {
    "uvicorn": ("uvicorn", "tests.workers.web:asgi", "--log-level", "warning", "--fd"),
    "gunicorn": (*_GUNICORN, "--bind"),
    "gunicorn preloaded": (*_GUNICORN, "--preload", "--bind"),
}
MOST_REQUESTS = 500


class Server:
    """
    A running server, and how to ask it.
    """

    def __init__(self, name: str, workers: int, environment: dict[str, str]) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=100)
        number = self._socket.fileno()
        where = str(number) if name == "uvicorn" else f"fd://{number}"
        command = [sys.executable, "-m", *SERVERS[name], where]
        self.process = subprocess.Popen(
            [*command, "--workers", str(workers)],
            cwd=PROJECT,
            env=environment,
            pass_fds=[number],
        )

    def ask(self, path: str) -> dict[str, Any]:
        """
        Ask whichever worker comes first.
        """
        connection = http.client.HTTPConnection(*self._socket.getsockname(), timeout=60)
        connection.request("GET", path, headers={"Connection": "close"})
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def close(self) -> None:
        """
        Have it end.
        """
        self._socket.close()
        self.process.terminate()
        self.process.wait(timeout=60)


@pytest.fixture
def serve(url: str, environment: dict[str, str]) -> Iterator[Callable[..., Server]]:
    """
    Start servers of one application over one database; they end with the test.
    """
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT)"
        )
        connection.exec_driver_sql("INSERT INTO things VALUES (1, 'old')")
    engine.dispose()
    started: list[Server] = []

    def serve(name: str, workers: int, **settings: Any) -> Server:
        told = {"APP_DATABASE": url, "APP_SETTINGS": json.dumps(settings)}
        started.append(Server(name, workers, {**environment, **told}))
        return started[-1]

    yield serve
    for server in started:
        server.close()


@pytest.mark.parametrize("name", SERVERS)
def test_hole_10_workers_of_a_server_are_never_behind(
    serve: Callable[..., Server], name: str
) -> None:
    server = serve(name, 2)
    seen: set[int] = set()
    for number in range(MOST_REQUESTS):
        written = f"name {number}"
        server.ask(f"/write?name=name+{number}")
        for _ in range(4):
            told = server.ask("/read")
            assert (told["statement"], told["function"]) == (written, written)
            seen.add(told["pid"])
        if number >= 10 and len(seen) > 1:
            break
    assert len(seen) == 2
    assert server.ask("/stats")["several"]


@pytest.mark.parametrize(
    ("name", "settings"),
    [("uvicorn", {}), ("gunicorn", {"single_process": True})],
)
def test_hole_10_a_server_with_one_worker_is_served(
    serve: Callable[..., Server], name: str, settings: dict[str, Any]
) -> None:
    server = serve(name, 1, **settings)
    for number in range(3):
        server.ask(f"/write?name={number}")
        for _ in range(3):
            told = server.ask("/read")
            assert (told["statement"], told["function"]) == (str(number), str(number))
    told = server.ask("/stats")
    assert told["hits"] >= 6
    assert not told["several"]
