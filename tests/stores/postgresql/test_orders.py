"""
Transactions in every order that matters: each is held open where the test says.
"""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.services.processes import wait_until
from tests.support.postgres_held import Held
from tests.support.postgres_stores import NIGHT, SCHEMA
from yokedcache.errors import StoreError
from yokedcache.stores.postgresql.layout import numbers
from yokedcache.stores.versions import is_next, not_after
from yokedcache.testing.stores.processes import TIMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.postgres_stores import Store
    from yokedcache.testing.stores import Process

SHORT = 0.1
"""Seconds for who is to wait in vain."""


def in_vain(process: Process, operation: Any) -> None:
    with pytest.raises(StoreError, match="in time"):
        process.do(operation, SHORT)


def counter(process: Process) -> bytes:
    noted = process.do(process.commands.note())
    assert isinstance(noted, bytes)
    return noted


def test_drawn_early_and_committed_late(store: Store, one: Process) -> None:
    assert one.fill("k", b"old", "t") is None
    before = counter(one)
    late = Held(store, one.commands.bump(["t"]))
    # the number is drawn, and noted, and nobody sees it on the tag
    note = counter(one)
    assert is_next(late.result, before)
    assert not_after(late.result, note)
    assert one.stamp("t").vector.not_after(before)
    assert one.read("k", "t") == b"old"
    # nobody draws until it is seen: what is changed later has a larger number
    in_vain(one, one.commands.bump(["t"]))
    in_vain(one, one.commands.bump(["u"]))
    assert counter(one) == note
    late.commit()
    assert one.read("k", "t") == "changed"
    assert one.stamp("t").vector.versions == [late.result]
    later = one.bump("t")
    assert not not_after(later, note)
    assert not one.stamp("t").vector.not_after(note)


def test_a_writer_between_a_note_and_a_stamp_is_never_before_the_note(
    store: Store, one: Process
) -> None:
    # whoever holds the lock while it is noted, and a writer who comes after
    assert one.fill("k", b"old", "t") is None
    for held in (
        one.commands.bump(["other"]),
        one.commands.fence(["other"], b"held"),
        one.commands.stamp(["another"]),
    ):
        late = Held(store, held)
        note = counter(one)
        late.commit()
        fence = one.fence("t")
        assert one.lift(fence) == 0
        assert not one.stamp("t").vector.not_after(note)


def test_a_stamp_notes_before_its_versions(store: Store, one: Process) -> None:
    one.stamp("t")
    late = Held(store, one.commands.bump(["t"]))
    stamp = one.stamp("t")
    late.commit()
    # t had its older version, and is known to have had none newer than the counter
    assert stamp.vector.not_after(stamp.counter or b"")
    assert stamp.vector != one.stamp("t").vector


def test_a_look_up_sees_all_of_a_change_or_nothing(store: Store, one: Process) -> None:
    for key, tag in (("k", "t"), ("l", "u")):
        assert one.fill(key, b"x", tag) is None
    late = Held(store, one.commands.fence(["t", "u"], b"late"))
    assert one.read("k", "t") == one.read("l", "u") == b"x"
    late.commit()
    assert one.read("k", "t") == one.read("l", "u") == "commit_in_flight"
    lifted = Held(store, one.commands.lift(late.result))
    assert one.read("k", "t") == one.read("l", "u") == "commit_in_flight"
    lifted.commit()
    assert one.read("k", "t") == one.read("l", "u") == "changed"


def test_an_entry_that_a_change_overtakes_is_never_served(
    store: Store, one: Process
) -> None:
    stamp = one.stamp("t")
    # so short that it needs no tag to live longer: nobody waits for it
    late = Held(store, one.commands.store("k", b"old", stamp, TIMES, life=9.0))
    assert late.result is None
    one.bump("t")
    late.commit()
    assert one.read("k", "t") == "changed"


def test_a_tag_that_has_ended_is_bumped_while_an_entry_makes_it_live_longer(
    store: Store, one: Process
) -> None:
    (number,) = numbers(one.commands.tags(["t"]).digests)
    stamp = one.stamp("t")
    storing = one.commands.store("k", b"old", stamp, TIMES, life=600.0)
    end = f"UPDATE {SCHEMA}.tags SET ends = 0 WHERE digest = {number}"
    # first the entry: whoever bumps waits for it
    late = Held(store, storing)
    in_vain(one, one.commands.bump(["t"]))
    late.commit()
    assert one.read("k", "t") == b"old"
    store.say(end)
    one.bump("t")
    # what was looked at before it ended is made to live longer after the bump
    store.say(f"SELECT {SCHEMA}.keep(ARRAY[{number}], 1::bigint << 60, 0)")
    assert one.read("k", "t") == "changed"


def test_an_entry_keeps_its_tags_while_a_change_waits_for_them(
    store: Store, one: Process
) -> None:
    stamp = one.stamp("a", "b", "c")
    late = Held(store, one.commands.store("k", b"x", stamp, TIMES, life=6000.0))
    # stores and changes lock tags in one order, so nobody waits in a circle
    for tags in (["c", "a"], ["b"], ["a", "b", "c"]):
        in_vain(one, one.commands.bump(tags))
        in_vain(one, one.commands.store("l", b"x", stamp, TIMES, life=9000.0))
    late.commit()
    assert one.read("k", "a", "b", "c") == b"x"


def test_an_entry_writes_no_tag_that_it_has_not_locked(
    store: Store, one: Process
) -> None:
    # `b` is fenced when tags are locked, and needs no time; once it is lifted it would
    stamp = one.stamp("a", "b", "c")
    at = {n: numbers(one.commands.tags([n]).digests)[0] for n in "abc"}
    first = min(at, key=lambda name: at[name])
    other = max(at, key=lambda name: at[name])
    waiting = Held(
        store, one.commands.store("k", b"x", one.stamp(first), TIMES, life=99.0)
    )
    fence = one.fence(other)
    with store.connect() as connection:
        keeping = (
            f"SELECT {SCHEMA}.keep(ARRAY{sorted(at.values())}, 1::bigint << 61, 0)"
        )
        thread = threading.Thread(target=connection.execute, args=(keeping,))
        thread.start()
        wait_until(lambda: store.waiting() > 0)
        assert one.lift(fence) == 0
        waiting.commit()
        thread.join()
    kept = (
        f"SELECT digest FROM {SCHEMA}.tags WHERE ends = 1::bigint << 61 ORDER BY digest"
    )
    rest = sorted(number for name, number in at.items() if name != other)
    assert store.say(kept) == [(number,) for number in rest]
    assert one.put("k", b"old", stamp) == "changed_meanwhile"


def test_who_waits_for_a_claim_has_locked_no_other(store: Store, one: Process) -> None:
    tags = one.commands.tags([])
    store.say(
        f"INSERT INTO {SCHEMA}.claims SELECT n::bigint << 57, 0, 'dead'"
        " FROM generate_series(-20, 20) n"
    )
    left = f"SELECT id FROM {SCHEMA}.claims WHERE ends = 0 FOR UPDATE SKIP LOCKED"
    first = Held(store, one.commands.claim("k", tags, b"first"))
    free = len(store.say(left))
    second = one.commands.claim("k", tags, b"second")
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(store.open().do(second)))
    thread.start()
    wait_until(lambda: store.waiting() > 0)
    assert len(store.say(left)) == free
    first.commit()
    thread.join()
    assert found[0].holder == b"first"


def test_a_first_change_waits_for_who_begins_the_incarnation(store: Store) -> None:
    process = store.open()
    assert counter_or_none(process) is None
    late = Held(store, process.commands.bump([]))
    in_vain(process, process.commands.bump([]))
    assert counter_or_none(process) is None
    late.commit()
    assert counter_or_none(process) == late.result
    assert process.bump().partition(b".")[0] == late.result.partition(b".")[0]
    process.close()


def counter_or_none(process: Process) -> bytes | None:
    noted: bytes | None = process.do(process.commands.note())
    return noted


ORDERS = sorted(set(itertools.permutations("aaabbbfff")))
A_SHARE = 10 if NIGHT else 40


class Row:
    """
    A row that each commit makes larger by one, and who is in the middle of committing.
    """

    def __init__(self, process: Process, name: str) -> None:
        self.process = process
        self.tag, self.key = f"tag{name}", f"key{name}"
        self.value = 0
        self.open = 0

    def writer(self) -> Iterator[None]:
        fence = self.process.fence(self.tag)
        self.open += 1
        yield
        self.value += 1
        yield
        assert self.process.lift(fence) == 0
        self.open -= 1
        yield

    def filler(self) -> Iterator[None]:
        stamp = self.process.stamp(self.tag)
        yield
        read = self.value
        yield
        self.process.put(self.key, b"%d" % read, stamp)
        yield

    def judge(self) -> None:
        found = self.process.read(self.key, self.tag)
        assert isinstance(found, str) or found == b"%d" % self.value
        assert isinstance(found, str) or not self.open


def test_two_writers_and_a_filler(one: Process, face: str) -> None:
    assert len(ORDERS) == 1680
    for order in ORDERS[sum(map(ord, face)) % A_SHARE :: A_SHARE]:
        row = Row(one, "".join(order))
        assert one.fill(row.key, b"0", row.tag) is None
        actors = {"a": row.writer(), "b": row.writer(), "f": row.filler()}
        for actor in order:
            next(actors[actor])
            row.judge()
        assert one.fill(row.key, b"2", row.tag) is None
        row.judge()
