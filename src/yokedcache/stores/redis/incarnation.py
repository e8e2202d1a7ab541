"""
Whom a connection leads to: which server, in which of its lives, and what it may do.

The incarnation of a server is its `run_id` with its `master_replid`. The first changes
when it restarts, the second when it is promoted, so what was stamped before either is
told apart, also where a server comes back to its place without having restarted and a
random value kept among the data would have come back with them.

It is learnt by INFO on every new connection, and again in one go with the next command
once the last look is older than `TRUSTED`. A connection can stay open while its server
turns into a replica, takes over data that lack a bump, and is promoted again: that was
seen to take 4 milliseconds at the least where all data are transferred, and 1 where they
need not be, since none but those of that millisecond differ. While the server is a
replica it refuses whatever writes, and `GETEX`, with which entries are read, counts as
that; so all of it, with a commit at the other server, would have to happen between two
commands that are no further apart than `TRUSTED`.

Which keys it may evict can be set anew while it runs, so all of INFO is read again once
the last reading is older than `READ_AGAIN`.
"""

from __future__ import annotations

import base64
import time
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, TypeVar

from yokedcache.errors import StoreError
from yokedcache.stores.redis.wire import FOREIGN, Request, command, fine

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.stores.redis.wire import Steps

T = TypeVar("T")

TRUSTED: Final = 0.001
"""
Seconds for which a connection is taken to lead where it led.

Asking with each read would cost a fifth more; asked once a millisecond it costs little.
"""

READ_AGAIN: Final = 1.0
"""
Seconds for which a server is taken to be set as it was.
"""

OLDEST: Final = (6, 2)
"""The first version that has GETEX."""

_SCRIPTS_HEED: Final = (7, 0)
"""The first version that refuses scripts, too, what it must not write."""

INFO: Final = command(b"INFO")
_INFO_REPLICATION: Final = command(b"INFO", b"replication")

_MARK_BYTES: Final = 6


class Server:
    """
    What a server says of itself.
    """

    __slots__ = ("_same", "evicts", "lets_scripts", "mark", "run_id", "version")

    def __init__(
        self,
        run_id: str,
        replid: str,
        version: str,
        *,
        evicts: bool,
        lets_scripts: bool,
    ) -> None:
        self.run_id = run_id
        self.version = version
        self.evicts = evicts
        """Whether it may evict keys that have no TTL, fences included."""
        self.lets_scripts = lets_scripts
        """Whether scripts may write what commands may not, as replicas are missing."""
        self.mark = mark_of(run_id, replid)
        self._same = b"\nmaster_replid:%b\r" % replid.encode()

    def renewed(self, info: bytes) -> Server:
        """
        Read INFO's part on replication, which the same process gave again.
        """
        if b"\nrole:master\r" in info and self._same in info:
            return self
        return Server(
            self.run_id,
            _primary(_facts(info)),
            self.version,
            evicts=self.evicts,
            lets_scripts=self.lets_scripts,
        )


class Link:
    """
    What is known of one connection.
    """

    __slots__ = ("_read_at", "draw", "looked_at", "server")

    def __init__(
        self, server: Server, looked_at: float, draw: Callable[[int], bytes]
    ) -> None:
        self.server = server
        self.looked_at = looked_at
        """When INFO was sent, by the monotonic clock."""
        self._read_at = looked_at
        """When all of it was asked for."""
        self.draw = draw
        """Gives so many random bytes."""

    def question(self, now: float) -> bytes:
        """
        Write the command that asks what is due to be known.
        """
        return INFO if now - self._read_at >= READ_AGAIN else _INFO_REPLICATION

    def learn(self, said: Any, asked: bytes, now: float) -> None:
        """
        Take what the server said when it was asked.
        """
        info = fine(said)
        if asked is INFO:
            found = read_info(info)
            # what was evicted before it was set otherwise is lost all the same
            found.evicts = found.evicts or self.server.evicts
            self.server = found
            self._read_at = now
        else:
            self.server = self.server.renewed(info)
        self.looked_at = now


def led(begin: Callable[[], Steps[T]], link: Link, *, late: bool) -> Steps[T]:
    """
    Do steps, whom the connection leads to being learnt anew if that is due.

    It is in one go with their first request, if that is the same whoever it is: `late`.
    """
    looked = time.monotonic()
    if looked - link.looked_at < TRUSTED:
        return begin()
    return _late(begin(), link, looked) if late else _early(begin, link, looked)


def _early(begin: Callable[[], Steps[T]], link: Link, looked: float) -> Steps[T]:
    asked = link.question(looked)
    (said,) = yield Request(asked)
    link.learn(said, asked, looked)
    return (yield from begin())


def _late(steps: Steps[T], link: Link, looked: float) -> Steps[T]:
    try:
        request = next(steps)
        asked = link.question(looked)
        packed = asked + request.packed
        said, *answers = yield Request(packed, request.count + 1)
        link.learn(said, asked, looked)
        while True:
            answers = yield steps.send(answers)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


def read_info(info: object) -> Server:
    """
    Read all of INFO, or refuse a server that can't be a store.
    """
    facts = _facts(info) if isinstance(info, bytes) else {}
    if not facts:
        raise StoreError(FOREIGN)
    shown = facts.get("valkey_version") or facts.get("redis_version", "")
    name = f"Valkey {shown}" if "valkey_version" in facts else f"Redis {shown}"
    numbers = _numbers(facts.get("redis_version", ""))
    if numbers < OLDEST:
        raise StoreError(
            f"the server is {name}: Redis 6.2 or newer, or Valkey, is needed",
            version=shown,
        )
    replid = _primary(facts)
    policy = facts.get("maxmemory_policy")
    if not policy or not facts.get("run_id"):
        raise StoreError("the server doesn't say who it is and what it evicts")
    return Server(
        facts["run_id"],
        replid,
        name,
        evicts=policy.startswith("allkeys"),
        lets_scripts=numbers < _SCRIPTS_HEED,
    )


def mark_of(run_id: str, replid: str) -> bytes:
    """
    Return the eight characters that stand for an incarnation.
    """
    both = f"{run_id}:{replid}".encode()
    return base64.urlsafe_b64encode(blake2b(both, digest_size=_MARK_BYTES).digest())


def _primary(facts: dict[str, str]) -> str:
    role = facts.get("role")
    if facts.get("redis_mode") == "sentinel":
        raise StoreError("the server is a sentinel, which redis+sentinel:// is for")
    if role != "master":
        raise StoreError(
            f"the server is a {role or 'stranger'}, and only a primary may be asked",
            role=role,
            primary=f"{facts.get('master_host')}:{facts.get('master_port')}",
            mode=facts.get("redis_mode"),
        )
    if not (replid := facts.get("master_replid")):
        raise StoreError("the server doesn't say which data it has")
    return replid


def _facts(info: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in info.decode(errors="replace").splitlines())
    return {name: value.strip() for name, colon, value in lines if colon}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
