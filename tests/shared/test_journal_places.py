"""
What processes of one store have left is taken over, and nothing of another store's.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

import pytest

from yokedcache import opening
from yokedcache.settings import read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from yokedcache.shared.journal import Journal

    JournalOf = Callable[..., Journal]

REDIS_ALIKE = (
    ("redis://h", "redis://h:6379/0"),
    ("redis://h", "valkey://H/"),
    ("redis://h/1", "redis://h/?db=1"),
    ("redis://h/1", "redis://h/5?db=1"),
    ("redis://h/1", "redis://me:secret@h/1"),
    ("redis://me:one@h/1", "redis://me:other@h/1"),
    ("redis://h/1?password=one", "redis://h/1?password=other&username=me"),
    ("redis://h/1", "redis://h/1?socket_keepalive=true&lease=2s"),
    ("redis:///2", "redis://localhost:6379/2"),
    ("rediss://h:1/2", "valkeys://h:1/?db=2&ssl_check_hostname=false"),
    ("unix:///run/r.sock", "unix://me:secret@/run/r.sock?db=0"),
    ("redis+sentinel://a,b/s", "valkey+sentinel://B:26379,a/s/0"),
    ("redis+sentinel://a,b/s/1", "redis+sentinel://u:p@b,a/s?db=1"),
    ("redis+sentinel://a/s", "redis+sentinel://a,a/s?sentinel_password=p"),
    ("redis+cluster://a,b", "redis+cluster://u:p@b:6379,a:6379/0"),
    ("redis+cluster://[::1]:1,b", "valkey+cluster://b,[::1]:1"),
)

REDIS_APART = (
    ("redis://h/1", "redis://h/2"),
    ("redis://h/?db=1", "redis://h/?db=2"),
    ("redis://h/1?db=2", "redis://h/1"),
    ("redis://h", "redis://h:6380"),
    ("redis://h", "redis://i"),
    ("redis://h", "rediss://h"),
    ("redis:///?port=1", "redis:///?port=2"),
    ("redis:///?host=a", "redis:///?host=b"),
    ("unix:///run/r.sock", "unix:///run/s.sock"),
    ("unix:///run/r.sock?db=1", "unix:///run/r.sock?db=2"),
    ("redis://h:26379/1", "redis+sentinel://h/s/1"),
    ("redis://h", "redis+cluster://h"),
    ("redis+sentinel://a,b/s", "redis+sentinel://a,b/t"),
    ("redis+sentinel://a,b/s/1", "redis+sentinel://a,b/s/2"),
    ("redis+sentinel://a,b/s?db=1", "redis+sentinel://a,b/s?db=2"),
    ("redis+sentinel://a,b/s", "redis+sentinel://a,c/s"),
    ("redis+cluster://a,b", "redis+cluster://a,b:1"),
    ("redis+cluster://a", "redis+cluster://a?host=b"),
)

OTHERS_ALIKE = (
    ("memcached://a,b", "memcached://B:11211,a"),
    ("memcached://[::1],a:1", "memcached://a:1,[::1]:11211"),
    ("postgresql://h/shop", "postgres://me:secret@h:5432/shop"),
    ("postgresql://h/shop", "postgresql:///?host=H&dbname=shop&sslmode=disable"),
    ("postgresql://h/shop", "postgresql://h/shop?user=you&application_name=x"),
    ("postgresql://me@h", "postgresql://you@h/me"),
    ("postgresql://a:1,b:2/shop", "postgresql://b:2,a:1/shop"),
    ("postgresql://a,b/shop?port=1", "postgresql://b:1,a:1/shop"),
    (
        "postgresql:///s?host=a,b&hostaddr=1.1.1.1,2.2.2.2",
        "postgresql:///s?host=b,a&hostaddr=2.2.2.2,1.1.1.1",
    ),
    ("postgresql://%2Frun%2Fa/shop", "postgresql:///shop?host=/run/a"),
    ("sqlite:////srv/c.db", "sqlite:////srv/../srv/c.db?lease=2s"),
)

OTHERS_APART = (
    ("memcached://a,b", "memcached://a"),
    ("memcached://a:1,b:2", "memcached://a:2,b:1"),
    ("memcached://a", "redis://a:11211"),
    ("postgresql:///shop?host=/run/a", "postgresql:///shop?host=/run/b"),
    ("postgresql:///shop?host=/run/a", "postgresql:///shop?host=/run/A"),
    ("postgresql:///shop?host=h&port=1", "postgresql:///shop?host=h&port=2"),
    ("postgresql:///shop?hostaddr=1.1.1.1", "postgresql:///shop?hostaddr=2.2.2.2"),
    ("postgresql:///?dbname=a", "postgresql:///?dbname=b"),
    ("postgresql://h/a", "postgresql://h/A"),
    ("postgresql://me@h", "postgresql://you@h"),
    ("postgresql://a:1,b:2/shop", "postgresql://a:2,b:1/shop"),
    # a pooler of many databases is told by these which one is meant
    ("postgresql://me.one:p@h/shop", "postgresql://me.two:p@h/shop"),
    ("postgresql://h/shop?options=x%3Done", "postgresql://h/shop?options=x%3Dtwo"),
    ("postgresql:///?service=one", "postgresql:///?service=two"),
    ("sqlite:////srv/c.db", "sqlite:////srv/d.db"),
)


@pytest.fixture
def journal_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JournalOf:
    """
    Give a function that gives the journal which a cache with some URL opens.
    """
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)

    def opened(url: str, prefix: str = "yc") -> Journal:
        settings = read(url, {"prefix": prefix, "journal": tmp_path / "journal"})
        assert settings.url is not None
        client = opening._client(settings.url, settings, lambda: 0)
        made = opening._journal(settings, client)
        assert made is not None
        return made

    return opened


def takes_over(dead: Journal, heir: Journal) -> bool:
    """
    Tell whether one takes over what the other owes as it dies.
    """
    dead.page().owe(("a",))
    dead.begin_anew()
    left = heir.left()
    for page in left:
        page.abandon()
    for file in dead._folder.iterdir():
        file.unlink()
    return bool(left)


@pytest.mark.parametrize(("url", "other"), [*REDIS_ALIKE, *OTHERS_ALIKE])
def test_a_store_is_the_same_however_its_url_is_written(
    journal_of: JournalOf, url: str, other: str
) -> None:
    one, another = journal_of(url), journal_of(other)
    assert takes_over(one, another)
    assert takes_over(another, one)


@pytest.mark.parametrize(("url", "other"), [*REDIS_APART, *OTHERS_APART])
def test_other_stores_are_left_alone(
    journal_of: JournalOf, url: str, other: str
) -> None:
    one, another = journal_of(url), journal_of(other)
    assert not takes_over(one, another)
    assert takes_over(one, journal_of(url))


@pytest.mark.parametrize(
    "url",
    [
        "redis://h/1",
        "redis+cluster://a,b",
        "memcached://a",
        "postgresql://h/shop",
        "sqlite:////srv/c.db",
    ],
)
def test_two_prefixes_are_two_stores(journal_of: JournalOf, url: str) -> None:
    assert not takes_over(journal_of(url, "one"), journal_of(url, "other"))
    assert takes_over(journal_of(url, "one"), journal_of(url, "one"))


def test_what_postgresqls_environment_adds_is_part_of_the_place(
    journal_of: JournalOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = journal_of("postgresql://")
    for name, text in {"PGHOST": "h", "PGPORT": "7", "PGDATABASE": "shop"}.items():
        before = journal_of("postgresql://")
        monkeypatch.setenv(name, text)
        assert not takes_over(before, journal_of("postgresql://"))
    assert not takes_over(plain, journal_of("postgresql://"))
    assert takes_over(journal_of("postgresql://h:7/shop"), journal_of("postgresql://"))


def test_a_service_of_postgresql_is_what_its_file_says(
    journal_of: JournalOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = "postgresql:///?service=shop"
    file = tmp_path / "services"
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    unknown = journal_of(named)
    file.write_text("[shop]\nhost=h\nport=7\ndbname=shop\nsslmode=require\n")
    before = journal_of(named)
    assert not takes_over(unknown, before)
    assert takes_over(before, journal_of("postgresql://h:7/shop"))
    file.write_text("[shop]\nhost=i\nport=7\ndbname=shop\n")
    assert not takes_over(before, journal_of(named))
    monkeypatch.setenv("PGSERVICE", "shop")
    assert takes_over(journal_of("postgresql://"), journal_of(named))


def test_a_path_that_leads_to_another_file_by_now_is_another_store(
    journal_of: JournalOf, tmp_path: Path
) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    way = tmp_path / "current"
    way.symlink_to(tmp_path / "old")
    before = journal_of(f"sqlite:///{way}/c.db")
    assert takes_over(before, journal_of(f"sqlite:///{tmp_path}/old/c.db"))
    way.unlink()
    way.symlink_to(tmp_path / "new")
    assert not takes_over(before, journal_of(f"sqlite:///{way}/c.db"))


BROUGHT = """
from yokedcache.stores.sqlite.client import SqliteClient
from yokedcache.stores.sqlite.commands import Commands
from yokedcache.stores.sqlite.layout import Names

def client(settings):
    commands = Commands(Names(settings.prefix), lease=settings.lease, max_bytes=10**9)
    return SqliteClient("/srv/c.db", commands, lambda: 0.0)

class Bare:
    def __init__(self, settings):
        self._client = client(settings)
        for name in "commands perform perform_async close close_async begin_anew".split():
            setattr(self, name, getattr(self._client, name))

def bare(url, settings, ticket):
    return Bare(settings)

def placed(url, settings, ticket):
    return client(settings)
"""


@pytest.fixture
def _brought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """
    Install a package whose stores say where they are (`placed`), or don't (`bare`).
    """
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "brought_store.py").write_text(BROUGHT)
    folder = tmp_path / "brought-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Name: brought\nVersion: 1.0\n")
    points = "bare = brought_store:bare\nplaced = brought_store:placed\n"
    (folder / "entry_points.txt").write_text(f"[yokedcache.stores]\n{points}")
    importlib.invalidate_caches()
    yield
    sys.modules.pop("brought_store", None)


@pytest.mark.usefixtures("_brought")
@pytest.mark.parametrize(
    ("url", "other", "alike"),
    [
        ("bare://h/a?b=1", "bare://h/a?b=1&lease=2s", True),
        ("bare://h/a?b=1", "bare://h/a?b=2", False),
        ("bare://me:secret@h/a", "bare://me:changed@h/a", True),
        ("bare://me@h/a", "bare://you@h/a", False),
        ("bare://h/a#b", "bare://h/a#c", False),
        ("placed://h/a?b=1", "placed://h/b", True),
        ("placed://h/a", "bare://h/a", False),
        ("placed://h/a", "sqlite:////srv/c.db", False),
    ],
)
def test_a_store_of_others_is_its_url_unless_it_says_where_it_is(
    journal_of: JournalOf, url: str, other: str, alike: bool
) -> None:
    assert takes_over(journal_of(url), journal_of(other)) is alike
