"""
Results that an `AsyncSession` gives out, sent and served.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select, text, union_all

from tests.support.models import User

if TYPE_CHECKING:
    from tests.support.databases import AsyncBlog
    from yokedcache import YokedCache

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("may_block"),  # asyncpg looks for a password file
]

TABLE = User.__table__
STATEMENTS: dict[str, Any] = {
    "entities": select(User).order_by(User.id),
    "columns": select(User.name).order_by(User.id),
    "a table": select(TABLE).order_by(TABLE.c.id),
    "an aggregate": select(func.count()).select_from(TABLE),
    "text": text("SELECT name FROM users ORDER BY id"),
    "text for entities": select(User).from_statement(text("SELECT * FROM users")),
    "a union": union_all(select(TABLE.c.id), select(TABLE.c.id)),
}


@pytest.mark.parametrize("name", STATEMENTS)
async def test_a_served_result_is_given_out_as_a_sent_one(
    async_blog: AsyncBlog, cache: YokedCache, name: str
) -> None:
    statement = STATEMENTS[name]
    maker = async_blog.attached(cache, expire_on_commit=False)
    found = []
    for _ in range(4):
        async with maker() as session:
            result = await session.execute(statement)
            rows = [tuple(_shown(value) for value in row) for row in result.all()]
            scalars = list(map(_shown, (await session.scalars(statement)).all()))
            scalar = _shown(await session.scalar(statement))
            found.append((rows, scalars, scalar))
    assert found == [found[0]] * 4
    assert found[0][0]
    async with maker() as session:
        with async_blog.counted() as sent:
            await session.execute(statement)
        assert not sent


def _shown(value: Any) -> Any:
    return (value.id, value.name) if isinstance(value, User) else value
