"""
Answers near by: given out without asking for a while, and never for longer.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, func, select, text
from sqlalchemy.orm import Session, sessionmaker

from tests.services.processes import wait_until
from tests.shared.conftest import look_ups
from tests.shared.functions import Copy
from tests.support.models import Base, User
from yokedcache import YokedCache, cached
from yokedcache.errors import SettingsError, YokedCacheError
from yokedcache.settings import NEAR, read
from yokedcache.shared.hearing import Listener
from yokedcache.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services.redis import RedisServer

AGE = 10.0
"""Seconds of staleness that the tests allow; their clock stands still."""

THIS = sys.modules[__name__]


class Process:
    """
    A cache with a clock of its own, and what it asks the server.
    """

    def __init__(self, open_cache: Any, server: RedisServer, **settings: Any) -> None:
        self.clock = FakeClock()
        self.cache: YokedCache = open_cache(server, clock=self.clock, **settings)
        self.server = server
        self.copy = Copy(
            self.cache, "near", lambda n: [n, len(self.copy.calls)], tags=["t"]
        )

    def __call__(self, n: int = 1) -> Any:
        return self.copy(n)

    def asks(self, call: Callable[[], Any]) -> int:
        """
        Count the look-ups that a call takes.
        """
        before = look_ups(self.server)
        call()
        return look_ups(self.server) - before


@pytest.fixture(autouse=True)
def age_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Hear of nothing: that is for `test_backplane`.
    """
    monkeypatch.setattr(Listener, "_work", lambda _: None)


@pytest.fixture
def one(open_cache: Any, server: RedisServer) -> Process:
    made = Process(open_cache, server, near={"max_staleness": AGE})
    made.cache.sync.clear()
    return made


@pytest.fixture
def other(one: Process, open_cache: Any, server: RedisServer) -> Process:
    return Process(open_cache, server)


def test_nothing_is_asked_for_a_while(one: Process) -> None:
    assert one() == [1, 1]
    assert one.asks(one) == 0
    one.clock.advance(AGE - 0.001)
    assert one.asks(one) == 0
    one.clock.advance(0.001)
    assert one.asks(one) == 1  # and then for as long again
    one.clock.advance(AGE - 0.001)
    assert one.asks(one) == 0
    assert one() == [1, 1]


async def test_so_it_is_in_an_event_loop(one: Process) -> None:
    one.copy.be_here()
    function = one.copy.afunction
    assert await function(1) == [1, 1]
    before = look_ups(one.server)
    assert await function(1) == [1, 1]
    assert look_ups(one.server) == before
    one.clock.advance(AGE)
    assert await function(1) == [1, 1]
    assert look_ups(one.server) == before + 1


@pytest.mark.parametrize("change", ["tag", "refresh", "invalidate", "clear"])
def test_what_another_process_changes_is_seen_within_that_time(
    one: Process, other: Process, change: str
) -> None:
    one()
    one()
    if change == "tag":
        other.cache.sync.invalidate_tags("t")
    elif change == "clear":
        other.cache.sync.clear()
    else:
        other.copy.be_here()
        getattr(other.copy.function, change)(1)
    one.clock.advance(AGE)
    given = one()
    assert given == ([1, 2] if change != "refresh" else [1, 1])
    assert len(one.copy.calls) == (2 if change != "refresh" else 1)


@pytest.mark.parametrize("change", ["tag", "refresh", "invalidate", "clear"])
def test_what_this_process_changes_is_seen_at_once(one: Process, change: str) -> None:
    one()
    if change == "tag":
        one.cache.sync.invalidate_tags("t")
    elif change == "clear":
        one.cache.sync.clear()
    else:
        getattr(one.copy.function, change)(1)
    assert one() == [1, 2]


def test_a_ttl_is_kept(open_cache: Any, server: RedisServer) -> None:
    one = Process(open_cache, server, near={"max_staleness": 1000.0}, ttl=50)
    one.cache.sync.clear()
    one()
    one.clock.advance(51)
    assert one() == [1, 2]


def test_an_answer_made_of_others_is_made_of_what_was_asked(
    one: Process, other: Process
) -> None:
    one()
    one()
    other.cache.sync.invalidate_tags("t")

    @cached(cache=one.cache)
    def outer() -> Any:
        return one()

    # it would be kept, and be as old for everyone
    assert outer() == [1, 2]


def test_plain_keys_are_near_as_well(one: Process, other: Process) -> None:
    one.cache.sync.set("k", 1)
    assert one.asks(lambda: one.cache.sync.get("k")) == 0
    other.cache.sync.set("k", 2)
    one.clock.advance(AGE)
    assert one.cache.sync.get("k") == 2


def reading(one: Process, maker: sessionmaker[Session]) -> Callable[[], str]:
    """
    Give a cached function that reads the database, under a name that leads to it.
    """

    def user_name() -> str:
        with maker() as session:
            return session.scalars(select(User.name)).one()

    user_name.__qualname__ = "user_name"
    made: Callable[[], str] = cached(cache=one.cache, vary=None)(user_name)
    vars(THIS)["user_name"] = made
    return made


def test_hole_18_a_commit_of_this_process_is_seen_at_once(
    one: Process, maker: sessionmaker[Session]
) -> None:
    name = reading(one, maker)
    for number in range(3):
        with maker.begin() as session:
            session.get_one(User, 1).name = f"name {number}"
        assert name() == name() == f"name {number}"
    assert one.asks(name) == 0


def test_hole_18_under_its_own_fence_nothing_is_near(one: Process) -> None:
    one()
    fence = one.cache.machine.store.fence(["t"])  # before its COMMIT is sent
    assert one() == [1, 2]
    one.cache.machine.store.lift(fence)
    assert one() == [1, 3]
    assert one.asks(one) == 0


def test_hole_18_whoever_gets_a_lock_sees_what_was_changed_under_it(
    one: Process, other: Process, postgres_url: str
) -> None:
    """
    A thousand times a lock changes hands, and nobody has heard of anything yet.
    """
    engine = create_engine(postgres_url)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.merge(User(id=1, name="old"))
        session.commit()
    sibling = [0]
    near = Copy(one.cache, "sibling", lambda _: sibling[0], tags=["s"])
    locking = select(User.id).with_for_update()
    locked, seen = threading.Semaphore(0), threading.Semaphore(0)

    def write() -> None:
        for number in range(1, 1001):
            with Session(engine) as writer:
                writer.execute(locking)
                locked.release()
                sibling[0] = number
                other.cache.sync.invalidate_tags("s")
                writer.commit()
            seen.acquire()

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    for number in range(1, 1001):
        locked.acquire()
        with Session(engine) as session:
            session.execute(locking)
            assert near(1) == number
        seen.release()
    thread.join()
    assert near(1) == 1000  # the last one was asked while the writer held its lock yet
    assert one.asks(lambda: near(1)) == 0
    sibling[0] = -1
    other.cache.sync.invalidate_tags("s")
    assert near(1) == 1000  # who holds no lock may be behind
    engine.dispose()


def test_statements_are_always_asked(
    one: Process, maker: sessionmaker[Session]
) -> None:
    one.cache.attach(maker)

    def ask() -> None:
        with maker() as session:
            session.scalars(select(User)).all()

    wait_until(lambda: (ask(), one.cache.stats().total.hits)[1])
    assert one.asks(ask) == 1


LOCKS: dict[str, Any] = {
    "FOR UPDATE": select(User).with_for_update(),
    "FOR SHARE": select(User).with_for_update(read=True),
    "advisory": select(func.pg_advisory_xact_lock(1)),
    "a table": text("LOCK TABLE users IN SHARE MODE"),
}


@pytest.mark.parametrize("kind", [*LOCKS, "BEGIN IMMEDIATE", "a write"])
def test_hole_18_after_a_lock_or_a_write_all_is_asked(
    one: Process, maker: sessionmaker[Session], postgres_url: str, kind: str
) -> None:
    url = postgres_url if kind in LOCKS else None
    engine = create_engine(url) if url else maker.kw["bind"]
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.merge(User(id=1, name="old"))
        session.commit()
    one()
    with Session(engine) as session:
        session.execute(text("SELECT 1"))
        assert one.asks(one) == 0
        session.rollback()
        if kind in LOCKS:
            session.execute(LOCKS[kind])
        elif kind == "a write":
            session.get_one(User, 1).name = "new"
            session.flush()
        else:
            session.execute(text("BEGIN IMMEDIATE"))
        assert one.asks(one) == 1
        assert one.asks(lambda: one.cache.sync.get("settled")) == 1
        session.rollback()
    assert one.asks(one) == 0
    if url:
        engine.dispose()


@pytest.mark.parametrize(
    ("given", "age"),
    [
        (True, NEAR),
        (False, 0.0),
        ({}, NEAR),
        ({"max_staleness": "2s", "entries": 5}, 2.0),
    ],
)
def test_near_is_a_setting(given: Any, age: float) -> None:
    settings = read("redis://localhost", {"near": given})
    assert settings.near == age
    if given and given is not True:
        assert settings.max_entries == given["entries"]


@pytest.mark.parametrize(
    ("text", "age"), [("true", NEAR), ("false", 0.0), ("0.5", 0.5), ("1m", 60.0)]
)
def test_near_may_stand_in_the_url(text: str, age: float) -> None:
    assert read(f"redis://localhost?near={text}", {}).near == age


@pytest.mark.parametrize(
    "given", [3, None, "yes", {"age": 1}, {"max_staleness": -1}, {"entries": 0}]
)
def test_near_that_means_nothing_is_an_error(given: Any) -> None:
    with pytest.raises(YokedCacheError) as raised:
        read("redis://localhost", {"near": given})
    assert issubclass(type(raised.value), SettingsError) or "max_st" in str(
        raised.value
    )
