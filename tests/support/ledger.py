"""
A number that commits raise, and readers who must never see an older one.

Two caches in one process stand for two processes, so the database is a number here: a
commit of SQLAlchemy's would be heard of by both.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from yokedcache.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from yokedcache import YokedCache

LIMIT = 30.0


class Ledger:
    """
    What was written, and every answer that was older than a commit before it.

    Args:
        tags: what is read, each by itself.
        written: what each commit changes, if not those.
    """

    def __init__(
        self, tags: tuple[str, ...] = ("t",), written: tuple[str, ...] = ()
    ) -> None:
        self.tags = tags
        self.written = written or tags
        self.number = 0
        self.returned = 0
        """The newest number whose commit has returned."""
        self.wrong: list[tuple[int, int]] = []
        self.faults: list[BaseException] = []
        self.refused = 0
        self._lock = threading.Lock()

    def write(self, cache: YokedCache) -> None:
        """
        Commit a new number, if that can be announced.
        """
        store = cache.machine.store
        with self._lock:
            try:
                fence = store.fence(self.written)
            except StoreError:
                self.refused += 1
                return
            self.number += 1
            store.lift(fence)
            self.returned = self.number

    def load(self) -> int:
        """
        Read the database.
        """
        return self.number

    def judge(self, least: int, got: Any) -> None:
        """
        Note an answer to a read that began when `least` was the newest.
        """
        if got < least:
            self.wrong.append((got, least))

    def read(self, cache: YokedCache, tag: str) -> None:
        least = self.returned
        self.judge(least, cache.sync.get_or_set(f"n:{tag}", self.load, tags=[tag]))

    async def read_in_loop(self, cache: YokedCache, tag: str) -> None:
        least = self.returned
        got = await cache.get_or_set(f"n:{tag}", self._load, tags=[tag])
        self.judge(least, got)

    async def _load(self) -> int:
        return self.number

    @contextlib.contextmanager
    def busy(self, writer: YokedCache, *readers: YokedCache) -> Iterator[None]:
        """
        Write and read, in threads and in event loops, while the block runs.
        """
        over = threading.Event()
        work = [threading.Thread(target=self._writing, args=(writer, over))]
        work.extend(
            threading.Thread(target=target, args=(reader, over))
            for reader in readers
            for target in (self._reading, self._reading_in_loop)
        )
        for thread in work:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in work:
                thread.join(LIMIT)
        assert not any(thread.is_alive() for thread in work)
        assert self.faults == []

    def _writing(self, cache: YokedCache, over: threading.Event) -> None:
        with self._watched():
            # a commit now and then: under a fence nothing can be a hit
            while not over.wait(0.05):
                self.write(cache)

    def _reading(self, cache: YokedCache, over: threading.Event) -> None:
        with self._watched():
            while not over.wait(0.002):
                for tag in self.tags:
                    self.read(cache, tag)

    def _reading_in_loop(self, cache: YokedCache, over: threading.Event) -> None:
        async def read() -> None:
            while not over.is_set():
                await asyncio.gather(
                    *(self.read_in_loop(cache, tag) for tag in self.tags)
                )
                await asyncio.sleep(0.002)

        with self._watched():
            asyncio.run(read())

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.faults.append(error)
            raise


def is_hit(cache: YokedCache, read: Callable[[], Any]) -> bool:
    """
    Tell whether a read is answered without loading.
    """
    before = cache.stats().total.hits
    read()
    return cache.stats().total.hits > before


LEAVING = """
import asyncio, gc, sys, warnings
from yokedcache import YokedCache
warnings.simplefilter("error")
cache = YokedCache(sys.argv[1], store_timeout=10, lease=0.2)
async def ask():
    await asyncio.gather(*(cache.get(str(n)) for n in range(9)), cache.set("a", 1))
for _ in range(3):
    asyncio.run(ask())
    gc.collect()
cache.sync.get("a")
cache.sync.close()
del cache
gc.collect()
"""


def leave_loops(url: str) -> str:
    """
    Use a store in event loops that end, in a process; give what that complains of.
    """
    done = subprocess.run(
        [sys.executable, "-c", LEAVING, url],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stderr
