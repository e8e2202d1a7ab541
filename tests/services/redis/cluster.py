"""
A Cluster of three primaries, put together without the tools of the command line.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import redis

from tests.services.processes import free_port, wait_until
from tests.services.redis.groups import is_attached, vouched
from tests.services.redis.kinds import Redis, RedisKind
from tests.services.redis.server import RedisServer, facts
from tests.services.redis.settings import Variant

if TYPE_CHECKING:
    from collections.abc import Iterator

SLOTS = 16384
NODE_TIMEOUT = 1000


@dataclass(slots=True)
class RedisCluster:
    """
    Primaries that share the slots, and replicas: the n-th follows the n-th primary.
    """

    primaries: list[RedisServer]
    replicas: list[RedisServer]

    @classmethod
    @contextlib.contextmanager
    def running(
        cls,
        kind: RedisKind | None = None,
        variant: Variant | None = None,
        *,
        replicas: bool = False,
    ) -> Iterator[RedisCluster]:
        """
        Give a Cluster that all its nodes call complete.
        """
        kind, variant = kind or Redis(), variant or Variant()
        with contextlib.ExitStack() as stack:
            variant = stack.enter_context(vouched(kind, variant))
            nodes = [
                stack.enter_context(RedisServer.running(kind, _member(kind, variant)))
                for _ in range(6 if replicas else 3)
            ]
            cluster = cls(nodes[:3], nodes[3:])
            cluster.assemble()
            yield cluster

    @property
    def nodes(self) -> list[RedisServer]:
        """
        All servers.
        """
        return [*self.primaries, *self.replicas]

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """
        Where the nodes listen.
        """
        return [(node.host, node.port) for node in self.nodes]

    def url(self) -> str:
        """
        Return the URL of a shared store in it.
        """
        login = f":{quote(self.password, safe='')}@" if self.password else ""
        hosts = ",".join(f"{host}:{port}" for host, port in self.addresses)
        certificate = self.nodes[0].certificate
        if certificate:
            return f"rediss+cluster://{login}{hosts}?{certificate.told()}"
        return f"redis+cluster://{login}{hosts}"

    @property
    def password(self) -> str | None:
        """
        What the nodes want to be told.
        """
        return self.nodes[0].variant.password

    def client(self, **options: Any) -> Any:
        """
        Return a client that knows all nodes; the caller closes it.
        """
        first = self.primaries[0]
        options.setdefault("password", self.password)
        return redis.RedisCluster(host=first.host, port=first.port, **options)

    def assemble(self) -> None:
        """
        Share the slots out, and let the nodes meet.
        """
        share = -(-SLOTS // len(self.primaries))
        for number, node in enumerate(self.primaries):
            first, last = number * share, min((number + 1) * share, SLOTS) - 1
            if node.kind.modern:
                node.say("CLUSTER", "ADDSLOTSRANGE", first, last)
            else:
                node.say("CLUSTER", "ADDSLOTS", *range(first, last + 1))
        for number, node in enumerate(self.nodes, 1):
            # two nodes of one epoch would have to settle who is newer
            node.say("CLUSTER", "SET-CONFIG-EPOCH", number)
        met, *others = self.nodes
        for node in others:
            node.say("CLUSTER", "MEET", met.host, met.port, met.bus)
        wait_until(self._all_met)
        for primary, replica in zip(self.primaries, self.replicas, strict=False):
            replica.say("CLUSTER", "REPLICATE", primary.say("CLUSTER", "MYID"))
        wait_until(self.is_complete)

    def is_complete(self) -> bool:
        """
        Tell whether every node that runs finds all slots served, and replicas follow.
        """
        pairs = zip(self.primaries, self.replicas, strict=False)
        return all(
            _state(node)["cluster_state"] == "ok"
            for node in self.nodes
            if node.process.alive
        ) and all(is_attached(replica, primary) for primary, replica in pairs)

    def masters(self) -> list[RedisServer]:
        """
        Return those that serve slots now, whatever they were at first.
        """
        ports = {primary for _, _, primary in _shares(self._witness())}
        return [node for node in self.nodes if node.port in ports]

    def all_follow(self) -> bool:
        """
        Tell whether every node that serves no slots follows one that does.
        """
        masters = self.masters()
        return len(masters) == len(self.primaries) and all(
            any(is_attached(node, master) for master in masters)
            for node in self.nodes
            if node not in masters
        )

    def owner(self, key: str) -> RedisServer:
        """
        Return the primary that a node which runs holds responsible for a key.
        """
        witness = self._witness()
        slot = int(witness.say("CLUSTER", "KEYSLOT", key))
        for first, last, primary in _shares(witness):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == primary)
        raise LookupError(key)

    def fail_over(self, key: str, old: RedisServer) -> RedisServer:
        """
        Return the new owner of a key, once every node that runs serves and names it.

        The caller has killed or cut off the old one.
        """
        wait_until(lambda: self._has_moved(key, old))
        return self.owner(key)

    @contextlib.contextmanager
    def moving(
        self, slot: int, old: RedisServer, new: RedisServer
    ) -> Iterator[list[str]]:
        """
        Let a slot move within the block, and name the keys that are to be carried.

        What is left is carried at the end, when the new one is told to be the owner.
        """
        owner = new.say("CLUSTER", "MYID")
        new.say("CLUSTER", "SETSLOT", slot, "IMPORTING", old.say("CLUSTER", "MYID"))
        old.say("CLUSTER", "SETSLOT", slot, "MIGRATING", owner)
        yield old.say("CLUSTER", "GETKEYSINSLOT", slot, 1000)
        while left := old.say("CLUSTER", "GETKEYSINSLOT", slot, 1000):
            for key in left:
                self.carry(key, old, new)
        for node in (new, old, *self.masters()):
            node.say("CLUSTER", "SETSLOT", slot, "NODE", owner)

    def carry(self, key: str, old: RedisServer, new: RedisServer) -> None:
        """
        Carry a key of a slot that is moving.
        """
        old.say("MIGRATE", new.host, new.port, key, 0, 5000)

    def _witness(self) -> RedisServer:
        return next(node for node in self.nodes if node.process.alive)

    def _has_moved(self, key: str, old: RedisServer) -> bool:
        running = [n for n in self.nodes if n is not old and n.process.alive]
        slot = int(running[0].say("CLUSTER", "KEYSLOT", key))
        owners = {
            primary
            for node in running
            for first, last, primary in _shares(node)
            if first <= slot <= last
        }
        served = all(_state(node)["cluster_state"] == "ok" for node in running)
        return served and len(owners) == 1 and owners != {old.port}

    def _all_met(self) -> bool:
        wanted = str(len(self.nodes))
        return all(
            _state(node)["cluster_known_nodes"] == wanted and not _handshakes(node)
            for node in self.nodes
        )


def _member(kind: RedisKind, variant: Variant) -> Variant:
    options = {
        **variant.options,
        "cluster-enabled": "yes",
        "cluster-node-timeout": str(NODE_TIMEOUT),
        # replicas of a node that serves nothing are of no use to tests
        "cluster-allow-replica-migration": "no",
    }
    if variant.tls:
        options["tls-cluster"] = "yes"
    if kind.modern:
        # chosen: 10,000 above the port may be somebody's
        options["cluster-port"] = str(free_port())
    return replace(variant, options=options)


def _state(node: RedisServer) -> dict[str, str]:
    return facts(node.say("CLUSTER", "INFO"))


def _handshakes(node: RedisServer) -> bool:
    return "handshake" in node.say("CLUSTER", "NODES")


def _shares(node: RedisServer) -> Iterator[tuple[int, int, int]]:
    for first, last, primary, *_ in node.say_by_port("CLUSTER", "SLOTS"):
        yield first, last, primary[1]
