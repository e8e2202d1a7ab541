"""
A shop as its authors would write it: FastAPI, SQLAlchemy, and one cache for all workers.

`SOAK_DATABASE` says where the rows are, `SOAK_STORE` where entries are shared; without
that nothing is cached, no session is attached, and no other line is another one.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import selectinload

from soak.models import Line, Order
from yokedcache import YokedCache, cached

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

POOL = 10
"""Connections of a worker."""

store = os.environ.get("SOAK_STORE")
cache = YokedCache(store or "null://")
engine = create_async_engine(
    os.environ.get("SOAK_DATABASE", "postgresql+psycopg://"), pool_size=POOL
)
sessions = async_sessionmaker(engine)
if store:
    cache.attach(sessions)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield
    await cache.close()
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


async def get_session() -> AsyncIterator[AsyncSession]:
    async with sessions() as session:
        yield session


Handed = Annotated[AsyncSession, Depends(get_session)]


@app.get("/orders/{number}")
async def order(number: int, session: Handed) -> dict[str, Any]:
    found = await session.scalar(
        select(Order).where(Order.id == number).options(selectinload(Order.lines))
    )
    if found is None:
        raise HTTPException(404)
    return {
        "id": found.id,
        "version": found.version,
        "customer": found.customer,
        "lines": [{"item": line.item, "amount": line.amount} for line in found.lines],
    }


@cached(cache=cache)
async def total(number: int) -> dict[str, int]:
    async with sessions() as session:
        version, amount = (
            await session.execute(
                select(Order.version, func.sum(Line.amount))
                .join(Order.lines)
                .where(Order.id == number)
                .group_by(Order.version)
            )
        ).one()
    return {"version": version, "amount": amount}


@app.get("/orders/{number}/total")
async def order_total(number: int) -> dict[str, int]:
    return await total(number)


@app.post("/orders/{number}")
async def change(number: int, session: Handed) -> dict[str, int]:
    raised = (
        update(Order)
        .where(Order.id == number)
        .values(version=Order.version + 1)
        .returning(Order.version)
    )
    version = (await session.execute(raised)).scalar_one()
    await session.commit()
    return {"version": version}


@app.get("/counts")
async def counts() -> dict[str, int]:
    total = cache.stats().total
    return {"worker": os.getpid(), "hits": total.hits, "loads": total.loads}
