"""
This library with `near`: functions' answers are given out again without asking.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from consistency.contenders import CONTENDERS, yokedcache

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from consistency.acts import Awaiting, Blocking, Place


def threads(place: Place) -> AbstractContextManager[Blocking]:
    return yokedcache.threads(_near(place))


def tasks(place: Place) -> AbstractAsyncContextManager[Awaiting]:
    return yokedcache.tasks(_near(place))


def _near(place: Place) -> Place:
    return replace(place, store=f"{place.store}?near={CONTENDERS['near'].near}")
