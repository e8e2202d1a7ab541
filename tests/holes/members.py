"""
Several processes on one store, as fixtures.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.workers.conftest import Worker, environment, run_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Member", "environment", "hire", "run_directory"]

LEASE = 2.0
"""Seconds; a tag lives as long until something has it."""
GRACE = 3600.0
"""Seconds that no test lasts: what comes down in them was proven to be over."""


class Member(Worker):
    """
    A process, and how to have it do something.
    """

    module = "tests.holes.member"

    def stopped(self) -> None:
        """
        Return once it has stopped.
        """
        ends = os.WSTOPPED | os.WEXITED | os.WNOWAIT
        os.waitid(os.P_PID, self.process.pid, ends)
        assert self.process.poll() is None, "it has ended"


@pytest.fixture
def hire(environment: dict[str, str]) -> Iterator[Callable[..., Member]]:
    """
    Give a function that starts processes on one database and one store.
    """
    hired: list[Member] = []

    def hire(database: str, store: str, **settings: Any) -> Member:
        told = {"lease": LEASE, "store_timeout": 10.0, "orphan_grace": GRACE}
        hired.append(Member(database, environment, url=store, **told | settings))
        return hired[-1]

    yield hire
    for member in hired:
        member.kill()  # some are stopped, some wait for what never comes
        member.close()
