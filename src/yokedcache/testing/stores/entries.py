"""
What is kept, and what isn't any more: rule 1, and entries that end.
"""

from __future__ import annotations

import math
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from yokedcache.errors import StoreError, UsageError
from yokedcache.stores.answers import BORN, MOST_TAGS, Times
from yokedcache.stores.contract import Measuring
from yokedcache.testing.stores.basis import Basis
from yokedcache.testing.stores.processes import TIMES, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.testing.stores.processes import Process


class Entries(Basis):
    """
    Tests of entries.
    """

    # what is kept

    @pytest.mark.parametrize("size", [0, 1, 1000, 300_000])
    def test_what_one_stored_another_has(
        self, one: Process, other: Process, new: Any, size: int
    ) -> None:
        key, tag, payload = new(), new(), bytes(range(256)) * size
        assert other.read(key, tag) == "absent"
        assert one.fill(key, payload[:size], tag) is None
        assert other.read(key, tag) == one.read(key, tag) == payload[:size]

    def test_it_is_measured_without_being_sent(
        self, one: Process, other: Process, new: Any
    ) -> None:
        commands = one.commands
        if not isinstance(commands, Measuring):
            return
        key, tag, head = new(), new(), 1000
        assert one.do(commands.measure(key)) == 0
        for size in (0, 300_000):
            one.fill(key, b"x" * size, tag)
            assert size <= other.do(commands.measure(key)) < size + head

    def test_times_come_back(self, one: Process, other: Process, new: Any) -> None:
        key, times = new(), Times(1.7e9 + 0.25, 1.7e9 + 60, 1.7e9 + 90)
        one.do(one.commands.store(key, b"x", one.stamp(), times, life=60.0))
        found = other.do(other.commands.read(key)).times
        assert math.isclose(found.born, times.born, abs_tol=0.002)
        assert math.isclose(found.fresh_until, times.fresh_until, abs_tol=0.01)
        assert math.isclose(found.stale_until, times.stale_until, abs_tol=0.01)

    def test_it_may_be_asked_with_any_tags(
        self, one: Process, other: Process, new: Any
    ) -> None:
        key, tags, others = new(), [new(), new()], [new(), new()]
        one.fill(key, b"x", *tags)
        for asked in ([], tags[:1], tags, [*tags, *others], others):
            assert other.read(key, *asked) == b"x"
            vector = other.do(other.commands.read(key, asked)).vector
            assert vector == one.stamp(*tags).vector

    def test_keys_are_bytes_or_text_of_any_length(
        self, one: Process, other: Process, new: Any
    ) -> None:
        for key in (new() * 1000, f"{new()}\0 \n\udcff", new().encode() + b"\xff"):
            one.fill(key, b"x")
            assert other.read(key) == b"x"

    def test_an_entry_ends(self, one: Process, new: Any) -> None:
        key, tag = new(), new()
        one.do(one.commands.store(key, b"x", one.stamp(tag), TIMES, life=0.05))
        wait_until(lambda: one.read(key, tag) == "absent")

    def test_tags_live_as_long_as_what_carries_them(
        self, one: Process, start: Callable[..., Process], new: Any
    ) -> None:
        key, tag, probe, short = new(), new(), new(), start(0.1)
        assert short.put(key, b"x", short.stamp(tag, keep=0.1)) is None
        short.stamp(probe, keep=0.1)
        looking = one.commands.read(new(), [probe])
        wait_until(lambda: one.do(looking).stamp.states[0].lost)
        assert one.read(key, tag) == b"x"

    def test_an_entry_is_removed_once(
        self, one: Process, other: Process, new: Any
    ) -> None:
        key, tag = new(), new()
        one.fill(key, b"x", tag)
        assert other.do(other.commands.exists(key, [tag])) is True
        assert other.do(other.commands.remove(key, [tag])) is True
        assert one.do(one.commands.remove(key, [tag])) is False
        assert one.do(one.commands.exists(key, [tag])) is False

    def test_only_an_entry_that_holds_lives_longer(
        self, one: Process, other: Process, new: Any
    ) -> None:
        key, tag, later = new(), new(), Times(2.0, 3.0, 4.0)
        extending = other.commands.extend(key, later, life=60.0, tags=[tag])
        assert other.do(extending) is False
        one.fill(key, b"x", tag)
        assert other.do(other.commands.extend(key, later, life=60.0)) is True
        assert one.do(one.commands.read(key, [tag])).times.born == 2.0
        one.bump(tag)
        assert other.do(other.commands.extend(key, later, life=60.0)) is False

    # rule 1: the version before the read

    def test_what_changed_since_the_stamp_is_not_stored(
        self, one: Process, other: Process, new: Any
    ) -> None:
        key, tags = new(), [new(), new()]
        stamp = one.stamp(*tags)
        other.bump(tags[0])
        assert one.put(key, b"old", stamp) == "changed_meanwhile"
        assert one.read(key, *tags) == "absent"
        assert one.fill(key, b"new", *tags) is None

    def test_a_bump_ends_all_that_depends_on_the_tag(
        self, one: Process, other: Process, new: Any
    ) -> None:
        keys, tags = [new() for _ in range(5)], [new(), new()]
        for key in keys:
            one.fill(key, b"x", *tags)
        stays = new()
        one.fill(stays, b"x", tags[1])
        other.bump(tags[0])
        assert {one.read(key, *tags) for key in keys} == {"changed"}
        assert one.read(stays) == b"x"

    # what can't be meant, and many at once

    def test_what_can_not_be_meant_is_said_before_it_is_sent(
        self, one: Process, new: Any
    ) -> None:
        commands = one.commands
        with pytest.raises(UsageError):
            commands.tags([str(n) for n in range(MOST_TAGS + 1)])
        for token in (b"", BORN, b"a,b", b"a;b"):
            with pytest.raises(UsageError):
                commands.fence([new()], token)
        for life in (0.0, -1.0, math.nan):
            with pytest.raises(UsageError):
                commands.store(new(), b"x", one.stamp(), TIMES, life=life)

    def test_as_many_tags_as_one_call_takes(
        self, one: Process, other: Process, new: Any
    ) -> None:
        key, tags = new(), [new() for _ in range(MOST_TAGS)]
        assert one.fill(key, b"x", *tags) is None
        assert other.read(key, *tags) == other.read(key) == b"x"
        fence = one.fence(*tags)
        assert other.read(key, *tags) == "commit_in_flight"
        assert one.lift(fence) == 0

    def test_a_limit_that_is_over_is_an_error_in_time(
        self, one: Process, new: Any
    ) -> None:
        # whichever comes first; a store that answers at once may
        began = time.monotonic()
        with suppress(StoreError):
            one.do(one.commands.stamp([new()]), 1e-9)
        assert time.monotonic() - began < 10

    def test_many_threads_change_and_read_one_tag(
        self, one: Process, other: Process, face: str, new: Any
    ) -> None:
        if face == "async":  # a loop is one thread: see the histories
            return
        tag, key, wrong = new(), new(), []
        committed = 0

        def write(process: Process) -> None:
            nonlocal committed
            for _ in range(20):
                with lock:
                    fence = process.fence(tag)
                    committed += 1
                    process.lift(fence)

        def read(process: Process) -> None:
            for _ in range(40):
                least = committed
                found = process.read(key, tag)
                if isinstance(found, bytes) and int(found) < least:
                    wrong.append((found, least))
                if isinstance(found, str):
                    stamp = process.stamp(tag)
                    process.put(key, b"%d" % committed, stamp)

        lock = threading.Lock()
        threads = [
            threading.Thread(target=target, args=(process,))
            for target in (write, read, read)
            for process in (one, other)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
