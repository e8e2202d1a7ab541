"""
One of three Memcached servers is gone, whichever it is: the others go on.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from tests.services import MemcachedServer
from tests.services.processes import wait_until
from tests.shared.functions import Copy
from tests.support.memcached import place_of, server_of, tag_on, url_of
from tests.support.models import User
from yokedcache import YokedCache
from yokedcache.core.keys import PLAIN
from yokedcache.core.tags import ANY_DATABASE
from yokedcache.errors import StoreError
from yokedcache.shared.keys import shared_key
from yokedcache.shared.tagging import EVERYTHING, MOST_COPIES, Universal, is_shared
from yokedcache.stores.memcached.commands import Commands
from yokedcache.stores.memcached.layout import Names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.timeout(120)

KEYS = [f"key {number}" for number in range(40)]


@pytest.fixture
def servers() -> Iterator[list[MemcachedServer]]:
    with MemcachedServer.several(3) as running:
        yield running


@pytest.fixture
def open_cache(
    servers: list[MemcachedServer],
) -> Iterator[Callable[..., YokedCache]]:
    opened: list[YokedCache] = []

    def make(**settings: Any) -> YokedCache:
        given = {"store_timeout": 5.0, "announce_timeout": 0.3, "lease": 0.3}
        opened.append(YokedCache(url_of(servers), **given | settings))
        return opened[-1]

    yield make
    for cache in opened:
        cache.sync.close()


def client_of(cache: YokedCache) -> Any:
    return cache.machine.store.server.client


class Lying:
    """
    Keys and tags by the servers where they lie.
    """

    def __init__(self, cache: YokedCache, servers: list[MemcachedServer]) -> None:
        self.client = client_of(cache)
        self.servers = servers
        self.tags = [tag_on(self.client, servers, server) for server in servers]

    def beside(self, dead: MemcachedServer) -> list[tuple[str, str]]:
        """
        Give keys and tags of which none lies there, and each lies on both others.
        """
        keys = [k for k in KEYS if place_of(self.client, self.servers, k) is not dead]
        tags = [t for t in self.tags if self.server(t) is not dead]
        pairs = [(key, tags[number % 2]) for number, key in enumerate(keys)]
        met = {
            (place_of(self.client, self.servers, key).port, tag) for key, tag in pairs
        }
        assert len(met) == 4
        return pairs

    def server(self, tag: str) -> MemcachedServer:
        return server_of(self.client, self.servers, tag)


async def held(coroutine: Any) -> Any:
    return await coroutine


class Face:
    """
    A cache as threads have it, or event loops.
    """

    def __init__(self, cache: YokedCache, *, awaited: bool) -> None:
        self._of: Any = cache if awaited else cache.sync
        self._awaited = awaited

    def __getattr__(self, name: str) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            done = getattr(self._of, name)(*given, **named)
            return asyncio.run(held(done)) if self._awaited else done

        return call


each_server = pytest.mark.parametrize("number", [0, 1, 2])
each_face = pytest.mark.parametrize("awaited", [False, True], ids=["thread", "loop"])


@each_server
@each_face
def test_whichever_is_dead_what_lies_on_the_others_is_served_and_kept(
    number: int,
    awaited: bool,
    servers: list[MemcachedServer],
    open_cache: Callable[..., YokedCache],
) -> None:
    writer, reader = open_cache(), Face(open_cache(), awaited=awaited)
    dead = servers[number]
    pairs = Lying(writer, servers).beside(dead)
    for key, tag in pairs:
        wait_until(lambda key=key, tag=tag: writer.sync.set(key, key, tags=[tag]))
    dead.kill()
    for _ in range(2):  # as it finds them, and as it knows them
        for key, _ in pairs:
            assert reader.get(key) == key
    for key, tag in pairs:
        assert reader.set(key, "new", tags=[tag])
        assert writer.sync.get(key) == "new"
        assert reader.get_or_set(key, lambda: "other", tags=[tag]) == "new"


@each_server
@each_face
def test_clear_reaches_the_others_at_once_and_the_dead_one_when_it_is_back(
    number: int,
    awaited: bool,
    servers: list[MemcachedServer],
    open_cache: Callable[..., YokedCache],
) -> None:
    one, other = open_cache(store_timeout=0.5), open_cache(store_timeout=0.5)
    lying = Lying(one, servers)
    kept = dict(lying.beside(servers[number]))
    tags = {key: kept.get(key, lying.tags[number]) for key in KEYS}
    for key, tag in tags.items():
        wait_until(lambda key=key, tag=tag: one.sync.set(key, "old", tags=[tag]))
        assert other.sync.get(key) == "old"
    with servers[number].suspended():  # it keeps all that it has
        Face(one, awaited=awaited).clear()
        assert one.stats().owed == 1
        for key, tag in kept.items():
            assert other.sync.get(key) is None
            assert one.sync.get(key) is None
            wait_until(lambda key=key, tag=tag: one.sync.set(key, "new", tags=[tag]))
        # what is owed to one is said to the others once
        assert [other.sync.get(key) for key in kept] == ["new"] * len(kept)
    wait_until(lambda: one.stats().owed == 0)
    fresh = Face(open_cache(), awaited=awaited)
    for key in KEYS:
        found = fresh.get(key)
        assert found == ("new" if key in kept else None)


@each_server
@each_face
def test_that_one_is_not_asked_is_told_until_it_is_relied_on_again(
    number: int,
    awaited: bool,
    servers: list[MemcachedServer],
    open_cache: Callable[..., YokedCache],
) -> None:
    cache = open_cache()
    face = Face(cache, awaited=awaited)

    def told(state: str) -> bool:
        for key in KEYS:
            face.get(key)
        return cache.stats().store == state

    assert told("asked")
    servers[number].kill()
    wait_until(lambda: told("partly_asked"))
    servers[number].restart()
    wait_until(lambda: told("asked"))


@each_server
def test_a_write_that_may_be_of_anything_is_refused_whichever_is_dead(
    number: int,
    servers: list[MemcachedServer],
    open_cache: Callable[..., YokedCache],
) -> None:
    cache = open_cache(on_unreachable="refuse", store_timeout=0.5)
    store = cache.machine.store
    key, tag = Lying(cache, servers).beside(servers[number])[0]
    wait_until(lambda: cache.sync.set(key, "old", tags=[tag]))
    fence = store.fence(["database:"])
    assert cache.sync.get(key) is None
    store.lift(fence)
    servers[number].kill()
    with pytest.raises(StoreError):
        store.fence(["database:"])
    wait_until(lambda: cache.sync.set(key, "new", tags=[tag]))
    assert cache.sync.get(key) == "new"


@each_server
def test_a_write_that_may_be_of_anything_ends_what_lies_anywhere(
    number: int,
    servers: list[MemcachedServer],
    open_cache: Callable[..., YokedCache],
) -> None:
    writer, reader = open_cache(), open_cache()
    pairs = Lying(writer, servers).beside(servers[number])
    for key, tag in pairs:
        wait_until(lambda key=key, tag=tag: writer.sync.set(key, "old", tags=[tag]))
        assert reader.sync.get(key) == "old"
    store = writer.machine.store
    fence = store.fence(["database:"])
    for key, tag in pairs:
        assert reader.sync.get(key) is None
        assert not reader.sync.set(key, "too early", tags=[tag])
    store.lift(fence)
    assert [key for key, _ in pairs if reader.sync.get(key) is not None] == []


def names_by(maker: sessionmaker[Session], cache: YokedCache) -> Copy:
    """
    Give one process's function that reads a name, of any number of calls.
    """
    attached = cache.attach(sessionmaker(maker.kw["bind"]))

    def name(number: int) -> str:
        with attached() as session:
            return session.scalars(select(User.name).limit(number + 1)).one()

    return Copy(cache, "servers", name)


def needed(cache: YokedCache, servers: list[MemcachedServer]) -> dict[Any, set[int]]:
    """
    Give, for each key, the ports of the servers that the look-up asks but its own.
    """
    client = client_of(cache)
    return {
        key: {
            server_of(client, servers, str(tag.name)).port
            for tag, _ in entry.vector
            if is_shared(tag.name)
        }
        - {place_of(client, servers, key).port}
        for key, entry in cache.machine.store.entries.items()
    }


def test_what_is_read_from_a_database_needs_no_server_but_its_own_and_its_tags(
    servers: list[MemcachedServer],
    open_cache: Callable[..., YokedCache],
    maker: sessionmaker[Session],
) -> None:
    one, other = open_cache(), open_cache()
    writer, reader = names_by(maker, one), names_by(maker, other)

    def kept(copy: Copy, numbers: range) -> bool:
        before = len(copy.calls)
        assert {copy(number) for number in numbers} == {"old"}
        return len(copy.calls) == before

    wait_until(lambda: kept(writer, range(20)))
    wait_until(lambda: kept(reader, range(20, 21)))  # it knows who listens
    names = [
        n for n in one.machine.store.names() if n.startswith(("database:", "table:"))
    ]
    tags = {server_of(client_of(one), servers, str(name)).port for name in names}
    writer.be_here()
    asked = needed(one, servers)
    assert len(asked) >= 40
    assert all(ports <= tags for ports in asked.values())
    dead = next(server for server in servers if server.port not in tags)
    dead.kill()
    before = len(reader.calls)
    assert {reader(number) for number in range(20)} == {"old"}
    missed = reader.calls[before:]
    assert 0 < len(missed) < 20
    for key in asked:
        if isinstance(key, tuple) and str(key[0]).startswith("function:"):
            lost = place_of(client_of(one), servers, key) is dead
            assert lost is (key[1] in missed), key


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 100])
def test_each_server_has_a_copy_of_the_tag_of_everything(count: int) -> None:
    names = Names("yc", [f"host {number}" for number in range(count)])
    commands = Commands(names, lease=1.0)
    universal = Universal(commands)
    servers = [names.tags([name]).shares[0].server for name in universal.names]
    assert servers == list(range(min(count, MOST_COPIES)))
    assert EVERYTHING in universal.names or count > MOST_COPIES
    assert universal.written(["a", ANY_DATABASE]) == universal.names
    assert universal.written(["a"]) == ("a",)
    for key in KEYS:
        raw = shared_key((PLAIN, key))
        by_tag, by_key = universal.of(key, ["a"]), universal.of((PLAIN, key), ())
        assert by_tag == universal.of(key, ["a", *universal.names])
        for chosen, server in (
            (by_tag, names.tags(["a"]).shares[0].server),
            (by_key, names.entry(raw or b"").server),
        ):
            assert servers[universal.names.index(chosen)] == server % len(servers)
