"""
A schema of their own for the tests of this folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.postgres_held import close_all
from tests.support.postgres_inside import PREFIX, App
from tests.support.postgres_stores import SCHEMA, Server, Store, own_server
from yokedcache.sqlalchemy.transactions import carrying

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.services import PostgresDatabase
    from yokedcache.testing.stores import Process


@pytest.fixture
def store(postgres_module_database: PostgresDatabase) -> Iterator[Store]:
    """
    Give a store on which there is nothing yet.
    """
    made = Store(postgres_module_database)
    made.say(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    yield made
    made.close()


@pytest.fixture(params=["sync", "async"])
def face(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def one(store: Store, face: str) -> Process:
    """
    Give a process on a store that is relied on.
    """
    process = store.open(face)
    store.settle(process)
    return process


@pytest.fixture(autouse=True)
def nothing_stays_open() -> Iterator[None]:
    """
    Undo what a test has held open.
    """
    yield
    close_all()


@pytest.fixture(scope="package")
def server() -> Iterator[Server]:
    """
    Give a server that tests may break, and leave running.
    """
    with own_server() as running:
        yield running


@pytest.fixture
def broken(server: Server) -> Iterator[Store]:
    """
    Give a store on the server that the test breaks.
    """
    store = Store(server.server.create_database())
    yield store
    store.close()


@pytest.fixture
def opened(postgres_database: PostgresDatabase) -> Iterator[Callable[..., App]]:
    """
    Give a function that opens an application, on a store of its database or of another.
    """
    carrying._resting.clear()
    made: list[App] = []

    def app(driver: str = "psycopg", *, store: PostgresDatabase | None = None) -> App:
        place = Store(store or postgres_database, PREFIX)
        made.append(App(postgres_database, place, driver))
        return made[-1]

    yield app
    for one in made:
        one.close()


@pytest.fixture
def app(opened: Callable[..., App]) -> App:
    return opened()
