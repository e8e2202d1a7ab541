"""
Two writers and a filler on one tag, in many orders; and many callers at once.
"""

from __future__ import annotations

import asyncio
import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.support.redis_faces import AsyncFace
from yokedcache.stores.redis.results import Hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from tests.support.redis_faces import Face
    from yokedcache.stores.redis.results import Stamp

ORDERS = sorted(set(itertools.permutations("aaabbbfff")))
A_SHARE = 12
"""One order of so many is tried on each server by each driver: six take half of all."""


class Row:
    """
    A row that each commit makes larger by one, and who is in the middle of committing.
    """

    def __init__(self, face: Face) -> None:
        self.face = face
        self.value = 0
        self.open = 0
        self.stamp: Stamp

    def writer(self) -> Iterator[None]:
        fence = self.face.fence("t")
        self.open += 1
        yield
        self.value += 1
        yield
        assert self.face.lift(fence) == 0
        self.open -= 1
        yield

    def filler(self) -> Iterator[None]:
        self.stamp = self.face.stamp("t")
        yield
        read = self.value
        yield
        self.face.put("k", b"%d" % read, self.stamp)
        yield

    def judge(self) -> None:
        """
        What is served is the row as it is now; a fence is seen while a writer has one.
        """
        found = self.face.read("k", "t")
        assert isinstance(found, str) or found == b"%d" % self.value
        fenced = self.face.stamp("t").unusable == "commit_in_flight"
        assert fenced is bool(self.open)
        assert isinstance(found, str) or not self.open


def test_two_writers_and_a_filler(face: Face, request: pytest.FixtureRequest) -> None:
    assert len(ORDERS) == 1680
    first = sum(map(ord, request.node.name)) % A_SHARE
    for order in ORDERS[first::A_SHARE]:
        row = Row(face)
        assert face.fill("k", b"0", "t") is None
        actors = {"a": row.writer(), "b": row.writer(), "f": row.filler()}
        for actor in order:
            next(actors[actor])
            row.judge()
        assert face.fill("k", b"2", "t") is None
        row.judge()


def test_many_at_once_have_each_their_own_answer(face: Face) -> None:
    keys = [f"k{number}" for number in range(40)]
    for key in keys:
        face.fill(key, key.encode() * 500, "a")
    wanted = [key.encode() * 500 for key in keys] * 3
    operations = [face.commands.read(key, ["a"]) for key in keys] * 3
    if isinstance(face, AsyncFace):
        store = face.store

        async def all_at_once() -> list[object]:
            return await asyncio.gather(*map(store.perform, operations))

        found = face.run(all_at_once())
    else:
        with ThreadPoolExecutor(8) as pool:
            found = [*pool.map(face.do, operations)]
    assert all(isinstance(one, Hit) for one in found)
    assert [bytes(one.payload) for one in found] == wanted
