"""
Several servers that belong together: a primary with replicas, watched by Sentinel.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import redis

from tests.services.processes import Process, free_port, private_directory, wait_until
from tests.services.redis.certificates import Certificate, make_certificate
from tests.services.redis.kinds import Redis, RedisKind
from tests.services.redis.server import RedisServer, launch, speak
from tests.services.redis.settings import Variant

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "main"
DOWN_AFTER = 500
# not ping-period: five of them are how long a replica's last word counts in a failover
_LIVELY = ("info-period", "publish-period", "ask-period")


def attach(replica: RedisServer, primary: RedisServer) -> None:
    """
    Make a server the replica of another; return when it has all data.
    """
    replica.say("REPLICAOF", primary.host, primary.port)
    wait_until(lambda: is_attached(replica, primary))


def is_attached(replica: RedisServer, primary: RedisServer) -> bool:
    """
    Tell whether a server follows another, link and data included.
    """
    said = _replication(replica)
    follows = said.get("master_port") == str(primary.port)
    return follows and said.get("master_link_status") == "up"


def catch_up(replica: RedisServer, primary: RedisServer) -> None:
    """
    Return when a replica has everything that its primary was told so far.
    """
    told = _offset(primary)
    wait_until(lambda: _offset(replica) >= told)


@dataclass(slots=True)
class ReplicaPair:
    """
    A primary, and a replica that follows it.
    """

    primary: RedisServer
    replica: RedisServer

    @classmethod
    @contextlib.contextmanager
    def running(
        cls, kind: RedisKind | None = None, variant: Variant | None = None
    ) -> Iterator[ReplicaPair]:
        """
        Give the two, attached.
        """
        kind, variant = kind or Redis(), variant or Variant()
        with (
            vouched(kind, variant) as variant,
            RedisServer.running(kind, variant) as primary,
            RedisServer.running(kind, variant) as replica,
        ):
            attach(replica, primary)
            yield cls(primary, replica)

    def caught_up(self) -> None:
        """
        Return when the replica has everything that the primary was told so far.
        """
        catch_up(self.replica, self.primary)

    def swap(self) -> None:
        """
        Promote the replica and let the old primary follow it.
        """
        self.replica.say("REPLICAOF", "NO", "ONE")
        attach(self.primary, self.replica)
        self.primary, self.replica = self.replica, self.primary


@dataclass(slots=True)
class Sentinel:
    """
    One of the watchers.
    """

    kind: RedisKind
    port: int
    process: Process
    certificate: Certificate | None = None

    def say(self, *words: Any) -> Any:
        """
        Ask it something; return the bare answer.
        """
        url = f"redis://127.0.0.1:{self.port}"
        if self.certificate:
            url = f"rediss://127.0.0.1:{self.port}?{self.certificate.told()}"
        return speak(url, *words)

    def pace(self, milliseconds: int) -> None:
        """
        Have it ask and greet others so often; an older one keeps its own seconds.
        """
        if not self.kind.modern:
            return
        often = (word for period in _LIVELY for word in (period, milliseconds))
        self.say("SENTINEL", "DEBUG", *often)

    def named(self) -> tuple[str, int]:
        """
        Return where it says that the primary is.
        """
        host, port = self.say("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)
        return host, int(port)

    def knows(self, sentinels: int, replicas: int) -> bool:
        """
        Tell whether it has found all others.
        """
        said = self.say("SENTINEL", "MASTER", NAME)
        state = dict(zip(said[::2], said[1::2], strict=True))
        return (
            int(state["num-other-sentinels"]) == sentinels - 1
            and int(state["num-slaves"]) == replicas
            and "down" not in state["flags"]
        )

    def answers(self) -> bool:
        """
        Tell whether it takes commands now.
        """
        try:
            self.say("PING")
        except redis.RedisError:
            return False
        return True


@dataclass(slots=True)
class SentinelGroup:
    """
    A primary, replicas, and three sentinels that agree within half a second.
    """

    servers: list[RedisServer]
    sentinels: list[Sentinel]
    name: str = NAME

    @classmethod
    @contextlib.contextmanager
    def running(
        cls,
        kind: RedisKind | None = None,
        variant: Variant | None = None,
        *,
        replicas: int = 1,
        pace: int = 100,
    ) -> Iterator[SentinelGroup]:
        """
        Give the group, when everybody knows everybody.

        A sentinel that hears of nothing for four times `pace` milliseconds undoes what
        others have done meanwhile, so a busy machine wants more.
        """
        kind, variant = kind or Redis(), variant or Variant()
        with contextlib.ExitStack() as stack:
            variant = stack.enter_context(vouched(kind, variant))
            servers = [
                stack.enter_context(RedisServer.running(kind, variant))
                for _ in range(1 + replicas)
            ]
            for replica in servers[1:]:
                attach(replica, servers[0])
            # not before: a replica that comes later is found after ten seconds
            sentinels = [
                stack.enter_context(_sentinel(kind, servers[0])) for _ in range(3)
            ]
            group = cls(servers, sentinels)
            wait_until(group.is_settled)
            for sentinel in sentinels:
                sentinel.pace(pace)
            yield group

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """
        Where the sentinels listen.
        """
        return [("127.0.0.1", sentinel.port) for sentinel in self.sentinels]

    def url(self, name: str | None = None) -> str:
        """
        Return the URL of a shared store behind it.
        """
        hosts = ",".join(f"{host}:{port}" for host, port in self.addresses)
        certificate = self.servers[0].certificate
        if certificate:
            return f"rediss+sentinel://{hosts}/{name or self.name}?{certificate.told()}"
        return f"redis+sentinel://{hosts}/{name or self.name}"

    def is_settled(self) -> bool:
        """
        Tell whether all sentinels know each other and all replicas.
        """
        known = len(self.sentinels), len(self.servers) - 1
        return all(sentinel.knows(*known) for sentinel in self.sentinels)

    def primary(self) -> RedisServer:
        """
        Return the server that most sentinels call the primary.
        """
        said = [port for _, port in map(Sentinel.named, self.sentinels)]
        port = max(said, key=said.count)
        return next(server for server in self.servers if server.port == port)

    def fail_over(self, old: RedisServer) -> RedisServer:
        """
        Return the new primary once all sentinels name another than `old`.

        The caller has killed, suspended or cut off the old one.
        """
        wait_until(lambda: self.primary() is not old and self._agree())
        new = self.primary()
        wait_until(lambda: _replication(new).get("role") == "master")
        return new

    def take_back(self, old: RedisServer) -> None:
        """
        Return when an old primary that runs follows the one that all call the new one.
        """
        wait_until(lambda: self._agree() and is_attached(old, self.primary()))

    def _agree(self) -> bool:
        return len({sentinel.named() for sentinel in self.sentinels}) == 1


@contextlib.contextmanager
def vouched(kind: RedisKind, variant: Variant) -> Iterator[Variant]:
    """
    Give servers that speak TLS to each other one certificate.
    """
    variant.check(kind)
    if not variant.tls:
        yield variant
        return
    with private_directory("certificate") as directory:
        certificate = make_certificate(Redis().openssl() or [], directory)
        yield replace(variant, certificate=certificate)


@contextlib.contextmanager
def _sentinel(kind: RedisKind, primary: RedisServer) -> Iterator[Sentinel]:
    port, certificate = free_port(), primary.certificate
    told = {"port": "0", **certificate.settings(port)} if certificate else {}
    lines = [
        *(f"{name} {value}" for name, value in (told or {"port": str(port)}).items()),
        "bind 127.0.0.1",
        "dir .",
        f"sentinel monitor {NAME} {primary.host} {primary.port} 2",
        f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER}",
        f"sentinel failover-timeout {NAME} 2000",
    ]
    if primary.variant.password:
        lines.append(f"sentinel auth-pass {NAME} {primary.variant.password}")
    with kind.runnable() as command, private_directory("sentinel") as directory:
        process = launch(command, directory, iter(lines), "--sentinel")
        sentinel = Sentinel(kind, port, process, certificate)
        try:
            process.wait_until(sentinel.answers)
            # they greet each other every two seconds otherwise
            sentinel.pace(100)
            yield sentinel
        finally:
            process.kill()


def _replication(server: RedisServer) -> dict[str, str]:
    # Sentinel ends all connections of whom it makes a replica or a primary
    try:
        return server.info("replication")
    except redis.ConnectionError:
        return {}


def _offset(server: RedisServer) -> int:
    return int(server.info("replication")["master_repl_offset"])
