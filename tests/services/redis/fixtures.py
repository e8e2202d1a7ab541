"""
Redis, Valkey and the proxy as fixtures.

`redis_kind` runs a test once on each server of the matrix; a test that doesn't ask for
it runs on the system's Redis. Servers start in milliseconds, so each test that breaks
its server has one of its own.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from tests.services.proxy import Proxy
from tests.services.redis.cluster import RedisCluster
from tests.services.redis.groups import ReplicaPair, SentinelGroup
from tests.services.redis.kinds import KINDS, RedisKind
from tests.services.redis.server import RedisServer
from tests.services.redis.settings import Variant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def redis_kind(request: pytest.FixtureRequest) -> RedisKind:
    """
    Give each server of the matrix in turn.
    """
    kind: RedisKind = request.param
    return kind


@pytest.fixture
def make_redis() -> Iterator[Callable[..., RedisServer]]:
    """
    Give a function that starts servers, stopped after the test.

    It takes a kind (the system's Redis if none is given) and what a `Variant` has:
    `make_redis(Valkey(), persistence="log")`.
    """
    with contextlib.ExitStack() as stack:

        def make(kind: RedisKind | None = None, **variant: Any) -> RedisServer:
            running = RedisServer.running(kind, Variant(**variant))
            return stack.enter_context(running)

        yield make


@pytest.fixture
def redis_server(make_redis: Callable[..., RedisServer]) -> RedisServer:
    """
    Give a server that the test may break.
    """
    return make_redis()


@pytest.fixture(scope="session")
def redis_shared_server() -> Iterator[RedisServer]:
    """
    Give a server that tests only talk to; each worker of xdist has its own.
    """
    with RedisServer.running() as server:
        yield server


@pytest.fixture
def redis_url(redis_shared_server: RedisServer) -> str:
    """
    Give the URL of an empty server that is not to be broken.
    """
    redis_shared_server.flush()
    return redis_shared_server.url()


@pytest.fixture
def redis_pair() -> Iterator[ReplicaPair]:
    """
    Give a primary and its replica.
    """
    with ReplicaPair.running() as pair:
        yield pair


@pytest.fixture
def redis_sentinel() -> Iterator[SentinelGroup]:
    """
    Give a primary and its replica, watched by three sentinels.
    """
    with SentinelGroup.running() as group:
        yield group


@pytest.fixture
def redis_cluster() -> Iterator[RedisCluster]:
    """
    Give a Cluster of three primaries, each with a replica.
    """
    with RedisCluster.running(replicas=True) as cluster:
        yield cluster


@pytest.fixture
def make_proxy() -> Iterator[Callable[..., Proxy]]:
    """
    Give a function that puts a proxy before a server, by its host and port or socket.
    """
    with contextlib.ExitStack() as stack:
        yield lambda target: stack.enter_context(Proxy(target))
