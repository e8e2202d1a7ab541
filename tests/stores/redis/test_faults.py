"""
Whatever the server does, the caller has our own error, in time, and no other's answer.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import redis

from tests.services.proxy import Way
from tests.support.redis_faces import AsyncFace
from yokedcache.errors import StoreError
from yokedcache.stores.redis import incarnation

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services.proxy import Proxy
    from tests.services.redis import RedisKind, RedisServer
    from tests.support.redis_faces import Face

SHORT = 0.1
MUCH_LONGER = 5.0
CROWD = 8


def fails(face: Face, limit: float | None = None) -> StoreError:
    with pytest.raises(StoreError) as caught:
        face.do(face.commands.read("k", ["a"]), limit)
    return caught.value


def test_a_server_that_is_not_there(
    redis_server: RedisServer, open_face: Callable[..., Face]
) -> None:
    redis_server.kill()
    url = redis_server.url(user="me", password="s3cret")
    error = fails(open_face(redis_server, url=url))
    assert f"127.0.0.1:{redis_server.port} can't be reached to read" in str(error)
    assert error.asked == "read"
    assert error.address == f"127.0.0.1:{redis_server.port}"
    assert isinstance(error.__cause__, redis.RedisError)
    assert "s3cret" not in f"{error} {error.__cause__} {error.facts}"


def test_a_wrong_password(
    make_redis: Callable[..., RedisServer], open_face: Callable[..., Face]
) -> None:
    server = make_redis(password="s3cret")
    error = fails(open_face(server, url=server.url(password="wr0ng")))
    assert "WRONGPASS" in str(error) or "invalid" in str(error)
    assert "wr0ng" not in str(error)
    assert "s3cret" not in str(error)


def test_a_user_who_may_not_ask_who_the_server_is(
    make_redis: Callable[..., RedisServer], open_face: Callable[..., Face]
) -> None:
    server = make_redis(users={"app": ">s3cret ~* +@all -info"})
    url = server.url(user="app", password="s3cret")
    assert "'info'" in str(fails(open_face(server, url=url)))


def test_a_user_who_may_no_longer_ask(
    make_redis: Callable[..., RedisServer], open_face: Callable[..., Face]
) -> None:
    server = make_redis(users={"app": ">s3cret ~* +@all"})
    face = open_face(server, url=server.url(user="app", password="s3cret"))
    face.settle()
    server.say("ACL", "SETUSER", "app", "-info")
    error = fails(face)
    assert error.refusal == "NOPERM"
    server.say("ACL", "SETUSER", "app", "+info")
    assert face.read("k", "a") == "absent"


def test_a_server_that_hangs_costs_the_limit_once(
    redis_server: RedisServer, open_face: Callable[..., Face]
) -> None:
    face = open_face(redis_server)
    face.settle()
    face.fill("k", b"v", "a")
    face.fill("other", b"other", "a")
    with redis_server.suspended():
        began = time.monotonic()
        error = fails(face, SHORT)
        assert SHORT * 0.9 <= time.monotonic() - began < MUCH_LONGER
        assert "didn't read in time" in str(error)
    # the late answer is nobody's
    assert face.read("other", "a") == b"other"


def test_a_server_that_hangs_while_connecting(
    redis_server: RedisServer, open_face: Callable[..., Face]
) -> None:
    face = open_face(redis_server, limit=SHORT)
    with redis_server.suspended():
        began = time.monotonic()
        fails(face)
        assert time.monotonic() - began < MUCH_LONGER
    # no connection was kept that nothing is known of
    assert face.do(face.commands.read("k"), MUCH_LONGER).reason == "absent"


def test_callers_beyond_the_connections_wait_their_turn(
    redis_server: RedisServer, open_face: Callable[..., Face]
) -> None:
    face: Any = open_face(redis_server, max_connections=1, limit=MUCH_LONGER)
    face.settle()
    face.fill("k", b"v", "a")
    operation = face.commands.read("k", ["a"])
    if isinstance(face, AsyncFace):

        async def crowd(limit: float | None = None) -> list[Any]:
            some = (face.store.perform(operation, limit) for _ in range(CROWD))
            return await asyncio.gather(*some, return_exceptions=True)

        found = face.run(crowd())
        with redis_server.suspended():
            errors = face.run(crowd(SHORT))
    else:
        with ThreadPoolExecutor(CROWD) as pool:

            def one(limit: float | None) -> Any:
                try:
                    return face.do(operation, limit)
                except StoreError as error:
                    return error

            found = [*pool.map(one, [None] * CROWD * 20)]
            with redis_server.suspended():
                errors = [*pool.map(one, [SHORT] * CROWD)]
    assert {bytes(one.payload) for one in found} == {b"v"}
    assert all(isinstance(one, StoreError) for one in errors)
    assert face.read("k", "a") == b"v"


@pytest.fixture
def proxied(
    redis_server: RedisServer,
    make_proxy: Callable[..., Proxy],
    open_face: Callable[..., Face],
) -> tuple[Face, Proxy]:
    proxy = make_proxy((redis_server.host, redis_server.port))
    face = open_face(redis_server, url=redis_server.url(port=proxy.port))
    face.settle()
    face.fill("k", b"v" * 1000, "a")
    return face, proxy


def test_a_caller_may_allow_more_than_usual(
    redis_server: RedisServer,
    make_proxy: Callable[..., Proxy],
    open_face: Callable[..., Face],
) -> None:
    proxy = make_proxy((redis_server.host, redis_server.port))
    url = redis_server.url(port=proxy.port)
    face = open_face(redis_server, url=url, limit=SHORT * 3)
    face.do(face.commands.bump([]), MUCH_LONGER)
    proxy.delay(to_client=SHORT * 5)
    assert "in time" in str(fails(face))
    proxy.restore()
    assert face.do(face.commands.read("k"), MUCH_LONGER).reason == "absent"
    proxy.delay(to_client=SHORT * 5)
    assert face.do(face.commands.read("k"), MUCH_LONGER).reason == "absent"


@pytest.mark.parametrize("after", [0, 1, 300])
def test_a_connection_cut_in_an_answer(
    proxied: tuple[Face, Proxy], after: int, face_kind: str
) -> None:
    face, proxy = proxied
    proxy.cut_after(after, Way.TO_CLIENT)
    if face_kind == "sync":
        assert "can't be reached to read" in str(fails(face))
    # over a connection that stayed, which may have been closed while nobody used it, a
    # look-up is sent again
    assert face.read("k", "a") == b"v" * 1000


@pytest.mark.parametrize("after", [0, 1, 300])
def test_what_is_no_look_up_is_not_sent_again(
    proxied: tuple[Face, Proxy], after: int
) -> None:
    face, proxy = proxied
    proxy.cut_after(after, Way.TO_CLIENT)
    tags = face.commands.tags(["a"])
    with pytest.raises(StoreError, match="can't be reached to claim"):
        face.do(face.commands.claim("k", tags, b"mine" * 100))


def test_a_fence_whose_answer_was_lost_may_be_sent_again(
    proxied: tuple[Face, Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    face, proxy = proxied
    # the first answer that is awaited is the fence's
    monkeypatch.setattr(incarnation, "TRUSTED", MUCH_LONGER * 100)
    face.lift(face.fence("other"))
    operation = face.commands.fence(["a"], b"again", "me")
    proxy.cut_after(0, Way.TO_CLIENT)
    with pytest.raises(StoreError, match="to fence"):
        face.do(operation)
    assert face.read("k", "a") == "commit_in_flight"
    fence = face.do(operation)
    assert face.lift(fence) == 0
    assert face.stamp("a").unusable is None


def test_a_network_that_swallows_everything(proxied: tuple[Face, Proxy]) -> None:
    face, proxy = proxied
    proxy.swallow()
    began = time.monotonic()
    fails(face, SHORT)
    assert time.monotonic() - began < MUCH_LONGER
    proxy.restore()
    assert face.read("k", "a") == b"v" * 1000


def test_a_full_server_keeps_nothing_new_and_is_told_of_changes(
    make_redis: Callable[..., RedisServer],
    open_face: Callable[..., Face],
    redis_kind: RedisKind,
) -> None:
    server = make_redis(redis_kind)
    face = open_face(server)
    face.settle()
    early = face.fence("a")
    face.fill("k", b"v", "b")
    stamp = face.stamp("b")
    server.configure(maxmemory=1)
    with pytest.raises(StoreError, match="refused to store") as caught:
        face.put("l", b"v", stamp)
    assert caught.value.refusal == "OOM"
    assert isinstance(caught.value.__cause__, redis.ResponseError)
    assert face.read("k", "b") == b"v"
    assert face.do(face.commands.renew(early)) == 0
    assert face.lift(early) == 0
    late = face.fence("b")
    assert face.read("k", "b") == "commit_in_flight"
    assert face.stamp("b").unusable == "commit_in_flight"
    assert face.lift(late) == 0
    face.do(face.commands.bump(["a"]))
    server.configure(maxmemory=0)
    assert face.read("k", "b") == "changed"
    face.fill("k", b"w", "b")
    assert face.read("k", "b") == b"w"


def test_a_primary_without_its_replicas_is_not_read(
    redis_server: RedisServer, open_face: Callable[..., Face]
) -> None:
    face = open_face(redis_server)
    face.settle()
    face.fill("k", b"v", "a")
    redis_server.configure(min_replicas_to_write=1)
    assert "refused to read" in str(fails(face))
    redis_server.configure(min_replicas_to_write=0)
    assert face.read("k", "a") == b"v"


def test_a_server_that_comes_back_empty(
    redis_server: RedisServer, open_face: Callable[..., Face]
) -> None:
    face = open_face(redis_server)
    face.settle()
    face.fill("k", b"v", "a")
    redis_server.kill()
    fails(face)
    fails(face)
    redis_server.restart()
    assert face.read("k", "a") == "absent"


def test_a_cancelled_look_up_leaves_no_answer_behind(
    redis_server: RedisServer, open_face: Callable[..., Face], face_kind: str
) -> None:
    face: Any = open_face(redis_server)
    face.settle()
    face.fill("k", b"v", "a")
    face.fill("other", b"other", "a")
    if not isinstance(face, AsyncFace):
        assert face.read("k", "a") == b"v"
        return

    def in_use() -> set[Any]:
        pool = face.store.pool
        staying = {line.connection for line in face.store.lines.free}
        return set(pool._in_use_connections) - staying

    async def cancelled() -> None:
        task = asyncio.ensure_future(face.store.perform(face.commands.read("k")))
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(in_use()) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with redis_server.suspended():
        face.run(cancelled())
    assert face.read("other", "a") == b"other"
    assert not in_use()
