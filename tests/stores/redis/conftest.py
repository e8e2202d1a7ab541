"""
The store on real servers: each kind of them, in a thread and in an event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.services.redis import KINDS, RedisKind, RedisServer
from tests.support.redis_faces import FACES, Face, make_face

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.name)
def each_server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """
    Give a server of each kind, which the tests of a module share and don't break.
    """
    kind: RedisKind = request.param
    with RedisServer.running(kind) as server:
        yield server


@pytest.fixture(params=FACES)
def face_kind(request: pytest.FixtureRequest) -> str:
    """
    Say by which driver.
    """
    name: str = request.param
    return name


@pytest.fixture
def open_face(face_kind: str) -> Iterator[Callable[..., Face]]:
    """
    Give a function that connects to a server; what it opened is closed afterwards.
    """
    opened: list[Face] = []

    def connect(server: RedisServer, **options: object) -> Face:
        opened.append(make_face(face_kind, server, **options))
        return opened[-1]

    yield connect
    for face in opened:
        face.close()


@pytest.fixture
def face(each_server: RedisServer, open_face: Callable[..., Face]) -> Face:
    """
    Give a store on an empty server that lost nothing lately.
    """
    each_server.flush()
    face = open_face(each_server)
    face.settle()
    return face
