"""
Hole 33: a prefix is a generation of its own; nothing is looked through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.looking import name
from yokedcache import YokedCache, cached
from yokedcache.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.databases import Blog


@pytest.fixture
def cache() -> Iterator[YokedCache]:
    made = YokedCache(prefixes=["user"], jitter=0)
    yield made
    made.sync.close()


class Unread(dict[Any, Any]):
    """
    A dictionary in which nobody looks around.
    """

    def _refuse(self, *_: Any) -> Any:
        raise AssertionError

    __iter__ = keys = values = items = copy = _refuse


def test_hole_33_a_prefix_is_invalidated_without_a_look_at_the_keys(
    cache: YokedCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.sync.set_many({f"user:{number}": number for number in range(1_000)})
    cache.sync.set("other", 1)
    entries = Unread(cache.machine.store.entries)
    with monkeypatch.context() as patched:
        patched.setattr(cache.machine.store, "entries", entries)
        cache.sync.invalidate_prefix("user")
    assert not any(cache.sync.exists(f"user:{number}") for number in range(1_000))
    assert cache.sync.get("other") == 1


def test_hole_33_only_declared_prefixes_can_be_invalidated(cache: YokedCache) -> None:
    with pytest.raises(SettingsError, match="not declared"):
        cache.sync.invalidate_prefix("other")


def test_hole_33_what_is_being_loaded_is_of_the_old_generation(
    blog: Blog, cache: YokedCache
) -> None:
    @cached(cache=cache, key="user:{number}")
    def called(number: int) -> str:
        if number == 1:
            cache.sync.invalidate_prefix("user")
        return name(blog.sessions)

    assert [called(1), called(2)] == ["ann", "ann"]
    assert not called.peek(1)
    assert called.peek(2) == "ann"
