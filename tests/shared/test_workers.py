"""
Several workers of one application on one database, and one cache between them.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, text

from tests.services.processes import wait_until
from tests.shared.conftest import LEASE, NIGHT
from tests.workers.conftest import Worker, environment, run_directory, start, url

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.shared.conftest import Place

__all__ = ["environment", "run_directory", "start", "url"]

PLACES = [("postgresql", "redis"), ("sqlite", "sqlite"), ("postgresql", "postgresql")]

# several interpreters start in each, and the gate has minutes
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.parametrize(
        ("url", "place"),
        PLACES if NIGHT else PLACES[:1],
        ids="-".join,
        indirect=True,
    ),
]

SERVED = {"statement": True, "function": True}


@pytest.fixture
def hire(start: Callable[..., Worker], place: Place) -> Callable[..., Worker]:
    """
    Give a function that starts workers on one store.
    """

    def hired(**settings: Any) -> Worker:
        told = {"url": place.url(), "lease": LEASE, "store_timeout": 10.0, **settings}
        return start(**told)

    return hired


def settled(worker: Worker) -> Worker:
    worker.do("setup")
    wait_until(lambda: worker.do("warm") == {"name": "old", **SERVED})
    return worker


def test_what_one_commits_all_see_at_once(hire: Callable[..., Worker]) -> None:
    one = settled(hire())
    two = hire()
    for number in range(5):  # more, and the table is hot
        name = f"name {number}"
        one.do("commit", name)
        assert two.do("read") == {"name": name}
        two.do("commit", f"{name} again")
        assert one.do("read") == {"name": f"{name} again"}
    last = {"name": "name 4 again", **SERVED}
    assert one.do("warm") == last
    assert two.do("warm") == last, two.do("stats")
    assert one.do("stats")["several"] == two.do("stats")["several"] == {}
    for worker in (one, two):
        assert worker.do("said") == []


def test_audits_raise_no_alarm_while_another_process_writes(
    hire: Callable[..., Worker],
) -> None:
    two, one = settled(hire()), hire(verify=1.0)
    busy = threading.Event()

    def write() -> None:
        for number in range(60):
            two.do("commit", f"name {number}")
        busy.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not busy.is_set():
        one.do("ask")
    writer.join()
    for _ in range(3):
        assert one.do("ask") == "name 59"
    told = one.do("audits")
    assert told["wrong"] == 0, one.do("said")
    assert told["audited"] > 0


def test_audits_find_what_nobody_has_announced(
    hire: Callable[..., Worker],
    url: str,
) -> None:
    _, one = settled(hire()), hire(verify=1.0)
    wait_until(lambda: one.do("ask") == "old" and one.do("audits")["audited"] > 1)
    # no cache is open in this process, so nobody hears of it
    engine = create_engine(url)
    with engine.begin() as stranger:
        stranger.execute(text("UPDATE users SET name = 'unheard'"))
    engine.dispose()
    assert one.do("ask") == "unheard"  # an audited hit gives what the database says
    assert one.do("audits")["wrong"] == 1
    assert any("differs from the database's" in line for line in one.do("said"))


def test_what_one_has_read_the_others_need_not(hire: Callable[..., Worker]) -> None:
    one = settled(hire())
    assert one.do("warm") == {"name": "old", **SERVED}
    two = hire()
    before = two.do("hits")
    assert two.do("read") == {"name": "old"}
    # who the database is has to be asked once
    assert two.do("read") == {"name": "old"}
    assert two.do("hits")["statements"] > before["statements"]
    assert two.do("hits")["loads"] <= 1


@pytest.mark.parametrize("way", ["commit_async", "raw"])
def test_every_way_to_write_is_heard_by_all(
    hire: Callable[..., Worker], way: str
) -> None:
    one, two = settled(hire()), hire()
    assert two.do("warm") == {"name": "old", **SERVED}
    one.do(way, "new")
    assert two.do("read") == {"name": "new"}
    two.do("sql", "UPDATE users SET name = 'text'")
    assert one.do("read") == {"name": "text"}


def test_a_forked_child_shares_as_well(hire: Callable[..., Worker]) -> None:
    one, two = settled(hire()), hire()
    assert two.do("warm") == {"name": "old", **SERVED}
    told = one.do("fork")
    assert told["warm"]["name"] == "old"
    assert told["fresh"] == {"name": "child", **SERVED}
    assert two.do("read") == {"name": "text"}
    assert one.do("read") == {"name": "text"}


def test_a_worker_that_ends_takes_nothing_with_it(hire: Callable[..., Worker]) -> None:
    one, two = settled(hire()), hire()
    assert two.do("warm") == {"name": "old", **SERVED}
    one.kill()
    assert two.do("warm") == {"name": "old", **SERVED}
    two.do("commit", "new")
    assert hire().do("read") == {"name": "new"}
