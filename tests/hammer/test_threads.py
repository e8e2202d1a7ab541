"""
Threads at one row: no answer is older than a commit that returned.
"""

from __future__ import annotations

import contextlib
import random
import threading
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import OperationalError

from tests.hammer.anvil import (
    PACE,
    STATEMENTS,
    Anvil,
    Count,
    by_column,
    by_entity,
    by_get,
    by_text,
    setup,
    spoil,
    write,
)
from yokedcache import YokedCache, cached

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

    from tests.support.databases import Blog


class Threads:
    """
    Readers and writers in threads.
    """

    def __init__(self, blog: Blog, cache: YokedCache) -> None:
        self.attached, self.plain = blog.attached(cache), blog.sessions
        self.count = Count(cache)
        self.lock = threading.Lock()
        self.pace = threading.Semaphore(0)
        self.functions = self._functions(cache)

    def _functions(self, cache: YokedCache) -> list[Callable[[Session], int]]:
        @cached(cache=cache)
        def own() -> int:
            with self.plain() as session:
                return by_entity(session)

        @cached(cache=cache)
        def around() -> int:
            with self.attached() as session:
                return own() if by_text(session) % 2 else by_column(session)

        @cached(cache=cache)
        def entity(session: Session) -> Anvil:
            return session.get_one(Anvil, 1)

        return [
            cached(by_get, cache=cache),
            lambda _: own(),
            lambda _: around(),
            lambda session: entity(session).count,
        ]

    def read(self, dice: random.Random) -> None:
        way = dice.choice((*STATEMENTS, *self.functions))
        makers = (self.attached,) if way in STATEMENTS else (self.attached, self.plain)
        floor = self.count.done
        with dice.choice(makers)() as session:
            seen = way(session)
        self.count.check(floor, seen, repr(way))
        self.pace.release()

    def reader(self, seed: int) -> None:
        dice = random.Random(seed)
        while self.count.going:
            with contextlib.suppress(OperationalError):  # SQLite is busy
                self._said(self.read, dice)

    def writer(self, seed: int) -> None:
        dice = random.Random(seed)
        maker = dice.choice((self.plain, self.attached))
        while self.count.going:
            with contextlib.suppress(OperationalError), self.lock, maker() as session:
                self._said(self.write, session, dice)
            for _ in range(dice.randrange(PACE)):
                self.pace.acquire(timeout=0.01)

    def write(self, session: Session, dice: random.Random) -> None:
        if dice.random() < 0.3:
            spoil(session)
            return
        number = self.count.done + 1
        write(session, number, dice)
        session.commit()
        self.count.done = number

    def _said(self, what: Callable[..., None], *args: Any) -> None:
        try:
            what(*args)
        except OperationalError:
            raise
        except Exception as error:  # noqa: BLE001 - told at the end
            self.count.wrong.append(repr(error))


def test_threads_are_given_nothing_older_than_a_commit(
    blog: Blog, cache: YokedCache
) -> None:
    setup(blog.engine)
    hammer = Threads(blog, cache)
    threads = [threading.Thread(target=hammer.reader, args=(n,)) for n in range(4)]
    threads += [threading.Thread(target=hammer.writer, args=(n,)) for n in (10, 11)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    hammer.count.judge()


def test_threads_under_audit_raise_no_false_alarm(blog: Blog) -> None:
    cache = YokedCache(jitter=0, verify=1.0)
    test_threads_are_given_nothing_older_than_a_commit(blog, cache)
    stats = cache.stats()
    assert stats.audited > 5
    assert stats.wrong == {}
    cache.sync.close()
