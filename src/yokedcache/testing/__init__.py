"""
What the tests of an application need.

`FakeClock` tells a cache the time that a test wants it to be, so that nothing
has to sleep until an entry is too old: `YokedCache(clock=FakeClock(), jitter=0)`.
"""

from __future__ import annotations

from yokedcache.testing.clock import FakeClock

__all__ = ["FakeClock"]
