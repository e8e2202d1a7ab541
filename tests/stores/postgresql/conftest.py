"""
A schema of their own for the tests of this folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.postgres_stores import SCHEMA, Store

if TYPE_CHECKING:
    from collections.abc import Iterator

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
