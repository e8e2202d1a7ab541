"""
What histories happen in: two servers, the time, and processes that go on step by step.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from yokedcache.stores.memcached.layout import read_tag
from yokedcache.stores.memcached.link import Link
from yokedcache.stores.memcached.memory import Memory
from yokedcache.stores.memcached.steps import Step
from yokedcache.stores.versions import not_after

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from tests.services import MemcachedServer
    from yokedcache.stores.memcached.commands import Commands
    from yokedcache.stores.memcached.layout import Names
    from yokedcache.stores.memcached.steps import Plan

LOST: Final = b"lost.0"
"""Stands between the versions of a tag that was lost."""


class World:
    """
    Two servers, what was lost there, which versions tags have had, and the time.
    """

    def __init__(self, servers: list[MemcachedServer]) -> None:
        self.servers = servers
        self.now = 1000.0
        self.lost = [0, 0]
        self._given: dict[bytes, list[bytes]] = {}

    def note(self, key: bytes, version: bytes) -> None:
        """
        Note a tag's version: each is newer than all before, and none comes back.
        """
        given = self._given.setdefault(key, [])
        if version not in {b"", *given[-1:]}:
            assert not any(not_after(version, one) for one in given)
            given.append(version)

    def lose(self, place: int, *keys: bytes, counted: bool = True) -> None:
        """
        Have a server lose something.
        """
        self.lost[place] += counted
        for key in keys:
            self.servers[place].say("delete", key)
            self._given.setdefault(key, []).append(LOST)


class Watched(Memory):
    """
    What a process knows of a server's memory, in a world that makes time pass.
    """

    def __init__(self, world: World, place: int) -> None:
        super().__init__()
        self._world = world
        self._place = place

    def observe(self, stats: Mapping[bytes, Any], asked: float, now: float) -> None:
        lost = {b"evictions": self._world.lost[self._place]}
        old = {b"time": 1000, b"uptime": 900, b"cmd_flush": 0}
        super().observe({**stats, **old, **lost}, self._world.now, self._world.now)

    def is_young(self, origin: bytes, lease: int, now: float) -> bool:
        return super().is_young(origin, lease, self._world.now)

    def time(self, now: float) -> int | None:
        return round(self._world.now * 1000)


class Actor:
    """
    A process: its own connections, and what it knows of the servers.
    """

    def __init__(self, world: World, commands: Commands) -> None:
        self.world = world
        self.commands = commands
        self.links = [
            Link(
                (server.host, server.port),
                commands.names,
                Watched(world, place),
                time.monotonic() + 60,
            )
            for place, server in enumerate(world.servers)
        ]

    def do(self, step: Step) -> Any:
        link = self.links[step.server]
        link.deadline.ends = time.monotonic() + 20
        done = link.do(step.command, step.arguments)
        if done and said(step) in {"add t", "cas t"}:
            key, value, *_ = step.arguments
            self.world.note(key, read_tag(value).version)
        return done

    def steps(self, plan: Plan[Any]) -> Generator[str, None, Any]:
        """
        Do a plan step by step; say each before it is done.
        """
        steps = plan.steps()
        try:
            step = next(steps)
            while True:
                yield said(step)
                step = steps.send(self.do(step))
        except StopIteration as stop:
            return stop.value

    def at_once(self, plan: Plan[Any]) -> Any:
        return finished(self.steps(plan))

    def going_on(self, steps: Generator[Step, Any, Any], step: Step) -> Any:
        """
        Do the rest of a plan, from a step on.
        """
        try:
            while True:
                step = steps.send(self.do(step))
        except StopIteration as stop:
            return stop.value

    def notice_losses(self) -> None:
        notes = self.at_once(self.commands.note()).split(b" ")
        for place, note in enumerate(notes):
            self.do(Step(place, "young", (note[:16], 1)))

    def close(self) -> None:
        for link in self.links:
            link.close()


def said(step: Step) -> str:
    """
    Say what a step does: the command, and what kind of key it is for.
    """
    key = step.arguments[0] if step.arguments else b""
    if isinstance(key, bytes) and b":" in key:
        return f"{step.command} {key.split(b':')[1].decode()}"
    return step.command


def finished(steps: Generator[str, None, Any]) -> Any:
    try:
        while True:
            next(steps)
    except StopIteration as stop:
        return stop.value


def tags_on_both(names: Names, seed: int) -> list[str]:
    tags: dict[int, str] = {}
    number = 0
    while len(tags) < 2:
        name = f"tag {seed} {number}"
        number += 1
        (share,) = names.tags([name]).shares
        tags.setdefault(share.server, name)
    return [tags[0], tags[1]]
