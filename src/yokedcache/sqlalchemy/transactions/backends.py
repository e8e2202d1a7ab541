"""
The server's side of a connection, as far as its driver knows it without asking.

Noted when fences are put up, for a connection that is lost can't tell any more. A
server can be asked later, over another connection, which of its backends are left
(see `inquiry`).
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, Final

from yokedcache.runtime.clocks import monotonic
from yokedcache.sqlalchemy.statements.sql_functions import family
from yokedcache.sqlalchemy.transactions.holders import driver_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.sqlalchemy.databases.database import Database


class Backend:
    """
    The process or thread of a server that a commit was sent to.
    """

    __slots__ = ("at", "born", "epoch", "identity", "number", "pool", "user")

    def __init__(self, holder: Any, database: Database) -> None:
        driver = driver_of(holder)
        self.pool: Any = getattr(holder, "_pool", None)
        self.number = number_of(driver, database.dialect_name)
        self.user = user_of(driver)
        self.identity = database.identity
        self.epoch = database.epoch
        self.at = monotonic()
        """When it was certainly there."""
        self.born: Any = None
        """When it began, as the server says; learnt when it is first asked."""

    def text(self) -> str:
        """
        Name it for other processes (`sharing`); empty if nobody could ask for it.
        """
        if self.unaskable() is not None:
            return ""
        return json.dumps([self.identity, self.epoch, self.number, self.user])

    def unaskable(self) -> str | None:
        """
        Name why nobody can be asked whether it is left.
        """
        if self.pool is None or family(self.pool._dialect.name) not in _NUMBERS:
            return "such a database has no list of its connections"
        if self.number is None:
            return "the driver doesn't say which connection it was"
        if self.identity is None:
            return "the database hasn't said who it is"
        return None


def number_of(driver: Any, dialect_name: str) -> int | None:
    """
    Give the number that a server has told a driver for its connection.
    """
    for read in _NUMBERS.get(family(dialect_name), ()):
        with contextlib.suppress(Exception):  # other drivers, a connection that is dead
            return int(read(driver)) or None
    return None


def user_of(driver: Any) -> str | None:
    """
    Give the name that a driver has logged in by, if it says.
    """
    user = getattr(driver, "user", None)
    if isinstance(user, bytes):
        return user.decode(errors="replace")
    return user if isinstance(user, str) else None


_NUMBERS: Final[dict[str, tuple[Callable[[Any], Any], ...]]] = {
    "postgresql": (
        lambda driver: driver.info.backend_pid,
        lambda driver: driver.get_server_pid(),
    ),
    "mysql": (
        lambda driver: driver.thread_id(),
        lambda driver: driver.connection_id,
    ),
}
"""How drivers of either kind are asked: none of these is a round trip."""
