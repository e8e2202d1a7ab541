"""
Cached functions as two processes of one application have them.

Each cache has its own of the same name: `of` makes them under one module.
"""

from __future__ import annotations

import dataclasses
import sys
import threading
import types
from typing import TYPE_CHECKING, Any

from yokedcache import cached

if TYPE_CHECKING:
    from yokedcache import YokedCache


@dataclasses.dataclass
class Point:
    x: int
    y: list[int]


class GoneError(Exception):
    """
    Raised, and cached.
    """


class Copy:
    """
    One process's copy of a function: its calls are counted.
    """

    def __init__(self, cache: YokedCache, name: str, body: Any, **options: Any) -> None:
        self.calls: list[Any] = []
        self.begun = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self.function: Any = None
        copy = self

        def made(n: int) -> Any:
            copy.calls.append(n)
            copy.begun.set()
            assert copy.gate.wait(20)
            return body(n)

        async def amade(n: int) -> Any:
            copy.calls.append(n)
            return body(n)

        for function in (made, amade):
            function.__module__ = f"shared_app_{name}"
            function.__qualname__ = function.__name__
        self._module = types.ModuleType(f"shared_app_{name}")
        self.function = cached(cache=cache, **options)(made)
        self.afunction = cached(cache=cache, **options)(amade)
        self._module.made = self.function  # type: ignore[attr-defined]
        self._module.amade = self.afunction  # type: ignore[attr-defined]

    def __call__(self, n: int) -> Any:
        self.be_here()
        return self.function(n)

    def be_here(self) -> None:
        """
        Have the names lead to this process's copy, as they do in a process.
        """
        sys.modules[self._module.__name__] = self._module
        for function in (self.function, self.afunction):
            function.handle.core.shared_name()
