"""
Which store a way leads to, however its URL is written: the same for all its processes.

How it is spoken to, and as whom, is left out, but for TLS: behind one port a proxy may
lead to another server with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.connection import parse_url

if TYPE_CHECKING:
    from yokedcache.stores.redis.ways import Way


def place_of(way: Way) -> str:
    """
    Name a server and its database, a service and its, or a Cluster.
    """
    read: Any = parse_url
    told = read(way.url)  # as the client library will
    server: Any = told.get("path")
    if server is None:
        server = told.get("host", "localhost"), str(told.get("port", 6379))
    spoken = way.url.partition(":")[0]
    database = told.get("db", 0)
    behind = (way.cluster, way.service, sorted(way.hosts))
    return repr((spoken, server, database, *behind))
