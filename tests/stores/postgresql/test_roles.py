"""
What roles may do, and what somebody has set for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.services.processes import wait_until
from tests.support.postgres_held import Held, close_all
from tests.support.postgres_stores import SCHEMA, Store
from yokedcache.errors import StoreError
from yokedcache.stores.postgresql import talking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yokedcache.testing.stores import Process


@pytest.fixture
def role(store: Store) -> Iterator[str]:
    """
    Give a role that may connect, and nothing else.
    """
    store.say("CREATE ROLE modest LOGIN")
    yield "modest"
    close_all()  # it may hold what is dropped now
    store.say(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    store.say("DROP OWNED BY modest")
    store.say("DROP ROLE modest")


def as_role(store: Store, role: str, face: str) -> Process:
    server = store.database.server
    url = f"postgresql://{role}@{server.host}:{server.port}/{store.database.name}"
    return store.open(face, url=url)


def test_a_role_that_may_not_create_is_told_what_to_say(
    store: Store, role: str, face: str
) -> None:
    one = as_role(store, role, face)
    said = f"CREATE SCHEMA {SCHEMA} AUTHORIZATION role"
    with pytest.raises(StoreError, match=said) as raised:
        one.read("k", "t")
    assert raised.value.refusal == "NOPERM"
    store.say(f"CREATE SCHEMA {SCHEMA} AUTHORIZATION {role}")
    one.bump()
    store.settle(one)
    assert one.fill("k", b"x", "t") is None
    assert one.read("k", "t") == b"x"


def test_a_schema_of_another_role_is_shared_by_leave(store: Store, role: str) -> None:
    owner = store.open()
    store.settle(owner)
    one = as_role(store, role, "sync")
    with pytest.raises(StoreError, match="GRANT USAGE ON SCHEMA"):
        one.read("k", "t")
    for what in ("USAGE ON SCHEMA", "ALL ON ALL TABLES IN SCHEMA"):
        store.say(f"GRANT {what} {SCHEMA} TO {role}")
    store.say(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA {SCHEMA} TO {role}")
    assert one.fill("k", b"x", "t") is None
    assert owner.read("k", "t") == b"x"
    one.close()


@pytest.mark.parametrize(
    "set_to",
    [
        "default_transaction_isolation = 'serializable'",
        "default_transaction_isolation = 'repeatable read'",
        "default_transaction_read_only = on",
    ],
)
def test_a_role_whose_transactions_are_others(
    store: Store, role: str, face: str, set_to: str
) -> None:
    store.say(f"GRANT CREATE ON DATABASE {store.database.name} TO {role}")
    store.say(f"ALTER ROLE {role} SET {set_to}")
    one = as_role(store, role, face)
    one.bump()
    store.settle(one)
    assert one.fill("k", b"x", "t") is None
    fence = one.fence("t")
    assert one.read("k", "t") == "commit_in_flight"
    assert one.lift(fence) == 0
    assert one.read("k", "t") == "changed"
    assert one.fill("k", b"y", "t") is None
    assert one.read("k", "t") == b"y"


WAITS = 2.0
"""Seconds for who waits in vain, and is told so by the server before they are over."""

OTHER = "default_transaction_isolation = 'serializable'"


def set_for(store: Store, role: str, *settings: str) -> None:
    store.say(f"GRANT CREATE ON DATABASE {store.database.name} TO {role}")
    for setting in settings:
        store.say(f"ALTER ROLE {role} SET {setting}")


def test_a_refusal_in_a_transaction_of_our_own_leaves_the_connection(
    store: Store, role: str, face: str
) -> None:
    set_for(store, role, OTHER)
    one = as_role(store, role, face)
    one.bump()
    (link,) = links_of(one)
    late = Held(store, store.open().commands.bump(["t"]))
    with pytest.raises(StoreError, match="in time: canceling statement due to lock"):
        one.do(one.commands.bump(["t"]), WAITS)
    late.commit()
    assert one.bump("t")
    # somebody drops it, which the first who changes something makes good
    store.say(f"DROP SCHEMA {SCHEMA} CASCADE")
    assert one.bump("t")
    assert links_of(one) == [link]


def links_of(process: Process) -> list[Any]:
    """
    Give the connections that nobody uses.
    """
    client: Any = process.client
    if process._runner is None:
        return list(client._threads._links._free)
    return [link for loop, _ in client._loops.values() for link in loop._links._free]


def test_statements_that_may_not_take_long(store: Store, role: str, face: str) -> None:
    set_for(store, role, "statement_timeout = '100ms'")
    one = as_role(store, role, face)
    store.settle(store.open())
    store.say(f"GRANT ALL ON SCHEMA {SCHEMA} TO {role}")
    for what in ("TABLES", "SEQUENCES"):
        store.say(f"GRANT ALL ON ALL {what} IN SCHEMA {SCHEMA} TO {role}")
    late = Held(store, one.commands.bump(["t"]))
    with pytest.raises(StoreError, match=r"in time: .* statement timeout"):
        one.bump("t")
    late.commit()
    assert one.bump("t")
    assert one.fill("k", b"x", "t") is None
    assert one.read("k", "t") == b"x"


def test_more_connections_than_may_be_open(store: Store, role: str, face: str) -> None:
    set_for(store, role)
    store.say(f"ALTER ROLE {role} CONNECTION LIMIT 0")
    one = as_role(store, role, face)
    with pytest.raises(StoreError, match=r"can't be reached to bump: .* too many"):
        one.bump("t")
    store.say(f"ALTER ROLE {role} CONNECTION LIMIT 1")
    assert one.bump("t")


def test_sessions_that_may_not_be_idle(store: Store, role: str, face: str) -> None:
    set_for(store, role, "idle_session_timeout = '50ms'", OTHER)
    one = as_role(store, role, face)
    for _ in range(3):
        assert one.bump("t")  # over a connection that the server has ended
        wait_until(lambda: store.sessions() == 0)
    assert one.read("k", "t") == "absent"


def test_who_is_stopped_in_a_change_holds_nobody_up_for_long(store: Store) -> None:
    one = store.open()
    one.bump()
    stopped = Held(store, one.commands.bump(["t"]), begin=talking._BEGIN.decode())
    with pytest.raises(StoreError, match="in time"):
        one.do(one.commands.bump(["u"]), 0.05)
    later = one.bump("u")  # waits for a second
    assert later != stopped.result
    with pytest.raises(psycopg.Error):  # it was ended meanwhile
        stopped.commit()
    assert one.stamp("t").vector.versions != [stopped.result]
