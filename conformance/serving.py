"""
Mode `on`: the cache is simply on, and every answer that can be stored is a hit.

Each test gets a fresh `YokedCache`, attached to the class `Session`. A test asks
most things once, so what misses is stored in advance: the statement is executed
and recorded the way a miss is, over a connection of its own where the session has
none yet, and then the call is made again from the beginning. Templates are made
at the first hit, and a statement that could take the short way takes it at once.

Whether the expected statements were sent is judged after all else, since that is
what a cache changes: a test whose message says so would have passed otherwise.
"""

from __future__ import annotations

import collections
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asking import Asking
from sqlalchemy.engine import Engine
from sqlalchemy.orm import QueryContext, Session

from yokedcache import YokedCache
from yokedcache.sqlalchemy import install, tracking
from yokedcache.sqlalchemy.answers import facade, playing, quick
from yokedcache.sqlalchemy.answers.fitness import established
from yokedcache.sqlalchemy.databases import in_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Connection, CursorResult

    from yokedcache.sqlalchemy.answers.facade import CachingConnection, StatementCall
    from yokedcache.sqlalchemy.answers.misses import StatementMiss

_PLENTY = 10**9
_STORED = "_conformance_stored"
"""Marks a session whose call is being made again."""


class Serving:
    """
    A new cache for each test, and counts of what all of them did.
    """

    def __init__(self) -> None:
        self.counts: collections.Counter[str] = collections.Counter()
        self._cache: YokedCache | None = None
        self._asking = Asking()

    def begin_run(self) -> None:
        """
        Make templates at once, and store in advance.
        """
        playing.WORTHWHILE = 1
        _admit_the_attached()
        _make_templates_unseen()
        self._asking.install()
        self._count_plays()
        _store_in_advance(self.counts, self._asking)

    def begin_test(self) -> None:
        """
        Attach a fresh cache; the last test may have taken off the listeners.
        """
        self._close()
        self._asking.begin_test()
        self._cache = YokedCache("memory://")
        tracking.install()
        self._cache.attach(Session, vary=None)
        _take_the_short_way(self.counts, self._asking)

    def complaints(self) -> list[str]:
        """
        Give what the test expected to be sent to the database, and wasn't.
        """
        return self._asking.complaints

    def end_run(self) -> collections.Counter[str]:
        """
        Give hits, loads and the reasons of everything else.
        """
        self._close()
        self.counts["answered"] = self._asking.answered
        return self.counts

    def _close(self) -> None:
        cache, self._cache = self._cache, None
        if cache is None:
            return
        total = cache.sync.stats().total
        self.counts["hits"] += total.hits
        self.counts["loads"] += total.loads
        for reason, count in total.refusals.items():
            self.counts[f"not stored: {reason}"] += count
        for reason, count in total.bypasses.items():
            self.counts[f"bypass: {reason}"] += count
        cache.sync.close()

    def _count_plays(self) -> None:
        for holder, name, label in (
            (playing, "stamped", "hits by template"),
            (playing, "replay", "hits by loader"),
            (quick.Quick, "_served", "hits by the short way"),
        ):
            counting = _counting(getattr(holder, name), self.counts, label)
            setattr(holder, name, counting)


def _counting(
    function: Callable[..., Any], counts: collections.Counter[str], label: str
) -> Callable[..., Any]:
    def counted(*args: Any, **kw: Any) -> Any:
        given = function(*args, **kw)
        counts[label] += given is not None and not kw.get("again")
        return given

    return counted


def _make_templates_unseen() -> None:
    """
    Let no test that watches the loader see it at work on a template.

    That it runs then is the cache's own affair; of the test's loads it sees all.
    """
    plainly, init = playing.template_of, QueryContext.__init__

    def template_of(*args: Any) -> Any:
        watched = QueryContext.__init__
        QueryContext.__init__ = init  # type: ignore[method-assign]
        try:
            return plainly(*args)
        finally:
            QueryContext.__init__ = watched  # type: ignore[method-assign]

    playing.template_of = template_of


def _admit_the_attached() -> None:
    """
    Let SQLite databases be cached to which the suite attached its own second one.

    Else there would be no hit on SQLite at all. What lies in the attached one stays
    unknown to the catalogue, so statements on it aren't cached.
    """
    plainly = in_memory.database_identity

    def database_identity(connection: Any, dialect_name: str, url: Any) -> str:
        if dialect_name != "sqlite":
            return plainly(connection, dialect_name, url)
        cursor = connection.cursor()
        cursor.execute("PRAGMA database_list")
        files = {name: path for _, name, path in cursor.fetchall()}
        cursor.close()
        if files.keys() - {"main", "temp"} != {"test_schema"}:
            return plainly(connection, dialect_name, url)
        status = Path(files["main"]).stat() if files["main"] else None
        return f"sqlite:{status.st_dev}:{status.st_ino}" if status else ""

    in_memory.database_identity = database_identity


def _store_in_advance(counts: collections.Counter[str], asking: Asking) -> None:
    """
    Let what misses be loaded and stored, and then be asked for again.
    """
    plainly = facade.CachingConnection._recorded

    def _recorded(
        self: CachingConnection, call: StatementCall, miss: StatementMiss
    ) -> CursorResult[Any]:
        if _STORED in call.session.__dict__:
            return plainly(self, call, miss)
        miss.max_rows = miss.max_bytes = _PLENTY
        before = asking.so_far()
        apart = _apart(call)
        if apart is not None:
            with apart:
                stored = _loaded(apart, call, miss)
        else:
            result = plainly(self, call, miss)
            if not miss.under_way:
                return result  # it won't be stored, and that is right
            stored = True
            result._fetchall_impl()
        asking.in_advance(before)
        counts["stored in advance"] += stored
        call.session.__dict__[_STORED] = True
        try:
            return self.execute(
                call.statement,
                call.parameters,
                execution_options=call.execution_options,
            )
        finally:
            del call.session.__dict__[_STORED]

    facade.CachingConnection._recorded = _recorded  # type: ignore[method-assign]


def _apart(call: StatementCall) -> Connection | None:
    """
    Give a connection that isn't the session's, if the session needs none yet.
    """
    bind = call.bind
    own = getattr(call.session, "execution_options", None)
    if established(call.session, bind) or own or not isinstance(bind, Engine):
        return None
    connection = bind.connect()
    # Not by `Connection.connection`: who takes that may write anything.
    driver: Any = connection._dbapi_connection.driver_connection
    if bind.dialect.name == "sqlite" and driver.in_transaction:
        connection.close()  # shared with another session, in memory
        return None
    return connection


def _loaded(apart: Connection, call: StatementCall, miss: StatementMiss) -> bool:
    miss.before_read(apart)
    if not miss.under_way:
        return False
    try:
        result = apart.execute(
            call.statement, call.parameters, execution_options=call.execution_options
        )
    except Exception:  # noqa: BLE001 - the session will raise it
        return False
    sql, parameters = facade.sent(result)
    recorded = facade.record(
        result,
        on_complete=lambda recording: miss.complete(recording, sql, parameters),
        on_abandon=miss.abandon,
        max_rows=miss.max_rows,
        max_bytes=miss.max_bytes,
    )
    recorded._fetchall_impl()
    return True


def _take_the_short_way(counts: collections.Counter[str], asking: Asking) -> None:
    """
    Ask again for what was answered, if that can now be answered the short way.
    """
    plainly: Any = Session._execute_internal
    answerer: Any = getattr(Session._connection_for_bind, install.ANSWERER)

    def _execute_internal(
        self: Session, statement: Any, params: Any = None, **kw: Any
    ) -> Any:
        hits = counts["hits by template"]
        result: Any = plainly(self, statement, params, **kw)
        if (
            counts["hits by template"] == hits
            or params
            or kw.get("_scalar_result")
            or not install._is_plain_call(kw)
            or self.dispatch.do_orm_execute
        ):
            return result
        del result  # and its instances: while they live, the loader does the work
        with asking.silence():
            again = answerer.quick.select(self, statement, kw["execution_options"])
            if again is quick.MISSED:
                again = plainly(self, statement, params, **kw)
        return again

    setattr(_execute_internal, install._MARK, install._original(plainly))
    Session._execute_internal = _execute_internal  # type: ignore[method-assign]
