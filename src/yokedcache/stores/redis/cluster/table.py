"""
Who serves which slot, as the nodes say it.

The table is read when it is first needed, and again after a node couldn't do what it was
asked; a node that says who serves a slot instead (MOVED) corrects it at once. It is also
read again before a node is asked that hasn't answered for `SILENT` seconds: it may have
hung so long that another one has taken its place, and when it goes on it answers, for an
instant, as if nothing had happened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import ClusterDownError, MovedError, ResponseError

from yokedcache.errors import StoreError
from yokedcache.stores.frames import without_frames
from yokedcache.stores.redis.cluster.layout import SLOTS
from yokedcache.stores.redis.faults import way_out

if TYPE_CHECKING:
    from collections.abc import Iterable

    from yokedcache.stores.addresses import Address
    from yokedcache.stores.redis.cluster.parts import Part

ASK_SLOTS: Final = ("CLUSTER", "SLOTS")

SOONEST: Final = 0.1
"""Seconds between two readings, at the least."""

SILENT: Final = 1.0
"""Seconds after which a node isn't asked before others have said what it serves."""

REDIRECTIONS: Final = 4
"""How often a part is sent on before it counts as failed."""


class Table:
    """
    The owners of all slots, and which nodes to ask about them.
    """

    def __init__(self, hosts: Iterable[Address]) -> None:
        self._hosts = tuple(hosts)
        self._owners: list[Address | None] = [None] * SLOTS
        self._nodes: list[Address] = []
        self._heard: dict[Address | None, float] = {}
        self._doubted = True
        self._read_at = float("-inf")

    def is_due(self, now: float, parts: Iterable[Part]) -> bool:
        """
        Tell whether it has to be read (again) before these are asked.
        """
        for part in parts:
            address = self.address_of(part)
            heard = max(self._heard.get(address, self._read_at), self._read_at)
            if now - heard > SILENT and address is not None:
                self.doubt(address)
        return self._doubted and now - self._read_at >= SOONEST

    def hear(self, address: Address, now: float) -> None:
        """
        Note that a node answered.
        """
        self._heard[address] = now

    def to_ask(self) -> list[Address]:
        """
        Return whom to ask: nodes that answered lately first, those of the URL last.
        """
        return list(dict.fromkeys((*self._nodes, *self._hosts)))

    def learn(self, said: Any, asked: Address, now: float) -> None:
        """
        Take over what a node says.

        Raises:
            StoreError: it knows of no primary.
        """
        owners: list[Address | None] = [None] * SLOTS
        nodes: dict[Address, None] = {}
        for first, last, primary, *replicas in said:
            address = _address(primary, asked)
            owners[first : last + 1] = [address] * (last + 1 - first)
            nodes |= dict.fromkeys(_address(one, asked) for one in (primary, *replicas))
        if not nodes:
            raise StoreError("it knows of no node that serves anything")
        self._owners, self._nodes = owners, list(nodes)
        self._doubted, self._read_at = False, now

    def doubt(self, address: Address) -> None:
        """
        Note that a node couldn't do what it was asked: another one may serve its slots.
        """
        self._doubted = True
        if address in self._nodes:
            others = [one for one in self._nodes if one != address]
            self._nodes = [*others, address]

    def address_of(self, part: Part) -> Address | None:
        """
        Return who is to be asked for a part.
        """
        return part.address or self._owners[part.slot]

    def takes(self, result: Any, address: Address) -> bool:
        """
        Take in what came of a part; tell whether another node is to be asked.
        """
        if not isinstance(result, StoreError):
            return False
        cause = result.__cause__
        if isinstance(cause, MovedError):
            self._owners[cause.slot_id] = (cause.host or address[0], cause.port)
            self._doubted = True
            return True
        if isinstance(cause, ResponseError) and not isinstance(cause, ClusterDownError):
            return False
        self.doubt(address)
        return True


class Round:
    """
    The parts of one round: what came of each, and who is to be asked next.
    """

    def __init__(self, table: Table, parts: list[Part]) -> None:
        self.parts = parts
        self.results: list[Any] = [None] * len(parts)
        self.begun = False
        self._table = table
        self._left = list(range(len(parts)))
        self._asked: list[Address | None] = [None] * len(parts)

    def by_node(self) -> dict[Address, list[int]]:
        """
        Sort what is left by who is to be asked now; who failed isn't asked again.
        """
        self.begun = True
        found: dict[Address, list[int]] = {}
        for place in self._left:
            address = self._table.address_of(self.parts[place])
            if address is None:
                self.results[place] = unserved(self.parts[place].slot)
            elif address != self._asked[place]:
                found.setdefault(address, []).append(place)
                self._asked[place] = address
        self._left = []
        return found

    def take(
        self, address: Address, places: list[int], results: list[Any], now: float
    ) -> None:
        """
        Take what a node gave.
        """
        if not isinstance(results[0], StoreError):
            self._table.hear(address, now)
        for place, result in zip(places, results, strict=True):
            self.results[place] = result
            if self._table.takes(result, address) and not self.parts[place].address:
                self._left.append(place)


def unserved(slot: int) -> StoreError:
    """
    Say that nobody has a slot.
    """
    return StoreError(f"no node of the Cluster serves slot {slot}", slot=slot)


def no_node(said: list[tuple[str, str]]) -> StoreError:
    """
    Say why nobody tells who serves what, and the way out.
    """
    outs = dict.fromkeys(out for _, out in said if out)
    hosts = "the URL's hosts have to be nodes of one that this process reaches"
    return StoreError(
        "no node of the Cluster says who serves what "
        f"({'; '.join(why for why, _ in said)}): {'; '.join(outs) or hosts}"
    )


def why_not(address: Address, error: Exception, url: str) -> tuple[str, str]:
    """
    Say why a node doesn't tell who serves what, and the way out if it is known.
    """
    without_frames(error)
    text = f"{error!s:.200}" or type(error).__name__
    if isinstance(error, ResponseError) and "support disabled" in text:
        text = "it is no node of a Cluster, which redis:// is for"
    out = way_out(error, tls=url.startswith("rediss"))
    return f"{address[0]}:{address[1]}: {text}", out


def _address(node: Any, asked: Address) -> Address:
    host = node[0].decode() if isinstance(node[0], bytes) else node[0]
    # a node that doesn't know its own name means the one by which it was asked
    return (host if host and host != "?" else asked[0]), node[1]
