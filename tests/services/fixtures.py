"""
The servers as fixtures.

One private instance a test process, started when first asked for, and a database of
its own for each test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.services.mariadb import MariaDB, MariaDBDatabase, MariaDBServer
from tests.services.postgres import Postgres, PostgresDatabase, PostgresServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """
    Give a PostgreSQL server; each worker of xdist has its own.
    """
    with Postgres().running() as server:
        yield server


@pytest.fixture
def make_postgres_database(
    postgres_server: PostgresServer,
) -> Iterator[Callable[[], PostgresDatabase]]:
    """
    Give a function that makes empty databases, dropped after the test.
    """
    made: list[PostgresDatabase] = []

    def make() -> PostgresDatabase:
        made.append(postgres_server.create_database())
        return made[-1]

    yield make
    for database in made:
        postgres_server.drop_database(database)


@pytest.fixture
def postgres_database(
    make_postgres_database: Callable[[], PostgresDatabase],
) -> PostgresDatabase:
    """
    Give an empty database: `.url("asyncpg")` for SQLAlchemy, `.url()` for libpq.
    """
    return make_postgres_database()


@pytest.fixture
def postgres_url(postgres_database: PostgresDatabase) -> str:
    """
    Give the URL of an empty database, without a driver's name.
    """
    return postgres_database.url()


@pytest.fixture(scope="module")
def postgres_module_database(
    postgres_server: PostgresServer,
) -> Iterator[PostgresDatabase]:
    """
    Give a database that all tests of a module share, for costly tables.
    """
    database = postgres_server.create_database()
    yield database
    postgres_server.drop_database(database)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDBServer]:
    """
    Give a MariaDB server; each worker of xdist has its own.
    """
    with MariaDB().running() as server:
        yield server


@pytest.fixture
def make_mariadb_database(
    mariadb_server: MariaDBServer,
) -> Iterator[Callable[[], MariaDBDatabase]]:
    """
    Give a function that makes empty databases, dropped after the test.
    """
    made: list[MariaDBDatabase] = []

    def make() -> MariaDBDatabase:
        made.append(mariadb_server.create_database())
        return made[-1]

    yield make
    for database in made:
        mariadb_server.drop_database(database)


@pytest.fixture
def mariadb_database(
    make_mariadb_database: Callable[[], MariaDBDatabase],
) -> MariaDBDatabase:
    """
    Give an empty database: `.url("pymysql")` for SQLAlchemy.
    """
    return make_mariadb_database()
