"""
Generators as cached functions: run to their end, kept as a list, given out anew.

What a generator yields can't be served twice, a list of it can. So a call runs the
generator to its end before the first item comes out, up to a limit: past that the
items so far and the running generator go on to the caller as one, and nothing is
kept. The wrapper is a generator function itself, for whoever looks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


class Unfinished:
    """
    More items than are kept: those taken so far, and the generator that goes on.
    """

    def __init__(self, taken: list[Any], rest: Any) -> None:
        self._taken = taken
        self._rest = rest

    def __iter__(self) -> Iterator[Any]:
        yield from self._taken
        yield from self._rest

    async def __aiter__(self) -> AsyncIterator[Any]:
        for item in self._taken:
            yield item
        async for item in self._rest:
            yield item


def yields(function: Any) -> bool:
    """
    Tell whether a function is a generator, asynchronous or not.
    """
    import inspect

    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def gathering(function: Any, limit: Callable[[], int]) -> Callable[..., Any]:
    """
    Make the function that gives a list of what a generator yields.
    """
    import inspect

    def gather(*args: Any, **kwargs: Any) -> Any:
        taken: list[Any] = []
        running = function(*args, **kwargs)
        most = limit()
        for item in running:
            taken.append(item)
            if len(taken) > most:
                return Unfinished(taken, running)
        return taken

    async def gather_async(*args: Any, **kwargs: Any) -> Any:
        taken: list[Any] = []
        running = function(*args, **kwargs)
        most = limit()
        async for item in running:
            taken.append(item)
            if len(taken) > most:
                return Unfinished(taken, running)
        return taken

    return gather_async if inspect.isasyncgenfunction(function) else gather


def yielding(gathered: Callable[..., Any], *, is_async: bool) -> Callable[..., Any]:
    """
    Make the generator function that yields what another function gives as a list.
    """

    def again(*args: Any, **kwargs: Any) -> Any:
        yield from gathered(*args, **kwargs)

    async def again_async(*args: Any, **kwargs: Any) -> Any:
        found = await gathered(*args, **kwargs)
        if isinstance(found, Unfinished):
            async for item in found:
                yield item
            return
        for item in found:
            yield item

    return again_async if is_async else again
