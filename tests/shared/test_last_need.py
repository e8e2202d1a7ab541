"""
The thread that tells a shared store what it is owed ends if there is nothing to do.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from tests.services.processes import wait_until
from tests.services.proxy import Proxy
from tests.support.held import LIMIT
from yokedcache import YokedCache
from yokedcache.shared import fencing

if TYPE_CHECKING:
    import pytest

    from tests.services.redis import RedisServer


class Gate:
    """
    A lock, before which the thread waits once that is about to end.
    """

    def __init__(self) -> None:
        self.met, self.open = threading.Event(), threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if sys._getframe(1).f_code.co_name in {"_is_over", "_run"}:
            self.met.set()
            assert self.open.wait(LIMIT)
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_what_is_owed_just_as_it_ends_is_told(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Proxy((server.host, server.port)) as proxy:
        settings: dict[str, Any] = {"lease": 0.1, "announce_timeout": 0.1}
        cache = YokedCache(server.url(port=proxy.port), **settings)
        wait_until(lambda: cache.sync.set("settled", 1))

        def owe(tag: str) -> None:
            proxy.refuse()
            proxy.cut()
            cache.sync.invalidate_tags(tag)
            assert cache.stats().owed == 1
            proxy.restore()

        owe("first")
        wait_until(lambda: cache.stats().owed == 0)
        gate = Gate()
        monkeypatch.setattr(fencing, "_IDLE", 0.0)
        monkeypatch.setattr(cache.machine.store._fencing, "_lock", gate)
        assert gate.met.wait(LIMIT)
        owe("last")
        gate.open.set()
        wait_until(lambda: cache.stats().owed == 0)
        cache.sync.close()


def test_what_is_owed_is_told_though_there_was_no_thread_left(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with Proxy((server.host, server.port)) as proxy:
        settings: dict[str, Any] = {"lease": 0.1, "announce_timeout": 0.1}
        cache = YokedCache(server.url(port=proxy.port), **settings)
        wait_until(lambda: cache.sync.set("settled", 1))
        proxy.refuse()
        proxy.cut()
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", start)
            cache.sync.invalidate_tags("t")
        assert cache.stats().owed == 1
        proxy.restore()
        wait_until(lambda: cache.sync.set("again", 1))
        wait_until(lambda: cache.stats().owed == 0)
        cache.sync.close()
