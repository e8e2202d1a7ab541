"""
`attach` refuses an engine on the file that is the cache's store.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from tests.support.files import on, path
from yokedcache import YokedCache
from yokedcache.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["on", "path"]

SAID = "name the same file"
MAKERS: dict[str, Callable[[str], Any]] = {
    "maker": lambda name: sessionmaker(create_engine(f"sqlite:///{name}")),
    "scope": lambda name: scoped_session(
        sessionmaker(create_engine(f"sqlite:///{name}"))
    ),
    "session": lambda name: Session(create_engine(f"sqlite:///{name}")),
    "URI": lambda name: sessionmaker(
        create_engine(f"sqlite:///file:{name}?mode=rwc&uri=true")
    ),
    "async maker": lambda name: async_sessionmaker(
        create_async_engine(f"sqlite+aiosqlite:///{name}")
    ),
    "async session": lambda name: AsyncSession(
        create_async_engine(f"sqlite+aiosqlite:///{name}")
    ),
}


@pytest.mark.parametrize("made", MAKERS.values(), ids=MAKERS)
def test_the_same_file(
    path: Path, on: Callable[..., YokedCache], made: Callable[[str], Any]
) -> None:
    with pytest.raises(SettingsError, match=SAID) as raised:
        on().attach(made(str(path)))
    assert str(path) in str(raised.value)
    assert "needs a file of its own, for example sqlite:///" in str(raised.value)
    assert not path.exists()


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_another_name_of_it(
    path: Path, on: Callable[..., YokedCache], link: Callable[..., None]
) -> None:
    path.touch()
    other = path.with_name("other.db")
    link(path, other)
    with pytest.raises(SettingsError, match=SAID):
        on().attach(MAKERS["maker"](str(other)))


def test_by_a_path_from_here(
    path: Path, on: Callable[..., YokedCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    with pytest.raises(SettingsError, match=SAID):
        on().attach(MAKERS["maker"](path.name))


@pytest.mark.parametrize("name", ["another.db", ":memory:", ""])
def test_another_file(
    path: Path,
    on: Callable[..., YokedCache],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.chdir(path.parent)
    maker = MAKERS["maker"](name)
    cache = on()
    assert cache.attach(maker) is maker
    cache.detach(maker)


def test_a_cache_without_a_file(path: Path) -> None:
    maker = MAKERS["maker"](str(path))
    cache = YokedCache()
    assert cache.attach(maker) is maker
    cache.detach(maker)
    cache.sync.close()
