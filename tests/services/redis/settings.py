"""
In which variant a server runs: who may enter, what it keeps, how much it holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.services.redis.certificates import Certificate
    from tests.services.redis.kinds import RedisKind

Persistence = Literal["none", "snapshot", "log"]

_KEPT: dict[Persistence, dict[str, str]] = {
    "none": {"save": '""', "appendonly": "no"},
    # written when the server is told to stop, not when it is killed
    "snapshot": {"save": "3600 1", "appendonly": "no"},
    # on the disk before the client has its answer
    "log": {"save": '""', "appendonly": "yes", "appendfsync": "always"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """
    What distinguishes one server from another, in our words and the server's.
    """

    password: str | None = None
    """
    What the default user must say.
    """
    users: Mapping[str, str] = field(default_factory=dict)
    """
    More users, by name: their ACL rules (`">secret ~* &* +@all"`).
    """
    tls: bool = False
    """
    Whether the port takes TLS alone; the socket stays as it is.
    """
    certificate: Certificate | None = None
    """
    What the servers of a group show each other; one that is alone has its own.
    """
    persistence: Persistence = "none"
    maxmemory: str | None = None
    policy: str = "noeviction"
    options: Mapping[str, str] = field(default_factory=dict)
    """
    Anything else, as it stands in `redis.conf`.
    """

    def check(self, kind: RedisKind) -> None:
        """
        Fail where servers of this kind can't be had like this.
        """
        if self.tls and not kind.tls:
            message = f"{kind.name} is built without TLS: take the system's Redis"
            raise ValueError(message)

    def lines(
        self,
        kind: RedisKind,
        port: int,
        socket: Path | None,
        certificate: Certificate | None,
    ) -> Iterator[str]:
        """
        Yield the lines of a file of settings.
        """
        settings = {
            "bind": "127.0.0.1",
            "port": "0" if certificate else str(port),
            "daemonize": "no",
            "dir": ".",
            # replicas are there at once, not after five seconds
            "repl-diskless-sync-delay": "0",
            "repl-diskless-load": "swapdb",
            "maxmemory-policy": self.policy,
            **_KEPT[self.persistence],
        }
        if kind.modern:
            # an older one lets anybody use it
            settings["enable-debug-command"] = "yes"
        if socket:
            settings |= {"unixsocket": str(socket), "unixsocketperm": "777"}
        if certificate:
            settings |= certificate.settings(port)
        if self.password:
            settings |= {"requirepass": self.password, "masterauth": self.password}
        if self.maxmemory:
            settings["maxmemory"] = self.maxmemory
        settings |= self.options
        yield from (f"{name} {value}" for name, value in settings.items())
        yield from (f"user {name} on {rules}" for name, rules in self.users.items())
