"""
Hole 2 between processes: who waits for a load isn't given what a commit made stale.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.holes.members import Member, environment, hire, run_directory
from tests.support.databases import blog_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.services.postgres import PostgresDatabase
    from tests.services.redis import RedisServer

__all__ = ["environment", "hire", "run_directory"]

# several interpreters start in each
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def three(
    postgres_database: PostgresDatabase,
    redis_server: RedisServer,
    hire: Callable[..., Member],
) -> Iterator[list[Member]]:
    """
    Give who leads, who waits, and a third.
    """
    url = postgres_database.url("psycopg")
    with blog_at(url):
        members = [hire(url, redis_server.url(), flight_timeout=60.0) for _ in range(3)]
        assert [member.do("settle") for member in members] == ["ann"] * 3
        yield members


@pytest.mark.parametrize(
    ("writer", "when"), [(2, "after"), (2, "before"), (0, "before"), (1, "before")]
)
def test_hole_02_who_waits_for_another_process(
    three: list[Member], writer: int, when: str
) -> None:
    leader, waiter, _ = three
    leader.do("lead")
    if when == "after":
        waiter.do("wait")
    three[writer].do("commit", "new")
    if when == "before":
        waiter.do("wait")
    assert waiter.do("runs") == 0
    assert leader.do("land") == "ann"
    assert waiter.do("waited") == "new"
    assert [member.do("served") for member in three] == ["new"] * 3


@pytest.mark.parametrize("writer", [0, 2], ids=["own", "another"])
def test_hole_02_who_waits_for_its_own_process_after_the_commit_of(
    three: list[Member], writer: int
) -> None:
    leader = three[0]
    leader.do("lead")
    three[writer].do("commit", "new")
    leader.do("wait")
    assert leader.do("land") == "ann"
    assert leader.do("waited") == "new"
    assert [member.do("served") for member in three] == ["new"] * 3


def test_hole_02_without_a_commit_one_load_serves_both(three: list[Member]) -> None:
    leader, waiter, _ = three
    leader.do("lead")
    waiter.do("wait")
    assert leader.do("land") == waiter.do("waited") == "ann"
    assert (leader.do("runs"), waiter.do("runs")) == (1, 0)
