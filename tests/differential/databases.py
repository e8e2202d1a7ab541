"""
The two databases of a program's sides, with a schema in them.

Another kind of database is one more entry of `DRIVERS` and of `_MAKERS`.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event, text
from sqlalchemy.ext.asyncio import create_async_engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from tests.differential.schemas import Schema

DRIVERS = {
    ("sqlite", "sync"): "sqlite",
    ("sqlite", "async"): "sqlite+aiosqlite",
    ("postgresql", "sync"): "psycopg",
    ("postgresql", "async"): "asyncpg",
}
"""How a kind of database is reached by each face."""


def _sqlite(schema: Schema, folder: Path, driver: str) -> Any:
    """
    Give an engine over a file in which nobody waits, neither for a lock nor the disk.
    """
    make = create_engine if driver == "sqlite" else create_async_engine
    engine: Any = make(f"{driver}:///{folder}/data.db", connect_args={"timeout": 0})
    sync = getattr(engine, "sync_engine", engine)
    event.listen(sync, "connect", _strict if schema.enforces else _lax)
    return engine


def _postgresql(_: Schema, database: Any, driver: str) -> Any:
    """
    Give an engine over a database, on which nobody waits long for a lock.
    """
    if driver == "psycopg":
        options = {"options": "-c lock_timeout=20ms"}
        return create_engine(database.url(driver), connect_args=options)
    settings = {"server_settings": {"lock_timeout": "20ms"}}
    return create_async_engine(database.url(driver), connect_args=settings)


_MAKERS: dict[str, Any] = {"sqlite": _sqlite, "postgresql": _postgresql}


@contextlib.contextmanager
def engines(schema: Schema, places: list[Any], face: str) -> Iterator[list[Any]]:
    """
    Give an engine for each place (a folder, a database); async ones aren't disposed of.
    """
    driver = DRIVERS[schema.database, face]
    made = [_MAKERS[schema.database](schema, place, driver) for place in places]
    try:
        yield made
    finally:
        for engine in made:
            if face == "sync":
                engine.dispose()


def _strict(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = OFF")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _lax(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = OFF")
    cursor.close()


def postgresql_engine(database: Any, face: str) -> Any:
    """
    Give an engine over a database, on which nobody waits long for a lock.
    """
    url = database.url(DRIVERS["postgresql", face])
    if face == "sync":
        return create_engine(url, connect_args={"options": "-c lock_timeout=20ms"})
    settings = {"server_settings": {"lock_timeout": "20ms"}}
    return create_async_engine(url, connect_args=settings)


def create(schema: Schema, engine: Engine) -> None:
    """
    Make the tables, with the cascades that the models don't know, and the triggers.
    """
    hidden = [
        constraint
        for table in schema.base.metadata.tables.values()
        for constraint in table.foreign_key_constraints
        if constraint.info.get("ondelete")
    ]
    with engine.begin() as connection, _shown(hidden):
        schema.base.metadata.create_all(connection)
        for statement in schema.ddl:
            connection.execute(text(statement))


@contextlib.contextmanager
def _shown(constraints: list[Any]) -> Iterator[None]:
    for constraint in constraints:
        constraint.ondelete = constraint.info["ondelete"]
    try:
        yield
    finally:
        for constraint in constraints:
            constraint.ondelete = None


def empty(schema: Schema, engine: Engine) -> None:
    """
    Take all rows out, and let numbers begin anew.
    """
    tables = [table.name for table in reversed(schema.base.metadata.sorted_tables)]
    with engine.begin() as connection:
        if schema.database == "postgresql":
            names = ", ".join(tables)
            # a busy machine may clean up after programs that are over
            connection.execute(text("SET LOCAL lock_timeout = '30s'"))
            connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
            return
        for name in tables:
            connection.execute(text(f"DELETE FROM {name}"))


def content(schema: Schema, engine: Engine) -> dict[str, list[Any]]:
    """
    Give what is in the tables.
    """
    with engine.connect() as connection:
        return {
            table.name: sorted(
                (
                    tuple(row)
                    for row in connection.exec_driver_sql(f"SELECT * FROM {table.name}")
                ),
                key=repr,
            )
            for table in schema.base.metadata.sorted_tables
        }
