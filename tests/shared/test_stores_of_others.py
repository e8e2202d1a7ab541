"""
A store that another package brings.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import pytest

from tests.services.processes import wait_until
from yokedcache import YokedCache
from yokedcache.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CODE = """
from yokedcache.stores.sqlite.client import SqliteClient
from yokedcache.stores.sqlite.commands import Commands
from yokedcache.stores.sqlite.layout import Names

opened = []

def connect(url, settings, ticket):
    opened.append(url)
    commands = Commands(Names(settings.prefix), lease=settings.lease, max_bytes=10**9)
    return SqliteClient(url.partition("://")[2].partition("?")[0], commands, ticket)
"""


@pytest.fixture
def install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str, str], None]]:
    """
    Give a function that installs a package whose store has a scheme.
    """
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_store.py").write_text(CODE)

    def installed(name: str, points: str) -> None:
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[yokedcache.stores]\n{points}\n")
        importlib.invalidate_caches()

    yield installed
    sys.modules.pop("my_store", None)


def test_its_scheme_opens_it(
    install: Callable[[str, str], None], tmp_path: Path
) -> None:
    install("my-store", "mine = my_store:connect")
    cache = YokedCache(f"mine://{tmp_path}/c.db?a=1&lease=200ms&store_timeout=5s")
    wait_until(lambda: cache.sync.set("a", 1))
    assert cache.sync.get("a") == 1
    assert cache.settings.lease == 0.2
    assert sys.modules["my_store"].opened == [f"mine://{tmp_path}/c.db?a=1"]
    cache.sync.close()


def test_what_can_not_be_opened_says_why(install: Callable[[str, str], None]) -> None:
    install("broken", "broken = nowhere_at_all:connect\nless = my_store:nothing")
    install("one", "twice = my_store:connect")
    install("another", "twice = my_store:connect2")
    for scheme, said in {
        "broken": "No module named 'nowhere_at_all'",
        "less": "has no attribute 'nothing'",
        "twice": "several packages bring a store for twice://",
        "never": "no store for the URL scheme 'never'",
    }.items():
        with pytest.raises(SettingsError, match=said):
            YokedCache(f"{scheme}://host")
