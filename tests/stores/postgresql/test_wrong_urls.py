"""
A URL that leads elsewhere: the error says what isn't there, and the way out.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from socketserver import BaseRequestHandler, TCPServer
from typing import TYPE_CHECKING

import pytest

from yokedcache.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.postgres_stores import Store


class Web(BaseRequestHandler):
    """
    Says what web servers say to who speaks something else.
    """

    said = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"

    def handle(self) -> None:
        self.request.recv(1)
        self.request.sendall(self.said)


class Memcached(Web):
    """
    Says what Memcached says then.
    """

    said = b"ERROR\r\n"


@contextmanager
def listening(kind: type[Web]) -> Iterator[str]:
    with TCPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(
            target=server.serve_forever, args=(0.01,), daemon=True
        )
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def refused(store: Store, face: str, url: str) -> str:
    one = store.open(face, url=url)
    with pytest.raises(StoreError) as caught:
        one.do(one.commands.read("k", ["t"]), 5.0)
    assert "s3cret" not in f"{caught.value} {caught.value.facts}"
    return str(caught.value)


def at(store: Store, login: str, database: str) -> str:
    server = store.database.server
    return f"postgresql://{login}@{server.host}:{server.port}/{database}"


def test_a_database_that_is_not_there(store: Store, face: str) -> None:
    said = refused(store, face, at(store, "postgres:s3cret", "nowhere"))
    assert 'database "nowhere" does not exist; CREATE DATABASE' in said
    assert "let the URL's path name one that is there" in said


def test_a_role_that_is_not_there(store: Store, face: str) -> None:
    said = refused(store, face, at(store, "nobody:s3cret", store.database.name))
    assert 'role "nobody" does not exist; let the URL name one that is there' in said
    assert "postgresql://role:password@host/database" in said


@pytest.mark.parametrize("kind", [Web, Memcached])
@pytest.mark.parametrize("option", ["", "?sslmode=disable"])
def test_another_kind_of_server(
    store: Store, face: str, kind: type[Web], option: str
) -> None:
    with listening(kind) as address:
        url = f"postgresql://me:s3cret@{address}/x{option}"
        said = refused(store, face, url)
    assert "nothing has answered there yet as PostgreSQL does: the URL's scheme" in said
    assert "host or port may be another's" in said


def test_nobody_listens_there(store: Store, face: str) -> None:
    said = refused(store, face, "postgresql://me:s3cret@127.0.0.1:1/x")
    assert "efused" in said
    assert "nothing has answered" not in said
