"""
What a store has to do, as tests: for those who write one whose entries are shared.

A test-suite subclasses `StoreSuite` and says how its store is opened; it inherits the
tests of the contract (`yokedcache.stores.contract`), in threads and in event loops, and a
machine that tries histories of several processes against a model of a few dictionaries.
`CacheSuite` asks the same of a whole cache, by its URL.

pytest and hypothesis are needed.
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    *(f"{__name__}.{name}" for name in ("caches", "entries", "fences", "histories")),
    f"{__name__}.sparing",
)

from yokedcache.testing.stores.caches import CacheSuite  # noqa: E402
from yokedcache.testing.stores.processes import Process  # noqa: E402
from yokedcache.testing.stores.suite import StoreSuite  # noqa: E402

__all__ = ["CacheSuite", "Process", "StoreSuite"]
