"""
Memcached as tests have it: clients of some servers, that rely on what those remember.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from yokedcache.core.keys import PLAIN
from yokedcache.shared.keys import shared_key
from yokedcache.stores.memcached.client import MemcachedClient
from yokedcache.stores.memcached.commands import Commands
from yokedcache.stores.memcached.layout import Names
from yokedcache.stores.memcached.ways import address_text, read_way

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from tests.services import MemcachedServer

LONG_AGO = -1e9


def url_of(servers: Sequence[MemcachedServer]) -> str:
    return "memcached://" + ",".join(server.address for server in servers)


def open_client(
    servers: Sequence[MemcachedServer],
    *,
    lease: float = 30.0,
    prefix: str = "suite",
    limit: float = 20.0,
) -> MemcachedClient:
    way = read_way(url_of(servers))
    names = Names(prefix, [address_text(one) for one in way])
    commands = Commands(names, lease=lease)
    return MemcachedClient(way, commands, lambda: 0.0, limit=limit)


def rely(client: MemcachedClient) -> MemcachedClient:
    """
    Have a process take what its servers have lost so far for lost long ago.
    """
    client.perform(client.commands.note(), 20.0)
    names: Any = client.commands.names
    for peer in client.peers:
        link = peer.take(1e12)
        seen = link.do("get", ([names.counter],))
        origin = seen.found[names.counter][:16]
        link.do("young", (origin, 1))
        peer.memory._since = LONG_AGO
        peer.give_back(link)
    return client


def forget_born(servers: Sequence[MemcachedServer], prefix: str = "suite") -> None:
    """
    Have the time be over for which tags stand that lost fences may have been on.
    """
    for server in servers:
        for key in server.all_keys():
            if key.startswith(f"{prefix}:t:".encode()):
                value = server.say("get", key)
                if value is not None and b";0," in value:
                    server.say("delete", key)


def server_of(
    client: MemcachedClient, servers: Sequence[MemcachedServer], tag: str
) -> MemcachedServer:
    """
    Give the server that has a tag.
    """
    (share,) = client.commands.tags([tag]).shares
    port = client.peers[share.server].address[1]
    (server,) = [one for one in servers if one.port == port]
    return server


def place_of(
    client: MemcachedClient, servers: Sequence[MemcachedServer], key: Hashable
) -> MemcachedServer:
    """
    Give the server that has the entry of a key; a text is one that is set by hand.
    """
    raw = shared_key((PLAIN, key) if isinstance(key, str) else key) or b""
    port = client.peers[client.commands.names.entry(raw).server].address[1]
    (server,) = [one for one in servers if one.port == port]
    return server


def key_of(client: MemcachedClient, tag: str) -> bytes:
    """
    Give the key under which a tag lies.
    """
    (share,) = client.commands.tags([tag]).shares
    return share.keys[0]


def tag_on(
    client: MemcachedClient, servers: Sequence[MemcachedServer], server: MemcachedServer
) -> str:
    """
    Give a tag that lies on a server.
    """
    names = (f"tag {number}" for number in range(1000))
    return next(name for name in names if server_of(client, servers, name) is server)
