"""
Servers that crash, start again, are restored or copied: nothing of before is served.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.services.postgres import PostgresDatabase
from tests.support.postgres_stores import SCHEMA, Server, Store, empty, filled

pytestmark = pytest.mark.timeout(120)


def test_one_of_its_processes_crashes(server: Server, broken: Store, face: str) -> None:
    # the server goes on, and has emptied what it doesn't log
    one = broken.open(face)
    broken.settle(one)
    version, raised = filled(one), one.fence("other")
    with broken.connect() as victim:
        pid = victim.info.backend_pid
        server.crash(pid)
        victim.close()
    empty(one, version)
    assert one.do(one.commands.renew(raised)) == 1
    assert one.lift(raised) == 0


def test_it_is_killed_and_starts_again(server: Server, broken: Store) -> None:
    one, other = broken.open(), broken.open("async")
    broken.settle(one)
    version = filled(one)
    assert other.read("k", "t") == b"x"
    server.kill()
    server.start()
    assert broken.say(f"SELECT count(*) FROM {SCHEMA}.tags") == [(0,)]
    empty(one, version)
    assert isinstance(other.read("k", "t"), str)
    other.close()


def test_it_is_restored_from_an_older_copy(server: Server, broken: Store) -> None:
    """
    A copy of a server that was stopped has all tables; only the start tells.
    """
    one = broken.open()
    broken.settle(one)
    version = filled(one)
    server.process.stop()
    kept = Path(f"{server.data}-kept")
    shutil.copytree(server.data, kept)
    server.start()
    empty(one, version)
    broken.settle(one)
    version = filled(one)
    server.process.stop()
    shutil.rmtree(server.data)
    shutil.move(kept, server.data)
    _give_all(server.data)
    server.start()
    assert broken.say(f"SELECT count(*) > 1 FROM {SCHEMA}.tags") == [(True,)]
    empty(one, version)


def _give_all(folder: Path) -> None:
    from tests.services.processes import give

    give(folder)
    folder.chmod(0o700)
    for path in folder.rglob("*"):
        give(path)


def test_a_copy_of_the_database_serves_nothing(store: Store) -> None:
    one = store.open()
    store.settle(one)
    version = filled(one)
    one.close()
    server, name = store.database.server, f"{store.database.name}_copy"
    with server.connect() as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {store.database.name}")
    copied = Store(PostgresDatabase(server, name))
    other = copied.open()
    assert copied.say(f"SELECT count(*) FROM {SCHEMA}.entries") == [(2,)]
    empty(other, version)
    other.close()
    server.drop_database(copied.database)


def test_tables_that_were_emptied_or_written_anew(store: Store) -> None:
    one = store.open()
    store.settle(one)
    for statement in (
        "TRUNCATE {0}.tags",
        "VACUUM FULL {0}.tags",
        "DELETE FROM {0}.tags",
    ):
        version = filled(one)
        store.say(statement.format(SCHEMA))
        empty(one, version)
        store.settle(one)


def test_a_dump_that_is_restored_serves_nothing(store: Store) -> None:
    # rows and the sequence as a dump has them, into tables that were made anew
    one = store.open()
    store.settle(one)
    version = filled(one)
    names = ("tags", "entries")
    with store.connect() as connection:
        for name in names:
            connection.execute(f"CREATE TABLE kept_{name} AS TABLE {SCHEMA}.{name}")
    (last,) = store.say(f"SELECT last_value FROM {SCHEMA}.numbers")
    store.say(f"DROP SCHEMA {SCHEMA} CASCADE")
    assert one.do(one.commands.note()) is None
    for name in names:
        columns = "digest, version, ends, home" if name == "tags" else "*"
        where = "" if name == "entries" else " (digest, version, ends, home)"
        store.say(
            f"INSERT INTO {SCHEMA}.{name}{where} SELECT {columns} FROM kept_{name}"
        )
    store.say(f"SELECT setval('{SCHEMA}.numbers', %s)", last[0])
    empty(one, version)
    for name in names:
        store.say(f"DROP TABLE kept_{name}")
