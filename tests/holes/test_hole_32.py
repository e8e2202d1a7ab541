"""
Hole 32: clocks bound the accuracy of a TTL, never what is valid.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.support.looking import name, rename
from yokedcache import cached

if TYPE_CHECKING:
    from tests.support.databases import Blog
    from yokedcache import YokedCache
    from yokedcache.testing import FakeClock


@pytest.mark.parametrize("jump", [-1_000_000.0, -1.0, 0.0, 30.0])
def test_hole_32_no_jump_of_the_clock_brings_back_what_a_commit_changed(
    blog: Blog, clocked: YokedCache, clock: FakeClock, jump: float
) -> None:
    maker = blog.attached(clocked, ttl=60)

    @cached(cache=clocked, ttl=60)
    def called() -> str:
        return name(blog.sessions)

    assert [name(maker), called()] * 2 == ["ann"] * 4
    rename(blog)
    clock.now += jump
    assert [name(maker), called()] * 2 == ["new"] * 4
    clock.now -= jump
    assert [name(maker), called()] == ["new"] * 2


def test_hole_32_the_clock_is_one_that_nobody_sets(cache: YokedCache) -> None:
    assert cache.machine.clock is time.monotonic
