"""
The servers as this process reaches them, from threads and from event loops.

An operation is done in one thread, step by step, with one connection to each server: a
blocking caller's own, or one of a few that work for event loops.
"""

from __future__ import annotations

import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from yokedcache.errors import StoreError
from yokedcache.stores.frames import without_frames
from yokedcache.stores.memcached.link import CAUGHT, is_refusal, store_error
from yokedcache.stores.memcached.peers import Peer, drop
from yokedcache.stores.memcached.ways import address_text
from yokedcache.stores.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.stores import answers
    from yokedcache.stores.addresses import Address
    from yokedcache.stores.memcached.commands import Commands
    from yokedcache.stores.memcached.link import Link
    from yokedcache.stores.memcached.steps import Plan, Step

T = TypeVar("T")

THREADS: Final = 8
"""That work for event loops, at most."""


class MemcachedClient:
    """
    Does operations on some servers.

    Args:
        limit: seconds that one which fails may take.
    """

    def __init__(
        self,
        servers: tuple[Address, ...],
        commands: Commands,
        ticket: Callable[[], float],
        *,
        limit: float,
    ) -> None:
        self.commands = commands
        self.peers = tuple(
            Peer(server, commands.names, alone=len(servers) == 1, brief=limit)
            for server in servers
        )
        self._ticket = ticket
        self._worker = self._make_worker()
        for peer in self.peers:
            weakref.finalize(self, peer.close)

    @property
    def place(self) -> str:
        """
        Name the store (`contract.Placed`): its servers, in an order that isn't the URL's.
        """
        servers = sorted(address_text(peer.address) for peer in self.peers)
        return f"memcached {','.join(servers)}"

    @property
    def partly(self) -> bool:
        """
        Tell whether a server of several is left alone, or not relied on (`Parted`).
        """
        return any(peer.rests for peer in self.peers)

    def perform(self, operation: answers.Operation[T], limit: float) -> T:
        """
        Do an operation in the calling thread.
        """
        plan = cast("Plan[T]", operation)
        done: T = Performance(self.peers, plan, time.monotonic() + limit).run()
        return done

    async def perform_async(self, operation: answers.Operation[T], limit: float) -> T:
        """
        Do an operation for the running event loop.
        """
        operation.sent = self._ticket()
        plan = cast("Plan[T]", operation)
        doing = Performance(self.peers, plan, time.monotonic() + limit)
        try:
            return await self._worker.do(doing.run, limit)
        except TimeoutError as error:
            message = f"Memcached didn't {operation.asked} in time"
            facts = {"asked": operation.asked, "partly": len(self.peers) > 1}
            raise StoreError(message, **facts) from error

    def close(self) -> None:
        """
        Close what nobody uses now.
        """
        self._worker.close()
        for peer in self.peers:
            peer.close()

    async def close_async(self) -> None:
        """
        Close what nobody uses now: nothing belongs to a loop.
        """
        self.close()

    def begin_anew(self) -> None:
        """
        Leave the parent its connections, in a child after a fork.
        """
        for peer in self.peers:
            peer.disown()
        self._worker = self._make_worker()

    def _make_worker(self) -> Worker:
        return Worker("yokedcache-memcached", THREADS)


class Performance:
    """
    One operation under way, and the connections that it has.

    A server that failed in it isn't asked again.
    """

    def __init__(self, peers: tuple[Peer, ...], plan: Plan[Any], ends: float) -> None:
        self._peers = peers
        self._plan = plan
        self._ends = ends
        self._links: dict[int, Link] = {}
        self._failed: dict[int, StoreError] = {}

    def run(self) -> Any:
        """
        Do all steps; give the result.
        """
        steps = self._plan.steps()
        try:
            step = next(steps)
            while True:
                try:
                    result = self._do(step)
                except StoreError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(result)
        except StopIteration as stop:
            return stop.value
        except StoreError as error:
            if "asked" in error.facts:
                raise
            raise store_error(error, self._plan.asked, "Memcached") from error
        finally:
            for server, link in self._links.items():
                self._peers[server].give_back(link)
            for failed in self._failed.values():
                without_frames(failed)  # it may have been got over

    def _do(self, step: Step) -> Any:
        if (before := self._failed.get(step.server)) is not None:
            raise StoreError(before.message, **before.facts)
        peer = self._peers[step.server]
        now = time.monotonic()
        ends = now + (self._ends - now) * step.part
        try:
            link = self._links.get(step.server)
            if link is None:
                ends = peer.admit(self._plan.asked, ends)
                link = self._links[step.server] = peer.take(ends)
            link.deadline.ends = ends
            result = link.do(step.command, step.arguments)
        except StoreError as error:
            raise self._broken(step.server, error) from error
        except CAUGHT as error:
            if not is_refusal(error):
                peer.failed()
            raise self._broken(step.server, error) from error
        except BaseException:
            self._drop(step.server)
            raise
        peer.answered()
        return result

    def _broken(self, server: int, error: BaseException) -> StoreError:
        self._drop(server)
        peer = self._peers[server]
        made = store_error(error, self._plan.asked, address_text(peer.address))
        made.facts["partly"] = peer.partly
        self._failed[server] = made
        return made

    def _drop(self, server: int) -> None:
        link = self._links.pop(server, None)
        if link is not None:
            with suppress(*CAUGHT):
                drop(link)
