"""
Tasks at one row: no answer is older than a commit that returned.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.hammer.anvil import (
    PACE,
    STATEMENTS,
    Anvil,
    Base,
    Chip,
    Count,
    by_entity,
    by_get,
    spoil,
    write,
)
from yokedcache import cached

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.databases import AsyncBlog
    from yokedcache import YokedCache


class Tasks:
    """
    Readers and writers in tasks of one event loop.
    """

    def __init__(self, blog: AsyncBlog, cache: YokedCache) -> None:
        self.attached, self.plain = blog.attached(cache), blog.sessions
        self.count = Count(cache)
        self.lock = asyncio.Lock()
        self.functions = self._functions(cache)

    def _functions(self, cache: YokedCache) -> list[Callable[[Any], Any]]:
        @cached(cache=cache)
        async def own() -> int:
            async with self.plain() as session:
                return await session.run_sync(by_entity)

        @cached(cache=cache)
        async def together(session: Any) -> int:
            seen = await asyncio.gather(own(), own())
            return min(*seen, await session.run_sync(by_get))

        return [lambda _: own(), together]

    async def reader(self, seed: int) -> None:
        dice = random.Random(seed)
        while self.count.going:
            way = dice.choice((*STATEMENTS, *self.functions))
            floor = self.count.done
            async with self.attached() as session:
                if way in STATEMENTS:
                    seen = await session.run_sync(way)
                else:
                    seen = await way(session)  # type: ignore[misc]
            self.count.check(floor, seen, repr(way))
            await asyncio.sleep(0)

    async def writer(self, seed: int) -> None:
        dice = random.Random(seed)
        maker = dice.choice((self.plain, self.attached))
        while self.count.going:
            async with self.lock, maker() as session:
                await self.write(session, dice)
            for _ in range(dice.randrange(PACE)):
                await asyncio.sleep(0)

    async def write(self, session: Any, dice: random.Random) -> None:
        if dice.random() < 0.3:
            await session.run_sync(spoil)
            return
        number = self.count.done + 1
        await session.run_sync(write, number, dice)
        await session.commit()
        self.count.done = number


@pytest.mark.anyio
@pytest.mark.usefixtures("may_block")  # asyncpg looks for a password file
async def test_tasks_are_given_nothing_older_than_a_commit(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    async with async_blog.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with async_blog.sessions.begin() as session:
        session.add(Anvil(id=1, count=0, chips=[Chip(id=1, count=0)]))
    hammer = Tasks(async_blog, cache)
    await asyncio.gather(
        *map(hammer.reader, range(4)), hammer.writer(10), hammer.writer(11)
    )
    hammer.count.judge()
