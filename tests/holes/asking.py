"""
Askers: what caches answer to the one question that tests of commits ask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.looking import name, name_async
from yokedcache import cached

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.databases import AsyncBlog, Blog
    from yokedcache import YokedCache


class Asker:
    """
    Asks for the name: twice of an attached session, twice of a cached function.
    """

    def __init__(self, blog: Blog, cache: YokedCache) -> None:
        maker = blog.attached(cache)
        self._blog = blog

        @cached(cache=cache)
        def called() -> str:
            return name(blog.sessions)

        self._asks: list[Callable[[], str]] = [lambda: name(maker), called] * 2
        assert self.served() == {"ann"}

    def __call__(self) -> set[str]:
        """
        Give the answers; one, if all agree.
        """
        return {ask() for ask in self._asks}

    def served(self) -> set[str]:
        """
        Give the answers, and see to it that they come from the cache.
        """
        self()
        with self._blog.counted() as sent:
            answers = self()
        assert sent == []
        return answers


class AsyncAsker:
    """
    Asks for the name in the event loop.
    """

    def __init__(self, blog: AsyncBlog, cache: YokedCache) -> None:
        maker = blog.attached(cache)
        self._blog = blog

        @cached(cache=cache)
        async def called() -> str:
            return await name_async(blog.sessions)

        self._asks: list[Callable[[], Awaitable[str]]] = [
            lambda: name_async(maker),
            called,
        ] * 2

    async def __call__(self) -> set[str]:
        """
        Give the answers; one, if all agree.
        """
        return {await ask() for ask in self._asks}

    async def served(self) -> set[str]:
        """
        Give the answers, and see to it that they come from the cache.
        """
        await self()
        with self._blog.counted() as sent:
            answers = await self()
        assert sent == []
        return answers
