"""
Servers that tests may break, and processes on them.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from tests.services import MemcachedServer
from tests.support.memcached import open_client, rely
from yokedcache.testing.stores import Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


@pytest.fixture
def start_servers() -> Iterator[Callable[..., list[MemcachedServer]]]:
    """
    Give a function that starts servers: so many, with options.
    """
    with contextlib.ExitStack() as stack:
        yield lambda count, *options: stack.enter_context(
            MemcachedServer.several(count, *options)
        )


@pytest.fixture
def server(start_servers: Callable[..., list[MemcachedServer]]) -> MemcachedServer:
    return start_servers(1)[0]


@pytest.fixture(params=["sync", "async"])
def face(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    """
    Give a function that starts a process; `sure` if it relies on what servers remember.
    """
    started: list[Process] = []

    def begin(
        servers: Sequence[MemcachedServer],
        *,
        face: str = "sync",
        sure: bool = True,
        **options: Any,
    ) -> Process:
        client = open_client(servers, **options)
        started.append(Process(rely(client) if sure else client, face))
        return started[-1]

    yield begin
    for process in started:
        process.close()


@pytest.fixture(scope="module")
def two_servers() -> Iterator[list[MemcachedServer]]:
    """
    Give two servers that the tests of a module share.
    """
    with MemcachedServer.several(2) as running:
        yield running
