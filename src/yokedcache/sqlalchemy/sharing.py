"""
What a store that processes share needs of SQLAlchemy: how to write what it answers.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from yokedcache.runtime import switching
from yokedcache.runtime.clocks import monotonic
from yokedcache.sqlalchemy.answers import driver
from yokedcache.sqlalchemy.databases.database import databases
from yokedcache.sqlalchemy.transactions.backends import Backend
from yokedcache.sqlalchemy.transactions.inquiry import inquire

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.core.entry import Entry


def install() -> None:
    """
    Have rows and mapped objects written, and greenlets wait.
    """
    from yokedcache.shared import orphans
    from yokedcache.shared.payloads import Form, register_form
    from yokedcache.sqlalchemy.answers.playing import Kept
    from yokedcache.sqlalchemy.answers.recordings import Recording
    from yokedcache.sqlalchemy.functions.albums import FORM

    def packed(entry: Entry) -> Any:
        kept: Kept = entry.value
        return kept.recording.packed()

    def unpacked(plain: Any) -> tuple[Any, None]:
        return Kept(Recording.unpacked(plain)), None

    register_form("rows", Form(lambda e: isinstance(e.value, Kept), packed, unpacked))
    register_form("objects", FORM)
    switching.install(driver.in_greenlet, driver.wait)
    orphans.install(_transaction)


def _transaction(owner: str) -> Callable[[], bool | None] | None:
    """
    Give what tells whether another process's transaction is left, if that can be asked.
    """
    try:
        backend = backend_named(owner)
    except (ValueError, TypeError):  # written by another version
        return None
    if backend is None or backend.unaskable() is not None:
        return None

    def is_left() -> bool | None:
        backend.at = monotonic()  # nothing is concluded from clocks
        answer = inquire(backend.pool, [backend])[backend]
        return answer if isinstance(answer, bool) else None

    return is_left


def backend_named(text: str) -> Backend | None:
    """
    Make a backend of its text, if its database is known here.

    It is taken to be there still, and to be whoever has its number when it is asked for
    the first time.
    """
    identity, epoch, number, user = json.loads(text)
    for database in databases():
        pool = database.pool()
        if database.identity == identity and pool is not None:
            made = Backend(None, database)
            made.pool, made.epoch, made.number, made.user = pool, epoch, number, user
            return made
    return None
