"""
Settings, the URL and the environment: what is understood, and how the rest is refused.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from yokedcache import YokedCache
from yokedcache.errors import DurationError, SettingsError, UsageError
from yokedcache.settings import Settings


def made(url: str | None = None, **settings: Any) -> Settings:
    cache = YokedCache(url, **settings)
    cache.sync.close()
    return cache.settings


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("YOKEDCACHE_URL", raising=False)


def test_nothing_given_is_the_defaults() -> None:
    assert made() == Settings() == made("memory://") == made("memory:///")


@pytest.mark.parametrize(
    ("ttl", "expected"),
    [(60, 60.0), (1.5, 1.5), ("5m", 300.0), (timedelta(hours=1), 3600.0)],
    ids=str,
)
def test_durations_are_seconds_timedeltas_or_text(ttl: Any, expected: float) -> None:
    assert made(ttl=ttl).ttl == expected


def test_the_url_carries_settings() -> None:
    url = "memory://?ttl=5m&max_entries=10&jitter=0.5&prefixes=user,shop&max_rows=7"
    settings = made(url)
    assert (settings.ttl, settings.max_entries, settings.max_rows) == (300.0, 10, 7)
    assert (settings.jitter, settings.prefixes) == (0.5, ("user", "shop"))
    assert made("memory://?ttl=2.5").ttl == 2.5


def test_keywords_win_over_the_url() -> None:
    assert made("memory://?ttl=5m&max_entries=10", ttl=1) == Settings(
        ttl=1.0, max_entries=10
    )


def test_the_environment_names_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOKEDCACHE_URL", "memory://?max_entries=3")
    assert made().max_entries == 3
    assert made("memory://").max_entries == Settings().max_entries
    monkeypatch.setenv("YOKEDCACHE_URL", "")
    assert made() == Settings()
    monkeypatch.setenv("YOKEDCACHE_URL", "nowhere://host")
    with pytest.raises(SettingsError, match="nowhere"):
        made()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis-cluster+x://localhost", ["redis-cluster+x", "memory://"]),
        ("localhost:6379", ["localhost", "memory://"]),
        ("memory", ["memory://"]),
        ("memory://host", ["no host", "host"]),
        ("memory:///path", ["path"]),
        ("memory://?size=1", ["'size'", "max_entries"]),
        ("memory://?max_entries=many", ["max_entries", "many"]),
        ("memory://?max_entries=0", ["max_entries", "above 0"]),
        ("memory://?jitter=2", ["jitter"]),
        ("memory://?single_process=perhaps", ["single_process", "true or false"]),
    ],
)
def test_urls_that_cannot_be_meant(url: str, words: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        made(url)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("url", [3, b"memory://"])
def test_a_url_is_a_string(url: Any) -> None:
    with pytest.raises(SettingsError, match="is a string such as 'memory://'"):
        made(url)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_entries", 0),
        ("max_entries", -1),
        ("max_entries", 1.5),
        ("max_entries", True),
        ("max_bytes", "1"),
        ("max_rows", 0),
        ("max_recording", None),
        ("jitter", 1),
        ("jitter", -0.1),
        ("jitter", "x"),
        ("prefixes", [""]),
        ("prefixes", [":"]),
        ("prefixes", [1]),
        ("prefixes", 1),
        ("single_process", 1),
        ("watch_files", "true"),
        ("unknown", 1),
    ],
)
def test_settings_that_cannot_be_meant(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=name) as caught:
        made(**{name: value})
    assert isinstance(caught.value, UsageError | ValueError)


@pytest.mark.parametrize("name", ["ttl", "flight_timeout", "orphan_grace"])
@pytest.mark.parametrize("value", [0, -1, "soon", None, True], ids=repr)
def test_durations_that_cannot_be_meant(name: str, value: Any) -> None:
    with pytest.raises(DurationError, match=name):
        made(**{name: value})


def test_an_unknown_setting_names_the_known_ones() -> None:
    with pytest.raises(SettingsError) as caught:
        made(max_size=3)
    for name in ("max_entries", "max_bytes", "ttl", "prefixes"):
        assert name in str(caught.value)


@pytest.mark.parametrize("text", ["true", "True", "1"])
def test_switches_in_a_url(text: str) -> None:
    assert made(f"memory://?single_process={text}").single_process
    assert not made("memory://?single_process=false").single_process


def test_prefixes_are_written_with_or_without_the_colon() -> None:
    assert made(prefixes="user:").prefixes == ("user",)
    assert made(prefixes=["user", "shop:item:"]).prefixes == ("user", "shop:item")
