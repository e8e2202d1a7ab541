"""
The blocking driver for a Cluster: one `RedisStore` for each node.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar, cast

from yokedcache.errors import StoreError
from yokedcache.stores.frames import without_frames
from yokedcache.stores.redis.cluster.table import (
    ASK_SLOTS,
    REDIRECTIONS,
    Round,
    Table,
    no_node,
    why_not,
)
from yokedcache.stores.redis.faults import CAUGHT
from yokedcache.stores.redis.sync import GREETED, LIMIT, RedisStore, connect
from yokedcache.stores.waiting import within

if TYPE_CHECKING:
    from yokedcache.stores.addresses import Address
    from yokedcache.stores.redis.cluster.parts import Part
    from yokedcache.stores.redis.cluster.plans import Plan
    from yokedcache.stores.redis.operations import Operation
    from yokedcache.stores.redis.ways import Way

T = TypeVar("T")


class ClusterStore:
    """
    Performs plans; connects to nodes when they are first asked.
    """

    name = "redis"

    def __init__(self, way: Way, *, limit: float = LIMIT) -> None:
        self.limit = limit
        self.table = Table(way.hosts)
        self._way = way
        self._nodes: dict[Address, RedisStore] = {}
        self._lock = threading.Lock()
        self._reading = threading.Lock()

    def close(self) -> None:
        """
        Close all connections.
        """
        with self._lock:
            nodes, self._nodes = self._nodes, {}
        for node in nodes.values():
            node.close()

    def perform(self, operation: Operation[T], limit: float | None = None) -> T:
        """
        Do a plan within so many seconds, once the nodes are connected.
        """
        ends = time.monotonic() + (self.limit if limit is None else limit)
        rounds = cast("Plan[T]", operation).rounds()
        try:
            parts = next(rounds)
            while True:
                parts = rounds.send(self._ask(parts, ends))
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]

    def _ask(self, parts: list[Part], ends: float) -> list[Any]:
        """
        Have parts done, each by the node that has its slot; give what came of each.
        """
        asking = Round(self.table, parts)
        for _ in range(REDIRECTIONS):
            now = time.monotonic()
            if asking.begun and now >= ends:
                break
            if self.table.is_due(now, parts):
                self._read_table(ends)
            nodes = asking.by_node()
            if not nodes:
                break
            for address, places in nodes.items():
                operations = [parts[place].operation for place in places]
                left = max(ends - time.monotonic(), 0.001)
                try:
                    results = self._node(address).perform_all(operations, left)
                except StoreError as error:
                    without_frames(error)
                    results = [error] * len(places)
                asking.take(address, places, results, time.monotonic())
        return asking.results

    def _node(self, address: Address) -> RedisStore:
        with self._lock:
            node = self._nodes.get(address)
            if node is None:
                host, port = address
                client = connect(self._way.url, host=host, port=port)
                node = self._nodes[address] = RedisStore(client, limit=self.limit)
        return node

    def _read_table(self, ends: float) -> None:
        if not self._reading.acquire(timeout=max(ends - time.monotonic(), 0.001)):
            raise StoreError("the nodes don't say in time who serves what")
        try:
            if self.table.is_due(time.monotonic(), ()):  # else another thread has
                self._read_from_anyone(ends)
        finally:
            self._reading.release()

    def _read_from_anyone(self, ends: float) -> None:
        said: list[tuple[str, str]] = []
        for host, port in self.table.to_ask():
            # half of what is left for each: the next one may answer
            seconds = max((ends - time.monotonic()) / 2, 0.001)
            client: Any = connect(self._way.url, **GREETED, host=host, port=port)
            try:
                with within(seconds):
                    answer = client.execute_command(*ASK_SLOTS)
                self.table.learn(answer, (host, port), time.monotonic())
            except (*CAUGHT, StoreError) as error:
                said.append(why_not((host, port), error, self._way.url))
                self.table.doubt((host, port))
            else:
                return
            finally:
                client.close()
        raise no_node(said)
