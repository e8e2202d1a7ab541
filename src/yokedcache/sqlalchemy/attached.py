"""
What `attach` was told of a target: its cache, TTL, tables and what it varies on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from yokedcache.core.durations import optional_seconds
from yokedcache.core.keys import canonical
from yokedcache.errors import DeclarationError
from yokedcache.policy import UNSET
from yokedcache.sqlalchemy.install import ANSWERER

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from yokedcache.core.durations import Duration
    from yokedcache.machine import Machine

NOTHING_VARIES = b""


class Attachment:
    """
    The options of one `attach`.
    """

    def __init__(
        self,
        machine: Machine,
        *,
        ttl: Duration | None = None,
        tables: str | Iterable[str] | None = None,
        vary: Any = UNSET,
    ) -> None:
        self.machine = machine
        self.ttl = optional_seconds(ttl)
        self.tables = _tables(tables)
        self.vary = vary

    def vary_key(self, session: Session) -> bytes | None:
        """
        Give what answers of a session vary on; `None` if the app didn't say.
        """
        if self.vary is UNSET:
            return None
        value = self.vary(session) if callable(self.vary) else self.vary
        return NOTHING_VARIES if value is None else canonical(value)


def check_options(*, ttl: Any, tables: Any, vary: Any) -> None:
    """
    Check the options of an attachment that isn't made yet.
    """
    del vary  # any value may be varied on
    optional_seconds(ttl)
    _tables(tables)


def attachment_of(session: Session) -> Attachment | None:
    """
    Give the options under which a session is attached.
    """
    method = session._connection_for_bind
    return getattr(getattr(method, ANSWERER, None), "attachment", None)


def _tables(tables: Any) -> frozenset[str] | None:
    if tables is None or tables == "auto_detect":
        return None
    if isinstance(tables, str):
        tables = (tables,)
    names = tuple(tables) if isinstance(tables, Iterable) else ()
    if not names or not all(isinstance(name, str) and name for name in names):
        msg = f"tables (table_name) must be a table or a list of them, got {tables!r}"
        raise DeclarationError(msg, tables=tables)
    return frozenset(name.rpartition(".")[2].casefold() for name in names)
