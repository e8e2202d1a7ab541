"""
Hole 15 between processes: nobody waits for another who could be waited for.

Patience is long here (`flight_timeout`), so whoever waits where it must not is late.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.holes.members import Member, environment, hire, run_directory
from tests.holes.stalling import server_of
from tests.services.processes import wait_until
from tests.support.databases import blog_at
from tests.support.held import until
from tests.support.pooler import Pooler

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services.postgres import PostgresDatabase
    from tests.services.redis import RedisServer

__all__ = ["environment", "hire", "run_directory"]

# several interpreters start in each
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

PATIENCE = 15.0
ONE = {"pool_size": 1, "max_overflow": 0}


def is_claimed(server: RedisServer) -> bool:
    return bool(server.say("KEYS", "yc:f:*"))


def answered_at_once(member: Member, function: str) -> None:
    """
    See a session that holds something be answered, long before anybody's patience ends.
    """
    began = time.monotonic()
    assert member.do("call_in", function) == "ann"
    assert time.monotonic() - began < PATIENCE / 2


def test_hole_15_a_one_connection_for_two_processes(
    postgres_database: PostgresDatabase,
    redis_server: RedisServer,
    hire: Callable[..., Member],
) -> None:
    with (
        blog_at(postgres_database.url("psycopg")),
        Pooler(postgres_database, "postgres", size=1, forgets=False) as pooler,
    ):
        url = pooler.url.replace("postgresql", "postgresql+psycopg", 1)
        options = {"engine": {**ONE, "connect_args": {"prepare_threshold": None}}}
        holder, leader = (
            hire(url, redis_server.url(), flight_timeout=PATIENCE, **options)
            for _ in range(2)
        )
        assert [holder.do("settle"), leader.do("settle")] == ["ann", "ann"]
        holder.do("hold", "SELECT 1")
        leader.do("call", "name_in")
        wait_until(lambda: is_claimed(redis_server))
        answered_at_once(holder, "name_in")
        holder.do("let_go")
        assert leader.do("called") == "ann"


def test_hole_15_d_a_row_lock_that_another_process_needs(
    postgres_database: PostgresDatabase,
    redis_server: RedisServer,
    hire: Callable[..., Member],
) -> None:
    url = postgres_database.url("psycopg")
    with blog_at(url) as blog, server_of(blog.engine) as server:
        holder, leader = (
            hire(url, redis_server.url(), flight_timeout=PATIENCE, engine=ONE)
            for _ in range(2)
        )
        assert [holder.do("settle"), leader.do("settle")] == ["ann", "ann"]
        holder.do("hold", "SELECT name FROM users WHERE id = 1 FOR UPDATE")
        leader.do("call", "name_locked")
        until(server.is_waiting)
        assert is_claimed(redis_server)
        answered_at_once(holder, "name_locked")
        holder.do("let_go")
        assert leader.do("called") == "ann"
