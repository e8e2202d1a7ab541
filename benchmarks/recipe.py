"""
The peer of the `orm` section: SQLAlchemy's way to cache by hand, in memory.

In the manner of SQLAlchemy's dogpile example: a `do_orm_execute` listener keeps
a frozen result under the statement's cache key and values, and merges it into
the session that asks. It knows nothing of writes: nothing is ever invalidated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.orm import loading

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Result
    from sqlalchemy.orm import ORMExecuteState, Session, sessionmaker


def attach(maker: sessionmaker[Session]) -> None:
    """
    Answer the SELECTs of a maker's sessions from frozen results.
    """
    frozen: dict[Any, Callable[[], Result[Any]]] = {}

    def answer(state: ORMExecuteState) -> Result[Any] | None:
        if not state.is_select or state.is_relationship_load or state.is_column_load:
            return None
        cache_key = state.statement._generate_cache_key()
        if cache_key is None:
            return None
        values = tuple(bind.effective_value for bind in cache_key.bindparams)
        given = tuple((state.parameters or {}).items())
        key = (cache_key.key, values, given)
        found = frozen.get(key)
        if found is None:
            found = frozen[key] = state.invoke_statement().freeze()
        merged = loading.merge_frozen_result(
            state.session, state.statement, found, load=False
        )
        return merged()

    event.listen(maker, "do_orm_execute", answer)
