"""
No cache at all: what this contender is found guilty of, the harness has done.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import sessionmaker

from consistency import data
from consistency.acts import Acts, Awaiting, Blocking, Place

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@contextmanager
def threads(place: Place) -> Iterator[Blocking]:
    engine = data.engine(place)
    maker = sessionmaker(engine)
    yield Acts(partial(data.write, maker), {"session": partial(data.read, maker)})
    engine.dispose()


@asynccontextmanager
async def tasks(place: Place) -> AsyncIterator[Awaiting]:
    engine = data.async_engine(place)
    maker = async_sessionmaker(engine)
    yield Acts(partial(data.awrite, maker), {"session": partial(data.aread, maker)})
    await engine.dispose()
