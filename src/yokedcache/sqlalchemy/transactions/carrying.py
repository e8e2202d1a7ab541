"""
Transactions that announce themselves, where the shared store is in their database.

What a transaction says there is seen with its commit, and by nobody without one: nothing
is to be raised before, lifted after, or made up for. It is said over the application's
own connection, by drivers that send several statements at once: in one trip, and in a
savepoint, so that no refusal costs the transaction. Whoever can't say it announces it as
to any other store.
"""

from __future__ import annotations

import inspect
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from yokedcache.runtime.clocks import monotonic
from yokedcache.runtime.switching import awaited, in_greenlet
from yokedcache.sqlalchemy.transactions.holders import driver_of, in_transaction

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.sqlalchemy.databases.database import Database
    from yokedcache.stores.answers import Said

REST: Final = 30.0
"""Seconds for which a database isn't asked again that has another store, or none."""

_SAVED: Final = "SAVEPOINT yokedcache; {}; RELEASE SAVEPOINT yokedcache"
_UNDONE: Final = "ROLLBACK TO SAVEPOINT yokedcache; RELEASE SAVEPOINT yokedcache"
_ELSEWHERE: Final = frozenset({"3F000", "42501", "42883", "42P01", "YC003"})
"""No such schema, not for this role, no such function or table, another incarnation."""

_MOST_PLACES: Final = 100

_resting: WeakKeyDictionary[Database, dict[str, float]] = WeakKeyDictionary()
"""Until when a database isn't asked for stores that it hasn't got, by their places."""


class Carrier:
    """
    A transaction that is about to be committed, and may announce that itself.
    """

    def __init__(
        self, database: Database, driver: Any, send: Callable[[Any, str], Any]
    ) -> None:
        self._database = database
        self._driver = driver
        self._send = send
        self._said: set[str] = set()

    def __call__(self, said: Said) -> bool:
        """
        Say something in the transaction; tell whether it was.
        """
        if said.sql in self._said:  # to another cache's store, which is the same
            return True
        resting = _resting.setdefault(self._database, {})
        if resting.get(said.place, 0.0) > monotonic():
            return False
        try:
            self._say(_SAVED.format(said.sql))
        except Exception as error:  # noqa: BLE001 - any driver's
            code = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
            if code in _ELSEWHERE:
                if len(resting) >= _MOST_PLACES:
                    resting.clear()  # incarnations that are over
                resting[said.place] = monotonic() + REST
            with suppress(Exception):  # else the commit itself tells what is wrong
                self._say(_UNDONE)
            return False
        self._said.add(said.sql)
        return True

    def _say(self, sql: str) -> None:
        waiting = self._send(self._driver, sql)
        if inspect.isawaitable(waiting):
            awaited(waiting)


def carrier(database: Database, holder: Any) -> Carrier | None:
    """
    Give what announces a commit inside its transaction, if that may be possible.
    """
    if database.dialect_name != "postgresql":
        return None
    driver = driver_of(holder)
    send = _WAYS.get(type(driver).__module__.partition(".")[0])
    if send is None or in_transaction(driver) is not True or _pipelined(driver):
        return None
    if inspect.iscoroutinefunction(getattr(driver, "execute", None)):
        return Carrier(database, driver, send) if in_greenlet() else None
    return Carrier(database, driver, send)


def _pipelined(driver: Any) -> bool:
    """
    Tell whether answers are awaited later, and several statements can't be sent at once.
    """
    return bool(getattr(getattr(driver, "pgconn", None), "pipeline_status", 0))


def _by_psycopg(driver: Any, sql: str) -> Any:
    # what is prepared can't be several statements
    return driver.execute(sql, prepare=False)


def _by_psycopg2(driver: Any, sql: str) -> None:
    with driver.cursor() as cursor:
        cursor.execute(sql)


def _by_asyncpg(driver: Any, sql: str) -> Any:
    return driver.execute(sql)


_WAYS: Final[dict[str, Callable[[Any, str], Any]]] = {
    "asyncpg": _by_asyncpg,
    "psycopg": _by_psycopg,
    "psycopg2": _by_psycopg2,
}
"""How drivers send several statements at once, by their modules; others don't."""
