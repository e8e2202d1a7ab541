"""
Poolers that give each transaction another connection: nothing is kept in a session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.support.pooler import Pooler
from tests.support.postgres_stores import SCHEMA
from yokedcache.stores.answers import SAME, Miss
from yokedcache.testing.stores.processes import TIMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.postgres_stores import Store
    from yokedcache.testing.stores import Process

ORDINARY = "default_transaction_read_only = off"
OTHERS = "default_transaction_isolation = 'repeatable read'"

SESSION = [
    "SELECT name, setting FROM pg_settings WHERE source IN ('session', 'interactive')",
    "SELECT name FROM pg_prepared_statements WHERE name NOT LIKE '\\_pg3\\_%'",
    "SELECT name FROM pg_cursors WHERE name <> ''",
    "SELECT pg_listening_channels()",
    "SELECT relname FROM pg_class WHERE relpersistence = 't'",
    "SELECT locktype FROM pg_locks WHERE locktype = 'advisory'",
]


@pytest.fixture(params=[ORDINARY, OTHERS], ids=["ordinary", "others"])
def role(store: Store, request: pytest.FixtureRequest) -> Iterator[str]:
    """
    Give a role whose transactions are as usual, or others.
    """
    store.say("CREATE ROLE pooled LOGIN")
    store.say(f"GRANT CREATE ON DATABASE {store.database.name} TO pooled")
    store.say(f"ALTER ROLE pooled SET {request.param}")
    yield "pooled"
    store.say(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    store.say("DROP OWNED BY pooled; DROP ROLE pooled")


def test_all_of_a_store_goes_through_a_pooler(
    store: Store, role: str, face: str
) -> None:
    with Pooler(store.database, role) as pooler:
        one = store.open(face, url=pooler.url)
        store.settle(one)
        for _ in range(3):  # over other connections each time
            everything(one)
        one.close()
    assert len(pooler.used) == 3
    assert pooler.clients == 1


def test_who_is_sent_away_comes_again(store: Store, role: str, face: str) -> None:
    with Pooler(store.database, role) as pooler:
        one = store.open(face, url=pooler.url)
        for _ in range(3):
            assert one.bump("t")
            assert pooler.dismiss() == 1
        assert one.read("k", "t") == "absent"
        one.close()


def everything(one: Process) -> None:
    commands, tags = one.commands, one.commands.tags(["t"])
    stamp = one.stamp("t")
    claim = one.do(commands.claim("k", tags, b"me"))
    assert claim.holder == b"me"
    assert one.put("k", b"x", stamp) is None
    reading = commands.read("k", tags)
    question = commands.question(reading, tags, one.do(reading))
    assert question is not None
    assert one.do(commands.again(question)) is SAME
    assert one.do(commands.release("k", b"me"))
    assert one.do(commands.extend("k", TIMES, life=60.0, tags=tags))
    assert one.do(commands.exists("k", tags))
    note = one.do(commands.note())
    fence = one.fence("t")
    assert one.do(commands.renew(fence)) == 0
    assert one.read("k", "t") == "commit_in_flight"
    assert not one.do(commands.adopt(["t"], fence.token, grace=60.0))[0]
    assert one.lift(fence) == 0
    found = one.do(reading)
    assert isinstance(found, Miss)
    assert found.reason == "changed"
    assert not one.stamp("t").vector.not_after(note)
    assert one.do(commands.remove("k", tags)) is False


def test_nothing_is_left_in_a_session(store: Store, role: str, face: str) -> None:
    with Pooler(store.database, role, size=1, forgets=False) as pooler:
        one = store.open(face, url=pooler.url)
        with psycopg.connect(pooler.url, autocommit=True) as looking:
            before = left(looking)
            store.settle(one)
            everything(one)
            assert left(looking) == before
        one.close()


def left(connection: psycopg.Connection[Any]) -> list[Any]:
    """
    Give what a session has of its own.
    """
    return [connection.execute(query).fetchall() for query in SESSION]
