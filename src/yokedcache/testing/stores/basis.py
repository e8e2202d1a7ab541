"""
What the suites of stores stand on: the fixtures, and what a subclass says of its store.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, ClassVar

import pytest

from yokedcache.testing.stores.processes import Process, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from yokedcache.stores.contract import Client

_NAMES = itertools.count(1)


class Basis:
    """
    Subclass it, and give the fixture `connect`.

    Tests share a store as they like: each has keys and tags of its own.
    """

    lease: ClassVar[float] = 3.0
    """Seconds of the lease with which processes are opened, unless a test says so."""

    examples: ClassVar[int] = 30
    """Histories that are tried."""

    @pytest.fixture
    def connect(self) -> Callable[..., Client]:
        """
        Give a function that opens a client of the store: `connect(lease=3.0)`.

        Each call stands for a process. The store may be new; the clients of a test are
        closed by it.
        """
        message = "a StoreSuite has a fixture `connect` that opens its store"
        raise NotImplementedError(message)

    def lose_memory(self, process: Process) -> None:
        """
        Have the store lose all that it keeps, while processes have it open.
        """
        message = "say how the store loses its memory, or what stands for it"
        raise NotImplementedError(message)

    def lose_tag(self, process: Process, name: str) -> bool:
        """
        Have the store lose one tag; tell whether a store of this kind can.
        """
        return False

    def settle(self, process: Process) -> None:
        """
        Have the store rely on its memory: one that is new does not, for a lease.
        """
        probe = f"probe-{next(_NAMES)}"
        wait_until(lambda: process.stamp(probe).unusable is None)

    @pytest.fixture(params=["sync", "async"])
    def face(self, request: pytest.FixtureRequest) -> str:
        """
        Say how the store is asked.
        """
        return str(request.param)

    @pytest.fixture
    def start(
        self, connect: Callable[..., Client], face: str
    ) -> Iterator[Callable[..., Process]]:
        """
        Give a function that starts a process.
        """
        started: list[Process] = []

        def begin(lease: float = self.lease) -> Process:
            process = Process(connect(lease=lease), face)
            started.append(process)
            return process

        yield begin
        for process in started:
            process.close()

    @pytest.fixture
    def one(self, start: Callable[..., Process]) -> Process:
        """
        Give a process on a store that may be relied on.
        """
        process = start()
        self.settle(process)
        return process

    @pytest.fixture
    def other(self, one: Process, start: Callable[..., Process]) -> Process:
        """
        Give another process on the same.
        """
        return start()

    @pytest.fixture
    def new(self) -> Callable[[], str]:
        """
        Give a function that makes names nobody has used.
        """
        return lambda: f"n{next(_NAMES)}"
