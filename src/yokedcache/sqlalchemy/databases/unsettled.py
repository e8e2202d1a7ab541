"""
What stands in keys for a database that hasn't yet said who it is.
"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING

from sqlalchemy.pool import SingletonThreadPool

if TYPE_CHECKING:
    from collections.abc import Hashable

    from sqlalchemy.engine import Engine

    from yokedcache.sqlalchemy.databases.database import Database


class Unsettled:
    """
    Stands in a key for a database that hasn't yet said who it is.
    """

    __slots__ = ("_database", "_engine", "_place")

    def __init__(self, database: Database, engine: Engine) -> None:
        self._database = database
        self._engine = weakref.ref(engine)
        thread = isinstance(engine.pool, SingletonThreadPool)
        self._place = (database.serial, threading.get_ident() if thread else 0)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unsettled) and self._place == other._place

    def __hash__(self) -> int:
        return hash(self._place)

    def settled(self) -> tuple[Hashable, ...]:
        """
        Give what stands in keys from now on.
        """
        engine = self._engine()
        return (self,) if engine is None else self._database.key(engine)
