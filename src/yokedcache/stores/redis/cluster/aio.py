"""
The event loop's driver for a Cluster: one `AsyncRedisStore` for each node.

Nodes are asked at the same time. What is asked of one of them in one turn of the loop
goes in one packet, and once where several ask for the same.
"""

from __future__ import annotations

import asyncio
import time
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import redis.asyncio

from yokedcache.errors import StoreError
from yokedcache.stores.patience import counting, within
from yokedcache.stores.redis.aio import AsyncRedisStore
from yokedcache.stores.redis.aio_client import LIMITS, PLAIN, connect
from yokedcache.stores.redis.batches import Batches
from yokedcache.stores.redis.cluster.table import (
    ASK_SLOTS,
    REDIRECTIONS,
    Round,
    Table,
    no_node,
    why_not,
)
from yokedcache.stores.redis.faults import CAUGHT
from yokedcache.stores.redis.sync import LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.stores.addresses import Address
    from yokedcache.stores.patience import Countdown
    from yokedcache.stores.redis.cluster.parts import Part
    from yokedcache.stores.redis.cluster.plans import Plan
    from yokedcache.stores.redis.operations import Operation
    from yokedcache.stores.redis.ways import Way

T = TypeVar("T")

Node: TypeAlias = "tuple[AsyncRedisStore, Batches]"


class AsyncClusterStore:
    """
    Performs plans; connects to nodes when they are first asked.
    """

    name = "redis"

    def __init__(
        self,
        way: Way,
        *,
        limit: float = LIMIT,
        ticket: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.limit = limit
        self.table = Table(way.hosts)
        self._way = way
        self._ticket = ticket
        self._nodes: dict[Address, Node] = {}
        self._reading: asyncio.Future[None] | None = None

    async def aclose(self) -> None:
        """
        Close all connections, and wait for none that is being opened.
        """
        nodes, self._nodes = self._nodes, {}
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        await asyncio.gather(*(node.aclose() for node, _ in nodes.values()))

    async def perform(self, operation: Operation[T], limit: float | None = None) -> T:
        """
        Do a plan, connecting included, within so many seconds.
        """
        rounds = cast("Plan[T]", operation).rounds()
        with counting(self.limit if limit is None else limit) as countdown:
            try:
                parts = next(rounds)
                answers = await self._ask(parts, countdown)
                # whatever was asked later, what was asked first may be as old as that
                drawn = (part.operation.sent for part in parts)
                operation.sent = min(drawn, default=0.0)
                while True:
                    answers = await self._ask(rounds.send(answers), countdown)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]

    async def _ask(self, parts: list[Part], countdown: Countdown) -> list[Any]:
        """
        Have parts done, each by the node that has its slot; give what came of each.
        """
        asking = Round(self.table, parts)
        for _ in range(REDIRECTIONS):
            if asking.begun and not countdown.left:
                break
            if self.table.is_due(time.monotonic(), parts):
                await self._read_table(countdown)
            nodes = asking.by_node()
            if not nodes:
                break
            seconds = max(countdown.left, 0.001)
            said = await self._ask_nodes(asking, nodes, seconds)
            for (address, places), results in zip(nodes.items(), said, strict=True):
                asking.take(address, places, results, time.monotonic())
        return asking.results

    async def _ask_nodes(
        self, asking: Round, nodes: dict[Address, list[int]], seconds: float
    ) -> list[list[Any]]:
        """
        Ask all nodes at the same time; look-ups go with those of others.
        """
        asked = [
            (self._node(address), [asking.parts[place].operation for place in places])
            for address, places in nodes.items()
        ]
        if all(one.same is not None for _, operations in asked for one in operations):
            futures = [
                batches.put(one, seconds)
                for (_, batches), operations in asked
                for one in operations
            ]
            # a future for each, and no task: there are many look-ups in a turn
            results = await asyncio.gather(*futures, return_exceptions=True)
            given = iter(map(_unless_broken, results))
            return [list(islice(given, len(operations))) for _, operations in asked]
        return await asyncio.gather(
            *(_ask_node(node, operations, seconds) for (node, _), operations in asked)
        )

    def _node(self, address: Address) -> Node:
        found = self._nodes.get(address)
        if found is None:
            host, port = address
            client = connect(self._way.url, host=host, port=port)
            node = AsyncRedisStore(client, limit=self.limit, ticket=self._ticket)
            # not folded: keys of several slots are refused in one command
            found = self._nodes[address] = (node, Batches(node.perform_all))
        return found

    async def _read_table(self, countdown: Countdown) -> None:
        reading = self._reading
        if reading is None:
            # all who wait go on in one turn, and so in one packet
            reading = self._reading = asyncio.ensure_future(
                self._read_from_anyone(countdown.left)
            )
            reading.add_done_callback(self._has_read)
        try:
            async with within(max(countdown.left, 0.001)):
                await asyncio.shield(reading)
        except TimeoutError as error:
            raise StoreError("the nodes don't say in time who serves what") from error
        except asyncio.CancelledError:
            if not reading.cancelled():  # it was who waits here
                raise
            raise StoreError("the store was closed meanwhile") from None
        except StoreError as error:
            # one for each: a shared one would gather the tracebacks of all
            raise StoreError(error.message, **error.facts) from error

    def _has_read(self, reading: asyncio.Future[None]) -> None:
        self._reading = None
        if not reading.cancelled():
            reading.exception()  # who still waited was told

    async def _read_from_anyone(self, seconds: float) -> None:
        said: list[tuple[str, str]] = []
        with counting(seconds) as countdown:
            for address in self.table.to_ask():
                # half of what is left for each: the next one may answer
                try:
                    async with within(max(countdown.left / 2, 0.001)):
                        answer = await self._slots(*address)
                    self.table.learn(answer, address, time.monotonic())
                except (*CAUGHT, StoreError) as error:
                    said.append(why_not(address, error, self._way.url))
                    self.table.doubt(address)
                else:
                    return
        raise no_node(said)

    async def _slots(self, host: str, port: int) -> Any:
        options = {**PLAIN, "host": host, "port": port, **LIMITS}
        client: Any = redis.asyncio.Redis.from_url(self._way.url, **options)
        try:
            return await client.execute_command(*ASK_SLOTS)
        finally:
            # waits for nobody, so there is nothing in it that a limit could end
            await client.aclose()


async def _ask_node(
    node: AsyncRedisStore, operations: list[Operation[Any]], seconds: float
) -> list[Any]:
    try:
        return await node.perform_all(operations, seconds)
    except StoreError as error:
        return [error] * len(operations)


def _unless_broken(result: Any) -> Any:
    if isinstance(result, BaseException) and not isinstance(result, StoreError):
        raise result
    return result
