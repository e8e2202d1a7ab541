"""
What couldn't be announced is told by others if its process dies.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session, sessionmaker

from tests.services.processes import wait_until
from tests.services.proxy import Proxy
from tests.support.models import Base, User
from yokedcache import YokedCache
from yokedcache.errors import SettingsError
from yokedcache.shared.debts import Debts
from yokedcache.shared.journal import Journal, Page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.services.redis import RedisServer

SETTINGS: dict[str, Any] = {"lease": 0.5, "jitter": 0.0, "store_timeout": 10.0}
URL = "redis://localhost:1/0"

WRITER = """
import sys
from sqlalchemy import create_engine, update
from tests.support.models import User
from yokedcache import YokedCache

way, folder, database = sys.argv[1:]
cache = YokedCache(way, lease=0.5, store_timeout=0.5, announce_timeout=0.2, journal=folder)
engine = create_engine(database)
with engine.begin() as connection:
    connection.execute(update(User).values(name="first"))
print("ready", cache.stats().owed, flush=True)
sys.stdin.readline()
with engine.begin() as connection:
    connection.execute(update(User).values(name="new"))
print("committed", cache.stats().owed, flush=True)
sys.stdin.readline()
"""


class Way(Proxy):
    """
    A way to a server that can be cut.
    """

    def __init__(self, server: RedisServer) -> None:
        super().__init__((server.host, server.port))
        self.server = server

    @property
    def url(self) -> str:
        return self.server.url(port=self.port)

    def end(self) -> None:
        self.refuse()
        self.cut()


@pytest.fixture
def way(redis_server: RedisServer) -> Iterator[Way]:
    with Way(redis_server) as made:
        yield made


@pytest.fixture
def opened() -> Iterator[Callable[..., YokedCache]]:
    caches: list[YokedCache] = []

    def make(url: str, **settings: Any) -> YokedCache:
        caches.append(YokedCache(url, **{**SETTINGS, **settings}))
        return caches[-1]

    yield make
    for cache in caches:
        cache.sync.close()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sessionmaker[Session]]:
    engine = create_engine(f"sqlite:///{tmp_path}/app.db")
    Base.metadata.create_all(engine)
    maker = sessionmaker(engine)
    with maker.begin() as session:
        session.add(User(id=1, name="old"))
    yield maker
    engine.dispose()


def name(maker: sessionmaker[Session]) -> str:
    with maker() as session:
        return session.scalars(select(User.name)).one()


def attached(maker: sessionmaker[Session], cache: YokedCache) -> sessionmaker[Session]:
    own = sessionmaker(maker.kw["bind"])
    cache.attach(own)
    return own


def dies_in_an_outage(
    way: Way, folder: Path, maker: Any, url: str | None = None
) -> None:
    """
    Let a process commit while it doesn't reach the store, and kill it.
    """
    database = maker.kw["bind"].url.render_as_string()
    command = [sys.executable, "-c", WRITER, url or way.url, str(folder), database]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready 0\n"
        way.end()
        writer.stdin.write("\n")
        writer.stdin.flush()
        assert writer.stdout.readline() == "committed 1\n"
        writer.send_signal(signal.SIGKILL)
    way.restore()


def test_who_comes_next_tells_what_a_process_owed_that_was_killed(
    way: Way,
    opened: Callable[..., YokedCache],
    database: sessionmaker[Session],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "journal"
    reader = opened(way.server.url())
    read = attached(database, reader)
    dies_in_an_outage(way, folder, database)

    def kept() -> bool:
        before = reader.stats().total.hits
        name(read)
        return reader.stats().total.hits > before

    wait_until(kept)
    assert len(list(folder.iterdir())) == 1
    (left,) = folder.iterdir()
    names = json.loads(left.read_bytes().split(b"\n")[1])["names"]
    assert any(tag.startswith("table:users@") for tag in names)

    told: list[object] = []
    settle = Debts.settle

    def unable(debts: Debts) -> bool:
        told.append(debts)
        return False

    monkeypatch.setattr(Debts, "settle", unable)
    heir = opened(way.url, journal=folder)
    wait_until(lambda: told)
    # until the store is told nothing of it is served here
    assert name(attached(database, heir)) == "new"
    assert heir.stats().total.hits == 0
    before = reader.stats().total.hits
    name(read)
    assert reader.stats().total.hits == before + 1
    monkeypatch.setattr(Debts, "settle", settle)
    wait_until(lambda: heir.stats().owed == 0)
    before = reader.stats().total.hits
    assert name(read) == "new"
    assert reader.stats().total.hits == before
    assert list(folder.iterdir()) == []


def test_a_process_that_lives_through_the_outage_tells_it_too(
    way: Way,
    opened: Callable[..., YokedCache],
    database: sessionmaker[Session],
    tmp_path: Path,
) -> None:
    folder = tmp_path / "journal"
    sibling = opened(way.url, journal=folder, store_timeout=0.5, announce_timeout=0.2)
    wait_until(lambda: sibling.sync.set("settled", 1))
    dies_in_an_outage(way, folder, database)
    # it hasn't noticed any outage yet, and has another one's debt to tell after its own
    way.end()
    sibling.sync.invalidate_tags("own")
    assert sibling.stats().owed == 1
    assert len(list(folder.iterdir())) == 2
    way.restore()
    wait_until(lambda: sibling.stats().owed == 0)
    (own,) = folder.iterdir()
    assert own.read_bytes() == b""
    sibling.sync.close()
    assert list(folder.iterdir()) == []


def test_what_a_database_of_a_server_is_owed_no_other_is_told(
    way: Way,
    opened: Callable[..., YokedCache],
    database: sessionmaker[Session],
    tmp_path: Path,
) -> None:
    folder = tmp_path / "journal"
    owed, other = f"{way.url}?db=1", f"{way.url}?db=2"
    reader = opened(f"{way.server.url()}?db=1")
    read = attached(database, reader)
    dies_in_an_outage(way, folder, database, owed)

    def kept() -> bool:
        before = reader.stats().total.hits
        name(read)
        return reader.stats().total.hits > before

    wait_until(kept)
    left = list(folder.iterdir())
    assert len(left) == 1
    stranger = opened(other, journal=folder)
    # it serves nothing before it has told what it takes over
    wait_until(lambda: stranger.sync.set("a", 1) and stranger.sync.get("a") == 1)
    stranger.sync.close()
    assert list(folder.iterdir()) == left
    heir = opened(owed, journal=folder)
    wait_until(lambda: heir.stats().owed == 0)
    before = reader.stats().total.hits
    assert name(read) == "new"
    assert reader.stats().total.hits == before
    assert list(folder.iterdir()) == []


def test_what_is_told_in_time_leaves_nothing(
    way: Way,
    opened: Callable[..., YokedCache],
    tmp_path: Path,
) -> None:
    cache = opened(
        way.url,
        journal=str(tmp_path),
        store_timeout=0.5,
        announce_timeout=0.2,
    )
    wait_until(lambda: cache.sync.set("settled", 1))
    cache.sync.invalidate_tags("a")
    assert list(tmp_path.iterdir()) == []
    way.end()
    cache.sync.invalidate_tags("b")
    cache.sync.invalidate_tags("c")
    (file,) = tmp_path.iterdir()
    assert [b'"b"' in file.read_bytes(), b'"c"' in file.read_bytes()] == [True, True]
    way.restore()
    wait_until(lambda: cache.stats().owed == 0)
    assert file.read_bytes() == b""


def test_a_full_disk_fails_no_commit(
    way: Way,
    opened: Callable[..., YokedCache],
    database: sessionmaker[Session],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    cache = opened(
        way.url,
        journal=str(tmp_path / "journal"),
        store_timeout=0.5,
        announce_timeout=0.2,
    )
    wait_until(lambda: cache.sync.set("settled", 1))
    full = Path("/dev/full").open("ab", buffering=0)  # noqa: SIM115 - the journal's now
    store: Any = cache.machine.store
    store._fencing._debts._journal._page = Page(tmp_path / "full", full)
    way.end()
    with database.begin() as session:
        session.get_one(User, 1).name = "new"
    assert name(database) == "new"
    assert cache.stats().owed == 1
    assert "can't be written down" in caplog.text
    way.restore()
    wait_until(lambda: cache.stats().owed == 0)


def test_a_torn_line_is_left_out_and_so_is_what_was_told(tmp_path: Path) -> None:
    dead = Journal(tmp_path, URL, "yc")
    page = dead.page()
    assert [page.owe(("a",)), page.owe(("b", "ü")), page.owe(("c",))] == [0, 1, 2]
    page.told(1)
    with page._path.open("ab") as file:
        file.write(b'\n{"owe": 3, "na')
    page._file.close()
    (left,) = Journal(tmp_path, URL, "yc").left()
    assert list(left.owed.values()) == [("a",), ("c",)]
    left.close()


def test_what_isnt_a_journal_is_told_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dead = Journal(tmp_path, URL, "yc")
    dead.page().owe(("a",))
    with dead.page()._path.open("ab") as file:
        file.write(
            b'\n[]\n7\n{"owe": "x", "names": ["d"]}\n{"owe": 2, "names": "d"}\n\xff'
        )
    dead.page()._file.close()
    (left,) = Journal(tmp_path, URL, "yc").left()
    assert list(left.owed.values()) == [("a",)]
    assert "5 lines" in caplog.text
    left.close()


def test_files_of_the_living_and_of_other_stores_are_left_alone(tmp_path: Path) -> None:
    alive, ours = Journal(tmp_path, URL, "yc"), Journal(tmp_path, URL, "yc")
    alive.page().owe(("a",))
    assert ours.left() == []
    alive.close()
    for other in (
        Journal(tmp_path, URL, "other"),
        Journal(tmp_path, "redis://elsewhere:1/0", "yc"),
        Journal(tmp_path, "redis://localhost:1/2", "yc"),
    ):
        assert other.left() == []
    (left,) = Journal(tmp_path, URL, "yc").left()
    assert ours.left() == []
    left.owed.clear()
    left.close()
    assert ours.left() == []
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cant_be_written_is_said_at_once(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(SettingsError, match="nothing can be written there"):
        YokedCache(URL, journal=file / "journal")
    with pytest.raises(SettingsError, match="non-empty string"):
        YokedCache(URL, journal="")
