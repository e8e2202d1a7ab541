"""
Names of hosts that a resolver takes long to find, or doesn't find.
"""

from __future__ import annotations

import os
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.services.processes import wait_until
from yokedcache.stores import names
from yokedcache.stores.names import addresses

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORT = 0.1
LONG = 30.0
FOUND = [("found",)]


class Resolver:
    """
    Says what it is told to, once it may.
    """

    def __init__(self) -> None:
        self.asked = 0
        self.free = threading.Event()
        self.says: Any = FOUND

    def __call__(self, *_: Any) -> Any:
        self.asked += 1
        assert self.free.wait(LONG)
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    made = Resolver()
    names._names.begin_anew()
    monkeypatch.setattr(socket, "getaddrinfo", made)
    yield made
    made.free.set()
    wait_until(lambda: not names._names.running)
    names._names.begin_anew()


def ask(seconds: float = SHORT) -> Any:
    return addresses(seconds, "cache.test", 6379, 0, socket.SOCK_STREAM)


def test_what_is_found_in_time_is_looked_up_each_time(resolver: Resolver) -> None:
    resolver.free.set()
    assert ask(LONG) == FOUND
    resolver.says = [("another",)]
    assert ask(LONG) == [("another",)]
    assert resolver.asked == 2


def test_what_is_found_too_late_is_for_whoever_comes_next(resolver: Resolver) -> None:
    for _ in range(2):
        with pytest.raises(TimeoutError):
            ask()
    assert resolver.asked == 1
    resolver.free.set()
    wait_until(lambda: bool(names._names.known))
    resolver.free.clear()
    assert ask() == FOUND


def test_it_isnt_for_ever(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    resolver.free.set()
    assert ask(LONG) == FOUND
    resolver.free.clear()
    monkeypatch.setattr(names, "KEPT", 0.0)
    with pytest.raises(TimeoutError):
        ask()


@pytest.mark.parametrize(
    ("says", "text"),
    [
        (socket.gaierror(-2, "Name or service not known"), "not known"),
        (UnicodeError("label too long"), "no host's name: label too long"),
    ],
)
def test_a_name_that_isnt_found(resolver: Resolver, says: Exception, text: str) -> None:
    resolver.says = says
    with pytest.raises(TimeoutError):
        ask()
    resolver.free.set()
    wait_until(lambda: bool(names._names.known))
    resolver.free.clear()
    with pytest.raises(OSError, match=text):
        ask()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_address_is_no_name(resolver: Resolver, host: str) -> None:
    resolver.free.set()
    assert addresses(SHORT, host, 6379) == FOUND
    assert not names._names.known


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_child_waits_for_no_look_up_of_its_parent(resolver: Resolver) -> None:
    with pytest.raises(TimeoutError):
        ask()
    assert names._names.running
    child = os.fork()
    if child == 0:
        os._exit(len(names._names.running))
    assert os.waitpid(child, 0)[1] == 0
