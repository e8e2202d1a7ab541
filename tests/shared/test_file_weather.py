"""
A file that is none of ours, damaged, locked, full, deleted, replaced, or from before.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.services.processes import wait_until
from tests.support.files import on, path, settled
from yokedcache.errors import StoreError
from yokedcache.stores.sqlite import changing, machine
from yokedcache.stores.sqlite.commands import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from yokedcache import YokedCache

__all__ = ["on", "path"]

pytestmark = pytest.mark.timeout(120)


def goes_on(cache: YokedCache) -> None:
    """
    Hold a cache to what an application needs of it, whatever its store does.
    """
    assert cache.sync.get("a", "nothing") == "nothing"
    assert not cache.sync.set("a", 1)
    assert cache.sync.get_or_set("b", lambda: 2) == 2
    cache.sync.invalidate_tags("t")
    assert cache.stats().store_failures > 0


def lines(caplog: pytest.LogCaptureFixture, said: str) -> int:
    return sum(said in record.getMessage() for record in caplog.records)


# a path that can't be meant


def test_a_folder_that_is_not_there(
    tmp_path: Path, on: Callable[..., YokedCache], caplog: pytest.LogCaptureFixture
) -> None:
    goes_on(on(tmp_path / "missing" / "cache.db"))
    assert f"there is no directory {tmp_path / 'missing'}" in caplog.text


def test_a_folder_is_no_file(
    tmp_path: Path, on: Callable[..., YokedCache], caplog: pytest.LogCaptureFixture
) -> None:
    goes_on(on(tmp_path))
    assert f"{tmp_path} is a directory" in caplog.text


def test_a_file_that_is_no_database_is_left_alone(
    path: Path, on: Callable[..., YokedCache], caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text("the novel that I have been writing for years" * 100)
    before = path.read_bytes()
    goes_on(on())
    assert "it is no SQLite database: delete it, or take another path" in caplog.text
    assert path.read_bytes() == before


def test_a_database_of_the_application_is_left_alone(
    path: Path, on: Callable[..., YokedCache], caplog: pytest.LogCaptureFixture
) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE users (id INTEGER PRIMARY KEY)")
    before = path.read_bytes()
    goes_on(on())
    assert "is a database of something else" in caplog.text
    assert path.read_bytes() == before


def test_a_file_of_another_version_says_so(
    path: Path, on: Callable[..., YokedCache], caplog: pytest.LogCaptureFixture
) -> None:
    settled(on()).sync.close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 2")
    goes_on(on())
    assert "was made by another version" in caplog.text


def test_an_empty_file_becomes_one(path: Path, on: Callable[..., YokedCache]) -> None:
    path.touch()
    assert settled(on()).stats().store_failures == 0


# a file that goes


def test_a_deleted_file_is_an_empty_cache(
    path: Path, on: Callable[..., YokedCache]
) -> None:
    one, other = settled(on()), settled(on())
    assert one.sync.set("a", 1, tags=["t"])
    assert other.sync.get("a") == 1
    for _ in range(3):
        path.unlink()  # what SQLite has beside it stays
        assert one.sync.get("a") is None
        assert other.sync.get("a") is None
        wait_until(lambda: one.sync.set("a", 1, tags=["t"]))
        assert other.sync.get("a") == 1
        other.sync.invalidate_tags("t")
        assert one.sync.get("a") is None
        assert one.sync.set("a", 1, tags=["t"])
    assert one.stats().store_failures == other.stats().store_failures == 0


def test_a_change_made_in_a_file_that_is_gone_is_made_again(
    path: Path, on: Callable[..., YokedCache]
) -> None:
    one, other = settled(on()), settled(on())
    assert other.sync.set("a", 1, tags=["t"])
    store: Any = one.machine.store
    tags = store.server.commands.tags(["t"])
    seen: list[Any] = []

    def change(link: Any) -> bytes:
        seen.append(link.identity)
        if len(seen) == 1:
            path.unlink()
        return changing.bump(link, tags, 200)

    store.server.perform(Operation("bump", change=change))
    assert len(set(seen)) == 2
    assert other.sync.get("a") is None


def test_what_was_restored_from_a_copy_is_not_served(
    path: Path, tmp_path: Path, on: Callable[..., YokedCache]
) -> None:
    one = settled(on())
    assert one.sync.set("a", "old", tags=["t"])
    one.sync.close()
    kept = shutil.copy(path, tmp_path / "kept.db")
    again = on()
    again.sync.invalidate_tags("t")
    Path(kept).replace(path)
    for cache in (again, on()):
        assert cache.sync.get("a") is None
    settled(again)
    assert again.sync.get("a") is None


def test_what_another_life_of_the_machine_left_is_not_served(
    on: Callable[..., YokedCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = settled(on())
    assert one.sync.set("a", "old", tags=["t"])
    one.machine.store.fence(["u"])  # its writer died with the machine
    one.sync.close()
    monkeypatch.setattr(machine, "BOOT", "another")
    after = on(orphan_grace=0.2)
    assert after.sync.get("a") is None
    settled(after)
    assert after.sync.get("a") is None

    def kept() -> bool:
        after.sync.get("b")
        return after.sync.set("b", 1, tags=["t", "u"])

    wait_until(kept)


# a file that can't be used


def damage(path: Path) -> None:
    """
    Overwrite all pages but the first, which says whose the file is.
    """
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))


def test_a_damaged_file_is_begun_anew(
    path: Path, on: Callable[..., YokedCache], caplog: pytest.LogCaptureFixture
) -> None:
    one = settled(on())
    assert one.sync.set("a", 1)
    one.sync.close()  # writes its log into the file
    damage(path)
    cache = on()
    assert cache.sync.get("a", "nothing") == "nothing"
    assert cache.stats().store_failures == 1
    assert path.with_name("cache.db-damaged").exists()
    assert lines(caplog, "it is damaged, and is begun anew") == 1
    settled(cache)
    assert cache.sync.get("settled") == 1
    assert cache.sync.get("a") is None


def test_a_file_damaged_while_it_is_open(
    path: Path, on: Callable[..., YokedCache]
) -> None:
    one, other = settled(on()), settled(on())
    assert one.sync.set("a", "x" * 100_000)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damage(path)
    for cache in (one, other):
        assert cache.sync.get("a") in {None, "x" * 100_000}  # it has pages in memory
    wait_until(lambda: one.sync.set("b", 1, tags=["t"]))
    wait_until(lambda: other.sync.get("b") == 1)
    other.sync.invalidate_tags("t")
    assert one.sync.get("b") is None


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


def test_a_locked_file_answers_and_takes_nothing(
    path: Path, on: Callable[..., YokedCache], caplog: pytest.LogCaptureFixture
) -> None:
    cache = settled(on(store_timeout=0.05, announce_timeout=0.1))
    other = settled(on())
    assert other.sync.set("a", 1, tags=["t"])
    with locked(path):
        assert cache.sync.get("a") == 1
        began = time.monotonic()
        assert not cache.sync.set("b", 1)
        cache.sync.invalidate_tags("t")
        assert time.monotonic() - began < 5
        assert cache.stats().owed == 1
        assert other.sync.get("a") == 1  # as the page says
        assert lines(caplog, "another process has it locked") >= 1
    wait_until(lambda: cache.stats().owed == 0)
    assert other.sync.get("a") is None


def test_an_event_loop_does_not_wait_for_a_lock(
    path: Path, on: Callable[..., YokedCache]
) -> None:
    cache = settled(on(store_timeout=0.2, announce_timeout=0.2))
    asyncio.run(beats_on(cache, path))
    wait_until(lambda: cache.stats().owed == 0)
    # others may have owed something, too: nothing is served for a while (`core.doubt`)
    wait_until(lambda: cache.sync.get("a") == 1)


async def beats_on(cache: YokedCache, path: Path) -> None:
    assert await cache.set("a", 1)
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0)
            beats += 1

    beating = asyncio.ensure_future(beat())
    with locked(path):
        assert not await cache.set("b", 1)
        await cache.invalidate_tags("t")
        seen = beats
    beating.cancel()
    assert seen > 20  # a loop that waited would have come round a few times


def test_under_refuse_a_locked_file_fails_a_commit(
    path: Path, on: Callable[..., YokedCache]
) -> None:
    cache = settled(on(announce_timeout=0.05, on_unreachable="refuse"))
    with locked(path), pytest.raises(StoreError, match="another process has it locked"):
        cache.machine.store.fence(["t"])


def test_a_full_disk_is_a_miss(
    on: Callable[..., YokedCache], caplog: pytest.LogCaptureFixture
) -> None:
    cache = settled(on())
    store: Any = cache.machine.store
    link = store.server.client._pool._free[-1]
    ((pages,),) = link.execute("PRAGMA page_count")
    link.execute(f"PRAGMA max_page_count = {pages}")
    assert not cache.sync.set("a", os.urandom(100_000))
    assert "there is no room left for it" in caplog.text
    assert cache.sync.get("settled") == 1
    assert cache.sync.set("b", 1)  # on a connection that may write more


def run(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_file_that_may_not_grow_is_a_miss(path: Path) -> None:
    said = run(
        """
import os, resource, signal, sys
from yokedcache import YokedCache
from yokedcache.testing.stores.processes import wait_until
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
cache = YokedCache(sys.argv[1], lease=0.2, store_timeout=5)
wait_until(lambda: cache.sync.set("a", 1))
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
assert not cache.sync.set("b", os.urandom(500_000))
assert cache.sync.get("a") == 1
assert cache.sync.get("b") is None
assert cache.sync.set("c", 2)
cache.sync.close()
""",
        f"sqlite:///{path}",
    )
    assert "it can't be read or written" in said or "no room" in said


def test_a_file_that_may_only_be_read() -> None:
    with tempfile.TemporaryDirectory() as folder:
        said = run(
            """
import os, sys
from yokedcache import YokedCache
from yokedcache.testing.stores.processes import wait_until
os.chmod(sys.argv[1], 0o755)
url = f"sqlite:///{sys.argv[1]}/cache.db"
settings = {"lease": 0.2, "store_timeout": 5, "announce_timeout": 0.1}
ours = YokedCache(url, **settings)
wait_until(lambda: ours.sync.set("a", 1))
theirs = YokedCache(url, **settings)
assert ours.sync.get_or_set("b", lambda: 3) == 3  # imports what is imported late
ours.sync.delete("b")
if os.getuid() == 0:
    os.setegid(65534), os.seteuid(65534)
else:
    os.chmod(sys.argv[1], 0o555), os.chmod(f"{sys.argv[1]}/cache.db", 0o444)
assert not theirs.sync.set("b", 1)
theirs.sync.invalidate_tags("t")
assert theirs.sync.get_or_set("c", lambda: 3) == 3
assert theirs.stats().owed == 1
if os.getuid() == 0:
    os.seteuid(0), os.setegid(0)
else:
    os.chmod(sys.argv[1], 0o755), os.chmod(f"{sys.argv[1]}/cache.db", 0o644)
""",
            folder,
        )
    assert "it can't be written" in said or "unable to open" in said


def test_what_can_not_be_read_in_it_is_a_miss(
    path: Path, on: Callable[..., YokedCache]
) -> None:
    cache = settled(on())
    for change in (
        "entries SET payload = substr(payload, 1, 3)",
        "entries SET payload = 'text'",
        "entries SET versions = x'00'",
        "entries SET versions = ''",
        "entries SET digests = x'0011'",
        "entries SET mark = x'00'",
        "tags SET fences = 'no list'",
        "tags SET fences = '[1]'",
        "tags SET version = 'text'",
    ):
        wait_until(lambda: cache.sync.set("a", 1, tags=["t"]))
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(f"UPDATE {change}")
        cache.machine.store.entries.clear()
        assert cache.sync.get("a") is None, change
    wait_until(lambda: cache.sync.set("a", 2, tags=["t"]))
    assert cache.sync.get("a") == 2
