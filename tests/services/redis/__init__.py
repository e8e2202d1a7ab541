"""
Redis and Valkey: private servers that tests may break in every way.

`kinds` finds the programs, `server` runs one server with its handles, `settings` says
in which variants, `certificates` makes what TLS needs; `groups` has a replica pair and
Sentinel, `cluster` a Cluster, and `fixtures` gives all of them to tests.
"""

from __future__ import annotations

from tests.services.redis.cluster import RedisCluster
from tests.services.redis.groups import ReplicaPair, SentinelGroup
from tests.services.redis.kinds import (
    GROUPED,
    KINDS,
    NewRedis,
    OldRedis,
    OldValkey,
    Redis,
    RedisKind,
    Valkey,
)
from tests.services.redis.server import RedisServer
from tests.services.redis.settings import Variant

__all__ = [
    "GROUPED",
    "KINDS",
    "NewRedis",
    "OldRedis",
    "OldValkey",
    "Redis",
    "RedisCluster",
    "RedisKind",
    "RedisServer",
    "ReplicaPair",
    "SentinelGroup",
    "Valkey",
    "Variant",
]
