"""
Which listeners on a pool are seen to write nothing, by their code.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from sqlalchemy.exc import DisconnectionError

from yokedcache.sqlalchemy.contexts.judging import idles, keeps_off

SEEN: list[Any] = []


def counts(_: Any, __: Any, ___: Any) -> None:
    SEEN.append(1)


def knows_its_process(_: Any, record: Any, proxy: Any) -> None:
    pid = os.getpid()
    if record.info["pid"] != pid:
        record.dbapi_connection = proxy.dbapi_connection = None
        raise DisconnectionError(record.info["pid"])


def sets(connection: Any, _: Any) -> None:
    connection.isolation_level = None


def sends(connection: Any, _: Any) -> None:
    connection.execute("INSERT INTO t VALUES (1)")


def hands_on(connection: Any, _: Any) -> None:
    SEEN.append(connection)


def takes_anything(*given: Any) -> None:
    SEEN.append(given)


def has_it_done(connection: Any, _: Any) -> None:
    def inner() -> None:
        connection.execute("INSERT INTO t VALUES (1)")

    inner()


def asks_the_record(_: Any, record: Any) -> None:
    record.dbapi_connection.execute("INSERT INTO t VALUES (1)")


@pytest.mark.parametrize("listener", [counts, knows_its_process, sets])
def test_who_does_nothing_with_a_connection_writes_nothing(listener: Any) -> None:
    assert keeps_off(listener)


@pytest.mark.parametrize(
    "listener", [sends, hands_on, takes_anything, has_it_done, asks_the_record]
)
def test_who_may_is_no_such(listener: Any) -> None:
    assert not keeps_off(listener)


def pragma(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def one_of_several(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    for sql in ("INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)"):
        cursor.execute(sql)
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def by_default(connection: Any, _: Any, sql: str = "INSERT INTO t VALUES (1)") -> None:
    cursor = connection.cursor()
    cursor.execute(sql)
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def test_a_text_is_found_wherever_it_stands() -> None:
    assert idles(pragma)
    assert not idles(one_of_several)
    assert not idles(by_default)
