"""
The users of Redis that the docs tell to make, and everything that they have to be able to do.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.services.processes import wait_until
from tests.support.redis_faces import TIMES
from yokedcache.errors import StoreError
from yokedcache.stores.answers import SAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.services.redis import RedisServer

PAGE: Final = Path(__file__).parents[2] / "docs" / "shared-store.md"
PASSWORD: Final = "password"
PREFIX: Final = "yc"

_FOUND: Final = re.findall(
    r"^ACL SETUSER (\w+) (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
)

APP: Final = _FOUND[0][1].split()
"""What the application's user is given: on one server, and behind Sentinel."""
IN_A_CLUSTER: Final = _FOUND[1][1].split()
"""What it is given besides."""
WATCHER: Final = _FOUND[2][1].split()
"""What who asks sentinels is given."""


def commands(rules: Iterable[str]) -> list[str]:
    """
    Return the commands that rules allow.
    """
    return [rule[1:] for rule in rules if rule.startswith("+")]


def give(
    server: Any, rules: Iterable[str], *, but: str = "", name: str = "app"
) -> None:
    """
    Make a user of some rules, but for one command; forget what was denied before.
    """
    left = [rule for rule in rules if rule != f"+{but}"]
    server.say("ACL", "SETUSER", name, "reset", *left)
    server.say("ACL", "LOG", "RESET")


def denied(server: Any) -> list[str]:
    """
    Return what users were not allowed.
    """
    said = [
        dict(zip(one[::2], one[1::2], strict=True)) for one in server.say("ACL", "LOG")
    ]
    return sorted({str(one["object"]) for one in said})


def url_for(server: RedisServer) -> str:
    """
    Return the URL of the application's user.
    """
    return server.url(user="app", password=PASSWORD)


def as_user(url: str) -> str:
    """
    Make it the URL's user.
    """
    return url.replace("://", f"://app:{PASSWORD}@", 1)


# each has to succeed by itself


def _fill_and_hit(face: Any) -> None:
    assert face.read("absent", "a") == "absent"
    assert face.fill("k", b"v", "a") is None
    tags, reading = face.commands.tags(["a"]), face.commands.read("k", ["a"])
    found = face.do(reading)
    assert bytes(found.payload) == b"v"
    question = face.commands.question(reading, tags, found)
    assert face.do(face.commands.again(question)) is SAME
    assert face.do(face.commands.exists("k", ["a"]))
    assert face.do(face.commands.measure("k")) > len(b"v")
    assert face.do(face.commands.measure("absent")) == 0
    assert face.do(face.commands.extend("k", TIMES, life=90, tags=["a"]))


def _remove(face: Any) -> None:
    assert face.fill("k", b"v", "a") is None
    assert face.do(face.commands.remove("k", ["a"]))
    assert not face.do(face.commands.remove("k", ["a"]))


def _load(face: Any) -> None:
    tags = face.commands.tags(["a"])
    assert face.do(face.commands.claim("l", tags, b"token")).holder == b"token"
    assert face.do(face.commands.release("l", b"token"))


def _commit(face: Any) -> None:
    fence = face.fence("a", "b", owner="me")
    assert face.read("k", "a") in {"absent", "commit_in_flight"}
    assert face.do(face.commands.renew(fence)) == 0
    assert face.lift(fence) == 0


def _invalidate(face: Any) -> None:
    assert face.bump("a", "b")
    face.bump()
    face.do(face.commands.note())


def _follow(face: Any) -> None:
    begun = face.do(face.commands.follow())
    face.bump("b")
    assert face.do(face.commands.follow(begun.position)).told


def _adopt(face: Any) -> None:
    brief = type(face.commands)(face.layout, lease=0.001)
    face.do(brief.fence(["c"], b"orphan", "nobody"))
    wait_until(lambda: face.do(brief.adopt(["c"], b"orphan")) == [True])


ALL: Final[list[Callable[[Any], None]]] = [
    *(_fill_and_hit, _remove, _load, _commit, _invalidate, _follow, _adopt),
]


def do_everything(face: Any) -> None:
    """
    Do all that a cache does; nothing of it may fail.
    """
    for one in ALL:
        one(face)


def refusals(
    face: Any, besides: Callable[[], object] = lambda: None
) -> list[StoreError]:
    """
    Try all of it; return what failed.
    """
    failed = []
    for one in (*ALL, lambda _: besides()):
        try:
            # without its claim a load goes on, and so it isn't what it should be
            with suppress(AssertionError):
                one(face)
        except StoreError as error:
            failed.append(error)
    return failed
