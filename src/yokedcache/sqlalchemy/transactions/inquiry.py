"""
Asks a server which of its backends are left, over a connection of its own.

It connects as the app's engine does, but out of no pool, so that nothing is waited
for and nothing is tracked. A server's list of its connections proves that a commit
is over, if it is that server's. So it is asked who it is, and has to know the
asking connection by the number that the driver was told: a pooler in between makes
numbers up. Doubt means that it can't be asked.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.pool.base import _ConnectionRecord
from sqlalchemy.util import greenlet_spawn

from yokedcache.runtime.clocks import monotonic
from yokedcache.sqlalchemy.databases.identity import database_identity, server_epoch
from yokedcache.sqlalchemy.statements.sql_functions import family
from yokedcache.sqlalchemy.transactions.backends import number_of, user_of
from yokedcache.sqlalchemy.transactions.holders import driver_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from yokedcache.sqlalchemy.transactions.backends import Backend

Answers = dict["Backend", "bool | str"]
"""Whether each backend is left, or why that can't be told."""

_MADE_BY_SQLALCHEMY: Final = "sqlalchemy.engine.create"
_SPREAD: Final = 1.0
_DRIFT: Final = 0.01
"""By how much two clocks may differ: in seconds, and as a share of what they measure."""

_BACKENDS: Final = """
SELECT pg_catalog.pg_backend_pid(), a.pid, EXTRACT(epoch FROM a.backend_start)::text,
    EXTRACT(epoch FROM pg_catalog.clock_timestamp() - a.backend_start)::float8
FROM pg_catalog.pg_stat_activity a
"""
_OWN: Final = "SELECT CONNECTION_ID(), VERSION()"
"""Not the first alone: a proxy would answer that by itself."""
_LOW: Final = 0xFFFFFFFF
"""Drivers are told so much of a number."""


class UnansweredError(Exception):
    """
    What a server says isn't to be relied on.
    """


def inquire(pool: Any, backends: Collection[Backend]) -> Answers:
    """
    Ask which of these are left; all are of one pool.
    """
    try:
        if pool._dialect.is_async:
            return asyncio.run(_in_a_loop(pool, backends))
        return _connect(pool, backends)
    except UnansweredError as error:
        why = str(error)
    except Exception as error:  # noqa: BLE001 - any driver's
        why = f"{type(error).__name__}: {error}".strip()
    return dict.fromkeys(backends, why)


async def _in_a_loop(pool: Any, backends: Collection[Backend]) -> Answers:
    answers: Answers = await greenlet_spawn(_connect, pool, backends)
    return answers


def _connect(pool: Any, backends: Collection[Backend]) -> Answers:
    dialect = pool._dialect
    asked = monotonic()
    # what `do_connect` listeners are given: a record that belongs to no pool's queue
    raw = pool._invoke_creator(_ConnectionRecord(pool, connect=False))
    try:
        known = {b for b in backends if _is_server_of(raw, dialect.name, b)}
        answers: Answers = dict.fromkeys(backends, "another server answers, or it anew")
        if known:
            answers |= _ASK[family(dialect.name)](raw, known, asked)
        return answers
    finally:
        close = dialect.do_terminate if dialect.has_terminate else dialect.do_close
        with contextlib.suppress(Exception):
            close(raw)


def _is_server_of(raw: Any, dialect_name: str, backend: Backend) -> bool:
    found = database_identity(raw, dialect_name, None), server_epoch(raw, dialect_name)
    return found == (backend.identity, backend.epoch)


def _rows(raw: Any, sql: str) -> list[Any]:
    cursor = raw.cursor()
    try:
        cursor.execute(sql)
        return list(cursor.fetchall())
    finally:
        cursor.close()


def _check_own(raw: Any, dialect_name: str, numbers: Collection[int], own: int) -> None:
    told = number_of(driver_of(raw), dialect_name)
    if told != own or own not in numbers:
        raise UnansweredError("the server isn't reached directly")


def _postgresql(raw: Any, backends: Collection[Backend], asked: float) -> Answers:
    found = _rows(raw, _BACKENDS)
    listed = {int(number): (born, age) for _, number, born, age in found}
    _check_own(raw, "postgresql", listed, int(found[0][0]) if found else 0)
    return {b: _is_left(b, listed.get(b.number or 0), asked) for b in backends}


def _is_left(backend: Backend, listed: tuple[Any, Any] | None, asked: float) -> bool:
    """
    Tell whether a listed process is the one, and not another of the same number.

    A role that may not see since when it runs takes it for the one.
    """
    if listed is None:
        return False
    born, age = listed
    if born is None:
        return True
    if backend.born is None:
        if _is_younger(float(age), asked - backend.at):
            return False
        backend.born = born
    return bool(backend.born == born)


def _is_younger(age: float, span: float) -> bool:
    """
    Tell whether something of a server began within the span that was measured here.
    """
    return age + _SPREAD + _DRIFT * span < span


def _mysql(raw: Any, backends: Collection[Backend], asked: float) -> Answers:
    """
    A user sees its own threads, so it has to be the same user.
    """
    own = int(_rows(raw, _OWN)[0][0]) & _LOW
    # whole seconds: the one that has begun counts
    uptime = int(_rows(raw, "SHOW GLOBAL STATUS LIKE 'Uptime'")[0][1]) + 1
    listed = {int(row[0]) & _LOW for row in _rows(raw, "SHOW PROCESSLIST")}
    _check_own(raw, "mysql", listed, own)
    user = user_of(driver_of(raw))
    steady = _has_one_user(backends)
    answers: Answers = {}
    for backend in backends:
        if _is_younger(uptime, asked - backend.at):
            answers[backend] = False
        elif backend.user == user and (user is not None or steady):
            answers[backend] = backend.number in listed
        else:
            answers[backend] = "it may belong to a user whose connections aren't shown"
    return answers


def _has_one_user(backends: Collection[Backend]) -> bool:
    """
    Tell whether all connections of a pool are made with the arguments of its engine.
    """
    (pool,) = {backend.pool for backend in backends}
    made_by = getattr(pool._creator, "__module__", "")
    return made_by == _MADE_BY_SQLALCHEMY and not list(
        pool._dialect.dispatch.do_connect
    )


_ASK: Final[dict[str, Callable[[Any, Collection[Backend], float], Answers]]] = {
    "postgresql": _postgresql,
    "mysql": _mysql,
}
