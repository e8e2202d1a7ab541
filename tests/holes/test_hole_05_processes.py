"""
Hole 5 between processes: what one has stored isn't another's answer that has listeners.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.holes.members import Member, environment, hire, run_directory
from tests.support.databases import blog_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services.postgres import PostgresDatabase
    from tests.services.redis import RedisServer

__all__ = ["environment", "hire", "run_directory"]

# several interpreters start in each
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.mark.parametrize("near", [False, True], ids=["far", "near"])
def test_hole_05_a_listener_that_only_one_process_has(
    postgres_database: PostgresDatabase,
    redis_server: RedisServer,
    hire: Callable[..., Member],
    near: bool,
) -> None:
    url = postgres_database.url("psycopg")
    with blog_at(url):
        one, other = (hire(url, redis_server.url(), near=near) for _ in range(2))
        assert [one.do("settle"), other.do("settle")] == ["ann", "ann"]
        other.do("listen")
        hits = one.do("hits")
        assert [one.do("unvaried") for _ in range(2)] == ["ann"] * 2
        assert one.do("hits") > hits
        assert [other.do("unvaried") for _ in range(3)] == ["bob"] * 3
        assert one.do("unvaried") == "ann"
