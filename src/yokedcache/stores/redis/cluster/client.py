"""
A Cluster as this process reaches it.
"""

from __future__ import annotations

from yokedcache.stores.redis.client import RedisClient
from yokedcache.stores.redis.cluster.aio import AsyncClusterStore
from yokedcache.stores.redis.cluster.sync import ClusterStore


class ClusterClient(RedisClient):
    """
    Does plans over clients of the nodes.
    """

    def _open_sync(self) -> ClusterStore:
        return ClusterStore(self._way, limit=self._limit)

    def _open_async(self) -> AsyncClusterStore:
        return AsyncClusterStore(self._way, limit=self._limit, ticket=self._ticket)
