"""
What spares work, and may never be wrong: questions about what was found, and claims.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from yokedcache.stores.answers import SAME, Miss, RaisedFence, Times
from yokedcache.testing.stores.basis import Basis
from yokedcache.testing.stores.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.stores.answers import Claim
    from yokedcache.testing.stores.processes import Process


class Sparing(Basis):
    """
    Tests of questions and claims.
    """

    def test_what_was_found_is_asked_about(
        self, one: Process, other: Process, new: Any
    ) -> None:
        key, tags, later = new(), [new(), new()], Times(2.0, 3.0, 4.0)
        changes: list[Callable[[], Any]] = [
            lambda: other.fill(key, b"other", *tags),
            lambda: other.do(other.commands.extend(key, later, life=60.0)),
            lambda: other.fill(key, b"x", tags[0]),
            lambda: other.bump(tags[1]),
            lambda: other.fence(tags[0]),
            lambda: other.do(other.commands.remove(key)),
        ]
        for change in changes:
            for fence in _fences(one, tags[0]):
                other.lift(fence)
            one.fill(key, b"x", *tags)
            asking = _asking(one, key, tags)
            if asking is None:  # it is looked up again, then
                return
            assert one.do(asking()) is SAME
            assert one.do(asking()) is SAME
            change()
            found, looked = one.do(asking()), one.do(one.commands.read(key, tags))
            assert found is not SAME
            assert isinstance(found, Miss) is isinstance(looked, Miss)
            if not isinstance(found, Miss):
                assert bytes(found.payload) == bytes(looked.payload)
                assert found.times.born == looked.times.born

    def test_a_lost_tag_is_noticed(
        self, one: Process, other: Process, new: Any
    ) -> None:
        key, tag = new(), new()
        one.fill(key, b"x", tag)
        asking = _asking(one, key, [tag])
        if asking is not None and self.lose_tag(other, tag):
            assert isinstance(one.do(asking()), Miss)

    def test_one_process_has_a_load(
        self, one: Process, other: Process, new: Any
    ) -> None:
        key, tag = new(), new()
        assert _claim(one, key, tag, b"mine").holder == b"mine"
        assert _claim(one, key, tag, b"mine").holder == b"mine"
        for _ in range(2):
            claim = _claim(other, key, tag, b"theirs")
            assert claim.holder == b"mine"
            assert isinstance(claim.found, Miss)
        assert other.do(other.commands.release(key, b"theirs")) is False
        one.fill(key, b"x", tag)
        assert bytes(_claim(other, key, tag, b"theirs").found.payload) == b"x"
        assert one.do(one.commands.release(key, b"mine")) is True
        assert one.do(one.commands.release(key, b"mine")) is False
        other.bump(tag)
        assert _claim(other, key, tag, b"theirs").holder == b"theirs"

    def test_a_claim_ends_with_its_lease(
        self, one: Process, start: Callable[..., Process], new: Any
    ) -> None:
        key, tag, dying = new(), new(), start(0.05)
        assert _claim(dying, key, tag, b"dying").holder == b"dying"
        wait_until(lambda: _claim(one, key, tag, b"next").holder == b"next")
        assert dying.do(dying.commands.release(key, b"dying")) is False
        assert _claim(dying, key, tag, b"dying").holder == b"next"


def _asking(process: Process, key: str, tags: list[str]) -> Callable[[], Any] | None:
    """
    Give what asks whether an entry stands as it was found now.
    """
    commands = process.commands
    own = commands.tags(tags)
    reading = commands.read(key, own)
    question = commands.question(reading, own, process.do(reading))
    return None if question is None else lambda: commands.again(question)


def _claim(process: Process, key: str, tag: str, token: bytes) -> Claim:
    commands = process.commands
    claim: Claim = process.do(commands.claim(key, commands.tags([tag]), token))
    return claim


def _fences(process: Process, tag: str) -> list[Any]:
    tags = process.commands.tags([tag])
    listed = process.stamp(tag).states[0].fences
    return [RaisedFence(tags, fence.token, fence.owner, b"") for fence in listed]
