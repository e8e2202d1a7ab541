"""
The shipped suites on PostgreSQL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from tests.support.postgres_stores import NIGHT
from yokedcache.stores.postgresql.client import PostgresClient
from yokedcache.stores.postgresql.commands import Commands
from yokedcache.stores.postgresql.layout import numbers
from yokedcache.testing.stores import CacheSuite, Process, StoreSuite

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services import PostgresDatabase


@pytest.mark.timeout(240)
class TestPostgres(StoreSuite):
    """
    A schema, whose memory is lost by dropping it.
    """

    lease: ClassVar[float] = 30.0
    examples: ClassVar[int] = 100 if NIGHT else 12

    @pytest.fixture
    def connect(
        self, postgres_module_database: PostgresDatabase
    ) -> Callable[..., PostgresClient]:
        self.database = postgres_module_database

        def opened(*, lease: float) -> PostgresClient:
            commands = Commands("suite", lease=lease)
            return PostgresClient(self.database.url(), commands, ticket=lambda: 0.0)

        return opened

    def say(self, statement: str) -> int:
        with self.database.server.connect(self.database.name) as connection:
            return connection.execute(statement).rowcount

    def settle(self, process: Process) -> None:
        process.bump()
        self.say("UPDATE yokedcache_suite.tags SET ends = 0 WHERE digest = -1")
        self.say(
            "DELETE FROM yokedcache_suite.tags WHERE '0' IN (SELECT token FROM unnest(fences))"
        )

    def lose_memory(self, process: Process) -> None:
        self.say("DROP SCHEMA yokedcache_suite CASCADE")

    def lose_tag(self, process: Process, name: str) -> bool:
        (number,) = numbers(process.commands.tags([name]).digests)
        return (
            self.say(f"DELETE FROM yokedcache_suite.tags WHERE digest = {number}") == 1
        )


class TestCachesOnPostgres(CacheSuite):
    @pytest.fixture
    def url(self, postgres_url: str) -> str:
        return postgres_url
