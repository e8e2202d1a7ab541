"""
One of several processes that share a store, for holes that open between two of them.

It is spoken to as a worker is (`tests.workers`). Here reads can be held back, and commits
stopped, and what is read meanwhile is judged by what the database said just before.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psycopg
from sqlalchemy import create_engine, event, select
from sqlalchemy.orm import sessionmaker

from tests.services.processes import wait_until
from tests.support.held import LIMIT, Held, waiting_for
from tests.support.looking import name as name_told
from tests.support.models import User
from tests.workers.worker import serve
from yokedcache import YokedCache, cached
from yokedcache.shared.resting import Rest

PLAIN: Any = sessionmaker()
"""Sessions that no cache answers."""


@cached(ttl=600, vary=None)
def name() -> str:
    """
    Read the name, as functions do that open their own session.
    """
    return name_told(PLAIN)


@cached(ttl=600)
def name_unvaried() -> str:
    """
    Read it, and don't say whether anything varies.
    """
    return name_told(PLAIN)


class Member:
    """
    A cache, an engine, and the commands.
    """

    def __init__(self, url: str, settings: dict[str, Any]) -> None:
        self.engine = create_engine(url, **settings.pop("engine", {}))
        self.cache = YokedCache(jitter=0, **settings)
        PLAIN.configure(bind=self.engine)
        self.sessions = self.cache.attach(sessionmaker(self.engine))
        self.pool = ThreadPoolExecutor(8)
        self.begun: dict[str, Future[Any]] = {}
        self.fillers: list[Future[None]] = []
        self.over = threading.Event()
        self.told: set[str] = set()
        self.older = 0

    # reading

    def settle(self) -> str:
        """
        Wait until the store is relied on; who the database is is known then.
        """
        wait_until(lambda: self.cache.sync.set("settled", 1))
        return name_told(self.sessions)

    def ask(self) -> list[str]:
        """
        Give what the database says, and then what a session and a function say.
        """
        return [name_told(PLAIN), name_told(self.sessions), name()]

    def served(self) -> str:
        """
        Read until a session and a function are answered without the database.
        """
        while True:
            before = self.hits()
            _, one, other = self.ask()
            if self.hits() == before + 2:
                assert one == other
                return one

    def hits(self) -> int:
        return self.cache.stats().total.hits

    def runs(self) -> int:
        """
        Tell how often this process ran the function.
        """
        told = self.cache.stats().by_name.get(name.handle.core.name)  # type: ignore[attr-defined]
        return 0 if told is None else told.loads

    def unvaried(self) -> str:
        return str(name_unvaried())

    def listen(self) -> None:
        """
        Have a listener of this process's sessions ask for somebody else, as tenants have.
        """

        @event.listens_for(PLAIN, "do_orm_execute")
        def ask_for_bob(state: Any) -> None:
            state.statement = select(User.name).where(User.id == 2)

    # one load, held back

    def lead(self) -> None:
        """
        Begin to load, and stop with the row in hand.
        """
        self.held = Held(self.engine)
        self.begun["lead"] = self.pool.submit(name)
        assert self.held.begun.wait(LIMIT)

    def land(self) -> str:
        """
        End that load.
        """
        self.held.release()
        told = self.begun.pop("lead").result(LIMIT)
        self.held.remove()
        return str(told)

    def wait(self) -> None:
        """
        Begin to wait for the load of another process, or of this one.
        """
        rests, here = threading.Event(), Rest.here

        def noted(rest: Rest) -> None:
            rests.set()
            here(rest)

        Rest.here = noted  # type: ignore[method-assign]
        self.begun["wait"] = self.pool.submit(name)
        wait_until(lambda: rests.is_set() or waiting_for(self.cache) > 0)
        Rest.here = here  # type: ignore[method-assign]

    def waited(self) -> str:
        """
        Give what it was waited for.
        """
        return str(self.begun.pop("wait").result(LIMIT))

    # reading all the time

    def fill(self) -> None:
        """
        Read and store all the time.
        """
        self.over.clear()
        self.fillers = [self.pool.submit(self._filling) for _ in range(2)]

    def _filling(self) -> None:
        while not self.over.is_set():
            there, *told = self.ask()
            self.told.update(told)
            self.older += sum(one < there for one in told)

    def filled(self) -> dict[str, Any]:
        """
        End that; give what was told, and how often something that was gone by then.

        Names grow, so the older of two is the smaller.
        """
        self.over.set()
        for filler in self.fillers:
            filler.result(LIMIT)
        told, self.told = sorted(self.told), set()
        return {"told": told, "older": self.older}

    def inquired(self, times: int = 2) -> int:
        """
        Wait until the database was asked so often about a fence; give the hits meanwhile.
        """
        before, counted = self.hits(), [0.0]
        fencing: Any = self.cache.machine.store._fencing  # type: ignore[attr-defined]

        def enough() -> bool:
            for orphan in list(fencing._orphans._met.values()):
                if orphan.due > counted[-1]:
                    counted.append(orphan.due)
            return len(counted) > times

        # what was begun before the first inquiry may have been answered before the fence
        wait_until(lambda: bool(fencing._orphans._met))
        before = self.hits()
        wait_until(enough)
        return self.hits() - before

    # writing

    def commit(self, to: str) -> None:
        with PLAIN.begin() as session:
            session.get_one(User, 1).name = to

    def stop_around_commit(self, to: str) -> None:
        """
        Commit; stop (SIGSTOP) with the fence up and COMMIT unsent, and with it answered.
        """
        commit, stopping = psycopg.Connection.commit, threading.get_ident()

        def stop() -> None:
            if threading.get_ident() == stopping:
                signal.pthread_kill(stopping, signal.SIGSTOP)

        def stopped(connection: Any) -> None:
            stop()
            commit(connection)
            stop()

        psycopg.Connection.commit = stopped  # type: ignore[method-assign]
        try:
            self.commit(to)
        finally:
            psycopg.Connection.commit = commit  # type: ignore[method-assign]


def main() -> None:
    """
    Be a member; what is under way at the end is left.
    """
    serve(Member(sys.argv[1], json.loads(sys.argv[2])))
    os._exit(0)


if __name__ == "__main__":
    main()
