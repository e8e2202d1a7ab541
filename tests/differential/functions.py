"""
The functions that programs call: cached on one side, as they are on the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import orm

from tests.differential.schemas import key_of
from yokedcache import cached

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache import YokedCache

Function = "Callable[[Any, int, Any, int], Any]"


def _keys(cls: Any) -> list[Any]:
    mapper = sa.inspect(cls)
    return [
        getattr(cls, mapper.get_property_by_column(column).key)
        for column in mapper.primary_key
    ]


def one(session: Any, _schema: int, cls: Any, number: int) -> Any:
    """
    Get an instance, or none.
    """
    return session.get(cls, key_of(cls, number))


def count(session: Any, _schema: int, cls: Any, _number: int) -> Any:
    """
    Count a class's rows.
    """
    return session.scalar(sa.select(sa.func.count()).select_from(cls))


def rows(session: Any, _schema: int, cls: Any, number: int) -> Any:
    """
    Give some columns of all rows, as plain values.
    """
    statement = sa.select(*_keys(cls)).order_by(*_keys(cls)).limit(number + 1)
    return [tuple(row) for row in session.execute(statement)]


def everything(session: Any, _schema: int, cls: Any, _number: int) -> Any:
    """
    Give all instances, with no relationship loaded.
    """
    statement = sa.select(cls).options(orm.lazyload("*")).order_by(*_keys(cls))
    return list(session.scalars(statement).all())


def touched(session: Any, _schema: int, cls: Any, number: int) -> Any:
    """
    Read an attribute of what the session may hold already.
    """
    found = session.get(cls, key_of(cls, number))
    return None if found is None else found.touched


FUNCTIONS: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (one, count, rows, everything, touched)
}


def kept(cache: YokedCache) -> dict[str, Callable[..., Any]]:
    """
    Give the functions, cached; one of them calls another.
    """
    made = {name: cached(function, cache=cache) for name, function in FUNCTIONS.items()}

    @cached(cache=cache)
    def outer(session: Any, schema: int, cls: Any, number: int) -> Any:
        return made["count"](session, schema, cls, number)

    return made | {"count": outer}
