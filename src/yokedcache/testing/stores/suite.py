"""
The contract of a store whose entries many processes share, promise by promise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from yokedcache.testing.stores.announcements import Announcements
from yokedcache.testing.stores.entries import Entries
from yokedcache.testing.stores.fences import Fences
from yokedcache.testing.stores.histories import run_histories
from yokedcache.testing.stores.sparing import Sparing

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.testing.stores.processes import Process


class StoreSuite(Entries, Fences, Sparing, Announcements):
    """
    Subclass it, and give the fixture `connect`; see `Basis` for what else to say.
    """

    def test_histories(
        self, one: Process, other: Process, start: Callable[..., Process]
    ) -> None:
        run_histories(self, (one, other), start)
