"""
Opens the store that a cache's settings ask for.

What a shared store takes is imported when one is opened: a cache in memory needs
neither its client library nor an event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from yokedcache.errors import SettingsError
from yokedcache.stores.memory import MemoryStore
from yokedcache.stores.null import NullStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.settings import Settings
    from yokedcache.shared.journal import Journal
    from yokedcache.stores.contract import Client


def open_store(
    settings: Settings, clock: Callable[[], float], ticket: Callable[[], int]
) -> MemoryStore:
    """
    Open a store.
    """
    if settings.url is None:
        return MemoryStore(
            clock, max_entries=settings.max_entries, max_bytes=settings.max_bytes
        )
    if settings.url == "null://":
        return NullStore(clock)
    from yokedcache.settings import PREFIX
    from yokedcache.shared.belonging import Belonging
    from yokedcache.shared.server import Server
    from yokedcache.shared.store import SharedStore

    client = _client(settings.url, settings, ticket)
    server = Server(
        client,
        clock,
        ticket,
        lease=settings.lease,
        limit=settings.store_timeout,
        patience=settings.announce_timeout,
    )
    return SharedStore(
        clock,
        server,
        max_entries=settings.max_entries,
        max_bytes=settings.max_bytes,
        grace=settings.orphan_grace,
        near=settings.near,
        refuse=settings.on_unreachable == "refuse",
        journal=_journal(settings, client),
        belonging=Belonging(marks=settings.prefix == PREFIX),
    )


def _journal(settings: Settings, client: Client) -> Journal | None:
    if settings.journal is None:
        return None
    from pathlib import Path

    from yokedcache.settings import SCHEMES
    from yokedcache.shared.journal import Journal
    from yokedcache.stores.installed import place_of

    url = settings.url or ""
    place = place_of(client, url)
    scheme = url.partition(":")[0]
    if scheme not in SCHEMES:  # it may name its places as one of ours does
        place = f"{scheme} {place}"
    return Journal(Path(settings.journal).absolute(), place, settings.prefix)


def _client(url: str, settings: Settings, ticket: Callable[[], int]) -> Client:
    from yokedcache.settings import SCHEMES

    scheme = url.partition(":")[0]
    if scheme == "sqlite":
        return _file(url.partition(":///")[2], settings, ticket)
    if scheme not in SCHEMES:
        from yokedcache.stores.installed import opener

        return opener(scheme)(url, settings, ticket)
    _, _, kind = scheme.partition("+")
    opened, extra = _OPENED.get(kind or scheme, (_server, "redis"))
    try:
        return opened(url, settings, ticket)
    except ImportError as error:
        msg = (
            f"{scheme}:// needs a client library that isn't "
            f"installed ({error.name}): pip install 'yokedcache[{extra}]'"
        )
        raise SettingsError(msg, scheme=scheme) from error


def _server(url: str, settings: Settings, ticket: Callable[[], int]) -> Client:
    from yokedcache.stores.redis.client import RedisClient
    from yokedcache.stores.redis.commands import Commands
    from yokedcache.stores.redis.layout import Layout

    commands = Commands(Layout(settings.prefix), lease=settings.lease)
    return RedisClient(url, commands, ticket, limit=settings.store_timeout)


def _cluster(url: str, settings: Settings, ticket: Callable[[], int]) -> Client:
    from yokedcache.stores.redis.cluster.client import ClusterClient
    from yokedcache.stores.redis.cluster.commands import ClusterCommands
    from yokedcache.stores.redis.cluster.layout import ClusterLayout

    commands = ClusterCommands(ClusterLayout(settings.prefix), lease=settings.lease)
    return ClusterClient(url, commands, ticket, limit=settings.store_timeout)


def _memcached(url: str, settings: Settings, ticket: Callable[[], int]) -> Client:
    from yokedcache.stores.memcached.client import MemcachedClient
    from yokedcache.stores.memcached.commands import Commands
    from yokedcache.stores.memcached.layout import Names
    from yokedcache.stores.memcached.ways import address_text, read_way

    servers = read_way(url)
    names = Names(settings.prefix, [address_text(server) for server in servers])
    commands = Commands(names, lease=settings.lease)
    return MemcachedClient(servers, commands, ticket, limit=settings.store_timeout)


def _database(url: str, settings: Settings, ticket: Callable[[], int]) -> Client:
    from yokedcache.stores.postgresql.client import PostgresClient
    from yokedcache.stores.postgresql.commands import Commands

    commands = Commands(settings.prefix, lease=settings.lease)
    return PostgresClient(url, commands, ticket)


def _file(path: str, settings: Settings, ticket: Callable[[], int]) -> Client:
    from yokedcache.stores.sqlite.client import SqliteClient
    from yokedcache.stores.sqlite.commands import Commands
    from yokedcache.stores.sqlite.layout import Names

    commands = Commands(
        Names(settings.prefix), lease=settings.lease, max_bytes=settings.max_file_bytes
    )
    return SqliteClient(path, commands, ticket)


_OPENED: Final = {
    "cluster": (_cluster, "redis"),
    "memcached": (_memcached, "memcached"),
    "postgres": (_database, "postgresql"),
    "postgresql": (_database, "postgresql"),
}
"""What opens a store, by its URL's scheme, and the extra that it takes; else a server's."""
