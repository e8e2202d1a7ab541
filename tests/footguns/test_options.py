"""
Footgun 56: an option that does nothing.
"""

from __future__ import annotations

import dataclasses
import gc
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.models import User
from yokedcache import YokedCache
from yokedcache.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.databases import Blog


def entries_kept(**settings: Any) -> int:
    cache = YokedCache(**settings)
    for number in range(50):
        cache.sync.set(f"key {number}", "x" * 100)
    kept = cache.stats().entries
    cache.sync.close()
    return kept


def first_ttl(**settings: Any) -> float:
    cache = YokedCache(**settings)
    cache.sync.set("key", 1)
    left = cache.explain("key").fresh_for
    cache.sync.close()
    return round(left)


def prefix_works(**settings: Any) -> bool:
    cache = YokedCache(**settings)
    try:
        cache.sync.invalidate_prefix("a")
    except ValueError:
        return False
    finally:
        cache.sync.close()
    return True


def jittered(**settings: Any) -> bool:
    cache = YokedCache(**settings)
    for number in range(20):
        cache.sync.set(str(number), 1, ttl=1000)
    left = {round(cache.explain(str(number)).fresh_for) for number in range(20)}
    cache.sync.close()
    return len(left) > 2


EFFECTS: dict[str, Callable[[], bool]] = {
    "ttl": lambda: first_ttl(ttl=7, jitter=0) == 7 != first_ttl(jitter=0),
    "jitter": lambda: jittered(jitter=0.5) and not jittered(jitter=0),
    "max_entries": lambda: entries_kept(max_entries=5) == 5 < entries_kept(),
    "max_bytes": lambda: 0 < entries_kept(max_bytes=10_000) < 50 == entries_kept(),
    "prefixes": lambda: prefix_works(prefixes=["a"]) and not prefix_works(),
}
ELSEWHERE = {
    "max_rows": "tests/holes/test_hole_21.py",
    "max_recording": "tests/holes/test_hole_21.py",
    "flight_timeout": "tests/cache/test_cached_bad_input.py",
    "orphan_grace": "tests/footguns/test_options.py",
    "single_process": "tests/workers/test_two_workers.py",
    "verify": "tests/sqlalchemy/test_audit.py",
    "near": "tests/shared/test_near.py",
    "url": "tests/shared/test_settings.py",
    "max_file_bytes": "tests/shared/test_file_size.py",
    "prefix": "tests/shared/test_settings.py",
    "lease": "tests/shared/test_weather.py",
    "store_timeout": "tests/shared/test_weather.py",
    "announce_timeout": "tests/shared/test_weather.py",
    "on_unreachable": "tests/shared/test_weather.py",
    "journal": "tests/shared/test_journal.py",
    "watch_files": "tests/workers/test_file_watch.py",
}


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Settings)])
def test_footgun_56_every_setting_does_something(name: str) -> None:
    if name in ELSEWHERE:
        assert name not in EFFECTS
    else:
        assert EFFECTS[name]()


def test_footgun_56_orphan_grace_says_how_long_a_lost_commit_keeps_tags_uncached(
    blog: Blog,
) -> None:
    """
    Where the server can't be asked: here the driver doesn't say who it was.
    """
    if blog.engine.dialect.name == "sqlite":
        blog.engine.dialect.is_disconnect = lambda *_: True  # type: ignore[method-assign]
    cache = YokedCache(orphan_grace="700ms")
    sessions = blog.attached(cache)

    def served() -> bool:
        with sessions() as session:
            session.get_one(User, 1)
        with blog.counted() as sent, sessions() as session:
            session.get_one(User, 1)
        return not sent

    assert served()
    session = blog.sessions()
    session.add(User(id=4, name="dan"))
    session.flush()
    connection = session.connection()
    raw: Any = connection.connection.dbapi_connection

    class Cut:
        def __getattr__(self, name: str) -> Any:
            if name in {"info", "thread_id", "driver_connection"}:
                raise AttributeError(name)
            return getattr(raw, name)

        def commit(self) -> None:
            raw.rollback()
            raise connection.dialect.dbapi.OperationalError("the line is dead")  # type: ignore[union-attr]

    connection.connection.dbapi_connection = Cut()  # type: ignore[assignment]
    lost = time.monotonic()
    with pytest.raises(Exception, match="the line is dead"):
        session.commit()
    assert not served()
    connection.invalidate()
    session.close()
    ended = threading.Event()
    while not served():
        ended.wait(0.005)
    assert time.monotonic() - lost >= 0.7
    gc.collect()  # the lost connection goes now, and disturbs nobody later
    cache.sync.close()
