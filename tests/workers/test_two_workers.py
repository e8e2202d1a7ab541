"""
Hole 10: several workers, each with a cache in its own memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from tests.workers.conftest import Worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.services.postgres import PostgresDatabase

# several interpreters start in each
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def is_file(url: str) -> bool:
    return url.startswith("sqlite")


def test_hole_10_a_worker_alone_is_served(start: Callable[..., Worker]) -> None:
    one = start()
    one.do("setup")
    assert one.do("warm") == {"name": "old", "statement": True, "function": True}
    one.do("commit", "new")
    assert one.do("read") == {"name": "new"}
    assert one.do("said") == []
    assert one.do("stats")["several"] == {}


def test_hole_10_the_second_is_noticed_by_the_first_before_it_commits(
    start: Callable[..., Worker], url: str
) -> None:
    one = start()
    one.do("setup")
    assert one.do("warm")["function"]
    two = start()
    for number in range(20):
        name = f"name {number}"
        two.do("commit", name)
        assert one.do("read") == {"name": name}
    served = is_file(url)  # a file says itself that it was changed
    expected = {"name": "name 19", "statement": served, "function": served}
    assert one.do("warm") == expected
    assert two.do("warm") == expected
    one.do("commit", "first")
    assert two.do("read") == {"name": "first"}
    for worker in (one, two):
        (line,) = worker.do("said")
        assert "YOKEDCACHE_URL" in line
        assert "single_process=True" in line


def test_hole_10_the_first_commit_comes_from_the_first(
    start: Callable[..., Worker],
) -> None:
    one = start()
    one.do("setup")
    two = start()
    assert two.do("warm")["name"] == "old"
    assert one.do("warm")["name"] == "old"
    one.do("commit", "new")
    assert two.do("read") == {"name": "new"}
    assert one.do("read") == {"name": "new"}


def test_hole_10_a_commit_of_an_async_engine_is_as_good(
    start: Callable[..., Worker],
) -> None:
    one = start()
    one.do("setup")
    assert one.do("warm")["function"]
    two = start()
    two.do("commit_async", "new")
    assert one.do("read") == {"name": "new"}


def test_hole_10_a_raw_connection_is_heard_of_when_it_comes_back(
    start: Callable[..., Worker],
) -> None:
    one = start()
    one.do("setup")
    assert one.do("warm")["function"]
    two = start()
    two.do("raw", "new")
    assert one.do("read") == {"name": "new"}


def test_hole_10_statistics_and_explain_say_so(
    start: Callable[..., Worker], url: str
) -> None:
    one = start()
    one.do("setup")
    two = start()
    two.do("warm")
    one.do("warm")
    told = one.do("stats")
    ((database, why),) = told["several"].items()
    assert database.startswith("sqlite:" if is_file(url) else "pg:")
    assert "another process" in why
    if is_file(url):
        assert told["explained"] == "fresh"
        return
    assert told["explained"] == "several_processes"
    assert told["bypasses"]["several_processes"] >= 3
    assert told["refusals"]["several_processes"] >= 3  # those of the function


def test_hole_10_who_insists_is_served_and_the_others_are_not(
    start: Callable[..., Worker], url: str
) -> None:
    one = start(single_process=True)
    one.do("setup")
    two = start()
    assert two.do("warm")["function"] is is_file(url)
    assert one.do("warm")["function"]
    two.do("commit", "new")
    assert one.do("warm") == {"name": "old", "statement": True, "function": True}
    assert one.do("said") == []
    one.do("commit", "newer")
    assert two.do("read") == {"name": "newer"}


def test_hole_10_killed_holders_leave_nothing_that_is_believed(
    start: Callable[..., Worker], run_directory: Path
) -> None:
    for deed in ("setup", "read"):
        one = start()
        one.do(deed)
        one.kill()
    assert len(sockets(run_directory)) == 1  # each swept away those before it
    last = start()
    assert last.do("warm")["function"]
    assert last.do("said") == []
    assert len(sockets(run_directory)) == 1


def test_hole_10_who_is_left_serves_again_and_nothing_of_before(
    start: Callable[..., Worker], url: str
) -> None:
    one = start(orphan_grace=0.2)
    one.do("setup")
    assert one.do("warm")["function"]
    two = start()
    two.do("commit", "new")
    two.kill()
    one.do("wait_alone")
    assert one.do("read") == {"name": "new"}
    assert one.do("warm") == {"name": "new", "statement": True, "function": True}
    assert one.do("stats")["several"] == {}
    three = start()
    three.do("commit", "newest")
    assert one.do("read") == {"name": "newest"}


def test_hole_10_a_server_may_still_commit_for_one_that_was_killed(
    start: Callable[..., Worker], url: str
) -> None:
    one = start()  # a minute of grace
    one.do("setup")
    two = start()
    two.do("commit", "new")
    two.kill()
    assert one.do("warm")["function"] is is_file(url)


def test_hole_10_two_that_come_at_once_know_of_each_other(
    start: Callable[..., Worker], url: str
) -> None:
    set_up(start)
    pair = [start(), start()]
    for worker in pair:
        worker.begin("warm")
    for worker in pair:
        worker.finish()
    for number, worker in enumerate(pair):
        worker.do("commit", f"by {number}")
        assert {one.do("read")["name"] for one in pair} == {f"by {number}"}
    assert all(worker.do("stats")["several"] for worker in pair)


@pytest.mark.parametrize("held", [False, True])
def test_hole_10_a_fork(start: Callable[..., Worker], url: str, held: bool) -> None:
    one = start()
    one.do("setup")
    assert one.do("warm")["function"]
    child = one.do("fork", held=held)
    assert "error" not in child, child
    served = is_file(url)
    assert child["warm"] == {"name": "old", "statement": served, "function": served}
    assert child["fresh"]["name"] == "child"
    ((_, why),) = child["stats"]["several"].items()
    assert "forked" in why
    assert len(child["said"]) == 1
    assert one.do("read") == {"name": "text"}  # the child's last commit
    assert len(one.do("said")) == 1


def test_hole_10_a_fork_before_the_cache_is_used_is_a_worker_like_any_other(
    start: Callable[..., Worker], url: str
) -> None:
    set_up(start)
    one = start(orphan_grace=0.2)
    child = one.do("fork")
    assert child["warm"] == {"name": "old", "statement": True, "function": True}
    assert child["said"] == []
    assert one.do("warm") == {"name": "text", "statement": True, "function": True}


def test_hole_10_a_worker_manager_is_enough(
    environment: dict[str, str], start: Callable[..., Worker], url: str
) -> None:
    environment["WEB_CONCURRENCY"] = "2"
    one = start()
    one.do("setup")
    assert one.do("warm")["function"] is is_file(url)
    (line,) = one.do("said")
    assert "WEB_CONCURRENCY" in line


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_hole_10_children_of_multiprocessing(
    start: Callable[..., Worker], url: str, method: str
) -> None:
    one = start()
    one.do("setup")
    assert one.do("warm")["function"]
    told = one.do("multiprocess", method)
    assert told["warm"]["function"] is is_file(url)
    assert len(told["said"]) == 1
    assert one.do("read") == {"name": "child"}


def test_hole_10_without_a_run_directory_nobody_could_be_seen(
    environment: dict[str, str], start: Callable[..., Worker], url: str
) -> None:
    environment["YOKEDCACHE_RUN_DIR"] += "/missing"
    one = start()
    one.do("setup")
    assert one.do("warm")["function"] is is_file(url)
    (line,) = one.do("said")
    assert "run directory" in line


def test_hole_10_a_role_that_cannot_tell_which_database_it_is(
    make_postgres_database: Callable[[], PostgresDatabase],
    environment: dict[str, str],
) -> None:
    database = make_postgres_database()
    role = f"plain_{database.name}"
    engine = sa.create_engine(database.url("psycopg"), poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE ROLE {role} LOGIN"))
        connection.execute(
            sa.text("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
        )
    url = sa.make_url(database.url("psycopg"))
    one = Worker(url.render_as_string(hide_password=False), environment)
    one.do("setup")
    one.do("sql", f"GRANT ALL ON users TO {role}")
    assert one.do("warm")["function"]
    other = url.set(username=role).render_as_string(hide_password=False)
    two = Worker(other, environment)
    two.do("commit", "new")
    assert one.do("read") == {"name": "new"}
    one.do("sql", f"REVOKE ALL ON users FROM {role}")
    for worker in (two, one):
        worker.close()
    with engine.begin() as connection:
        connection.execute(sa.text(f"DROP ROLE {role}"))


def test_hole_10_what_reads_no_database_is_still_served(
    start: Callable[..., Worker],
) -> None:
    one = start()
    one.do("setup")
    two = start()
    two.do("commit", "new")
    assert one.do("idle") == {"calls": 1, "key": 7}


def set_up(start: Callable[..., Worker]) -> None:
    first = start()
    first.do("setup")
    first.kill()


def sockets(run_directory: Path) -> list[Path]:
    return [path for path in run_directory.rglob("*") if path.is_socket()]
