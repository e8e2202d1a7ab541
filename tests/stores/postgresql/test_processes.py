"""
URLs, and connections that come and go with processes and event loops.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.services.processes import wait_until
from yokedcache import YokedCache
from yokedcache.errors import SettingsError, StoreError
from yokedcache.settings import read
from yokedcache.stores.postgresql import links

if TYPE_CHECKING:
    from tests.support.postgres_stores import Store


def test_a_url_has_our_settings_and_libpqs() -> None:
    url = "postgresql://user:p%40ss@a:1,b:2/db?ttl=5m&options=-c%20x%3D1%202&prefix=s"
    settings = read(url, {})
    assert settings.url == "postgresql://user:p%40ss@a:1,b:2/db?options=-c%20x%3D1%202"
    assert (settings.ttl, settings.prefix) == (300.0, "s")
    assert read("postgres:///db?host=/run", {}).url == "postgres:///db?host=/run"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hidden@host/db?max_entires=3",
        "postgresql://user:hidden%zz@host/db",
    ],
)
def test_a_url_that_libpq_cannot_read_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="can't be read") as raised:
        YokedCache(url)
    assert "hidden" not in str(raised.value)


def test_an_event_loop_that_ends_leaves_no_connection_open(store: Store) -> None:
    process = store.open("async")
    asyncio.run(process.client.perform_async(process.commands.note(), 20.0))
    wait_until(lambda: store.sessions() == 0)


def test_a_child_leaves_its_parent_the_connections(store: Store) -> None:
    one = store.open()
    version = one.bump()
    wait_until(lambda: store.sessions() == 1)
    one.client.begin_anew()  # as in a child
    assert one.bump() != version
    assert store.sessions() == 2
    one.close()
    wait_until(lambda: store.sessions() == 1)
    links._inherited.pop().close()  # the parent's
    wait_until(lambda: store.sessions() == 0)


def test_a_name_that_is_looked_up(store: Store) -> None:
    server = store.database.server
    url = f"postgresql://postgres@localhost:{server.port}/{store.database.name}"
    one = store.open("async", url=url)
    one.bump()
    missing = f"postgresql://postgres@nowhere.invalid:{server.port}/x"
    other = store.open("async", url=missing)
    with pytest.raises(StoreError, match=r"nowhere\.invalid"):
        other.bump()
    other.close()


def test_the_client_library_is_asked_for_when_it_is_missing() -> None:
    program = """
import sys
sys.modules["psycopg"] = None
from yokedcache import YokedCache
try:
    YokedCache("postgresql://localhost/x")
except ValueError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "pip install 'yokedcache[postgresql]'" in done.stdout
