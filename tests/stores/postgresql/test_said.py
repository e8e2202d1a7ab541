"""
What transactions of the same database say inside themselves, in every order that matters.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.services.processes import wait_until
from tests.stores.postgresql.test_orders import counter, in_vain
from tests.support.postgres_held import Held
from tests.support.postgres_stores import SCHEMA
from yokedcache.errors import UsageError
from yokedcache.stores.answers import Miss
from yokedcache.stores.postgresql.layout import numbers
from yokedcache.stores.versions import MARK, is_next, not_after
from yokedcache.testing.stores.processes import TIMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.postgres_stores import Store
    from yokedcache.testing.stores import Process

    Saying = Callable[..., psycopg.Connection[Any]]


def mark_of(process: Process) -> bytes:
    return counter(process)[:MARK]


@pytest.fixture
def saying(store: Store, one: Process) -> Iterator[Saying]:
    """
    Give a function that says tags in a transaction which it leaves open.
    """
    with contextlib.ExitStack() as stack:

        def said(*tags: str, begin: str = "BEGIN") -> psycopg.Connection[Any]:
            connection = stack.enter_context(contextlib.closing(store.connect()))
            connection.execute(begin)
            connection.execute(one.commands.say(tags, mark_of(one)).sql)
            return connection

        yield said


def test_it_is_seen_with_the_commit_and_no_sooner(
    store: Store, one: Process, saying: Saying
) -> None:
    for key, tag in (("k", "t"), ("l", "u")):
        assert one.fill(key, b"old", tag) is None
    before = counter(one)
    open_one = saying("t")
    assert one.read("k", "t") == b"old"
    open_one.execute("COMMIT")
    assert one.read("k", "t") == "changed"
    assert one.read("l", "u") == b"old"
    # nobody has drawn a number: the transaction only said it
    assert counter(one) == before
    assert one.stamp("t").vector.versions != [before]
    assert store.unfolded() == 0
    assert one.read("l", "u") == b"old"


def test_what_is_rolled_back_was_never_said(
    store: Store, one: Process, saying: Saying
) -> None:
    assert one.fill("k", b"old", "t") is None
    before = counter(one)
    saying("t").execute("ROLLBACK")
    assert one.read("k", "t") == b"old"
    assert one.stamp("t").vector.not_after(before)
    assert counter(one) == before
    assert store.unfolded() == 0


def test_a_stamp_that_is_older_than_the_commit_stores_nothing(
    store: Store, one: Process, saying: Saying
) -> None:
    stamp = one.stamp("t", "u")
    open_one = saying("t")
    assert one.put("early", b"old", stamp) is None
    open_one.execute("COMMIT")
    # what it read may be of before, or of after
    assert one.put("late", b"old", stamp) == "changed_meanwhile"
    assert one.read("early", "t", "u") == "changed"
    one.stamp("t")
    assert one.put("late", b"old", stamp) == "changed_meanwhile"
    assert one.read("early", "t", "u") == "changed"
    assert one.fill("late", b"new", "t", "u") is None
    assert one.read("late", "t", "u") == b"new"


def test_a_commit_that_overtakes_a_store_makes_its_entry_unservable(
    store: Store, one: Process, saying: Saying
) -> None:
    storing = one.commands.store("k", b"old", one.stamp("t"), TIMES, life=9.0)
    late = Held(store, storing)
    assert late.result is None
    saying("t").execute("COMMIT")
    late.commit()
    assert one.read("k", "t") == "changed"
    one.stamp("t")
    assert one.read("k", "t") == "changed"


def test_a_look_up_says_of_no_tag_what_is_over(one: Process, saying: Saying) -> None:
    assert one.fill("k", b"old", "t", "u") is None
    saying("t").execute("COMMIT")
    found = one.do(one.commands.read("k", ["t", "u"]))
    assert isinstance(found, Miss)
    versions = {
        found.stamp.tags.digest(place): state.version
        for place, state in enumerate(found.stamp.states)
    }
    assert versions[one.commands.tags(["t"]).digest(0)] is None
    assert versions[one.commands.tags(["u"]).digest(0)] is not None
    # nor does a question whether it still stands, a claim, or who makes it live longer
    assert one.do(one.commands.exists("k", ["t", "u"])) is False
    claim = one.do(one.commands.claim("k", one.commands.tags(["t", "u"]), b"me"))
    assert claim.holder == b"me"
    assert not one.do(one.commands.extend("k", TIMES, life=9.0, tags=["t", "u"]))


def test_two_who_fold_come_one_after_the_other(
    store: Store, one: Process, saying: Saying
) -> None:
    assert one.fill("k", b"old", "t") is None
    saying("t").execute("COMMIT")
    folding = Held(store, one.commands.stamp(["t"]))
    # until it is committed others see what it has taken: neither is there a moment
    # without it, nor can anybody take it again
    assert one.read("k", "t") == "changed"
    in_vain(one, one.commands.stamp(["t"]))
    in_vain(one, one.commands.fold())
    folding.commit()
    assert one.read("k", "t") == "changed"
    assert one.stamp("t").vector.versions == folding.result.vector.versions
    assert one.do(one.commands.fold()) == 0
    assert store.say(f"SELECT count(*) FROM {SCHEMA}.folds") == [(1,)]


def test_what_is_folded_and_undone_is_folded_again(
    store: Store, one: Process, saying: Saying
) -> None:
    assert one.fill("k", b"old", "t") is None
    saying("t").execute("COMMIT")
    undone = Held(store, one.commands.fold())
    assert undone.result == 1
    undone.connection.execute("ROLLBACK")
    assert one.read("k", "t") == "changed"
    assert one.do(one.commands.fold()) == 1
    assert one.read("k", "t") == "changed"


@pytest.mark.parametrize("begin", ["BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ"])
def test_transactions_that_were_open_when_others_were_folded(
    store: Store, one: Process, saying: Saying, begin: str
) -> None:
    for tag in ("early", "middle", "late", "other"):
        assert one.fill(f"key of {tag}", b"old", tag) is None
    early, middle = saying("early", begin=begin), saying("middle", begin=begin)
    saying("other").execute("COMMIT")
    assert one.do(one.commands.fold()) == 1
    late = saying("late", begin=begin)
    for tag, transaction in (("late", late), ("early", early), ("middle", middle)):
        assert one.read(f"key of {tag}", tag) == b"old"
        transaction.execute("COMMIT")
        assert one.read(f"key of {tag}", tag) == "changed"
    assert one.do(one.commands.fold()) == 3
    assert store.unfolded() == 0
    for tag in ("early", "middle", "late", "other"):
        assert one.read(f"key of {tag}", tag) == "changed"
        assert one.fill(f"key of {tag}", b"new", tag) is None
        assert one.read(f"key of {tag}", tag) == b"new"


def test_a_savepoint_that_is_undone_unsays_it(
    store: Store, one: Process, saying: Saying
) -> None:
    assert one.fill("k", b"old", "t") is None
    assert one.fill("l", b"old", "u") is None
    transaction = saying("t")
    transaction.execute("SAVEPOINT a")
    transaction.execute(one.commands.say(["u"], mark_of(one)).sql)
    transaction.execute("ROLLBACK TO a")
    transaction.execute("COMMIT")
    assert one.read("k", "t") == "changed"
    assert one.read("l", "u") == b"old"


def test_its_number_is_drawn_when_the_commit_is_visible(
    one: Process, saying: Saying
) -> None:
    one.stamp("t")
    transaction = saying("t")
    # rule 6: who noted before the commit finds a version above the note, ...
    early = counter(one)
    transaction.execute("COMMIT")
    between = counter(one)
    (version,) = one.stamp("t").vector.versions
    assert not not_after(version, early)
    assert not not_after(version, between)
    # ... who stamps after it one that isn't
    late = one.stamp("t")
    assert late.vector.not_after(late.counter or b"")


def test_a_tag_that_is_made_after_it_is_not_taken_for_unchanged(
    one: Process, saying: Saying
) -> None:
    # a load notes the counter, and turns out to depend on a tag that isn't there yet
    noted = one.stamp("other").counter or b""
    saying("t").execute("COMMIT")
    dated = one.stamp("t")
    (version,) = dated.vector.versions
    assert dated.made == {0}
    assert not not_after(version, noted)
    assert not is_next(version, noted)


def test_nobody_waits_for_whom_says_it(one: Process, saying: Saying) -> None:
    assert one.fill("k", b"old", "t", "u") is None
    first, second = saying("t", "u"), saying("u", "t")
    fence = one.fence("t", "u")
    third = saying("t")
    assert one.lift(fence) == 0
    one.bump("u")
    for transaction in (third, second, first):
        transaction.execute("COMMIT")
    assert one.fill("k", b"new", "t", "u") is None
    assert one.read("k", "t", "u") == b"new"


def test_who_folds_locks_tags_in_their_order(
    store: Store, one: Process, saying: Saying
) -> None:
    at = {n: numbers(one.commands.tags([n]).digests)[0] for n in "abc"}
    small, _, large = sorted(at, key=lambda name: at[name])
    one.stamp("a", "b", "c")
    saying(large).execute("COMMIT")
    late = Held(
        store, one.commands.store("k", b"x", one.stamp(small), TIMES, life=9999.0)
    )
    saying(large).execute("COMMIT")
    found: list[Any] = []
    stamping = one.commands.stamp([small])
    thread = threading.Thread(target=lambda: found.append(store.open().do(stamping)))
    thread.start()
    wait_until(lambda: store.waiting() > 0)
    # it waits for the small one, and so must not have the large one already
    free = f"SELECT digest FROM {SCHEMA}.tags WHERE digest = {at[large]} FOR UPDATE SKIP LOCKED"
    assert store.say(free) == [(at[large],)]
    late.commit()
    thread.join()
    assert found


def test_of_another_incarnation_nothing_is_said(
    store: Store, one: Process, saying: Saying
) -> None:
    old = saying("t")
    store.say(f"UPDATE {SCHEMA}.tags SET home = 'elsewhere' WHERE digest = -1")
    said = one.commands.say(["t"], mark_of_store(store))
    with pytest.raises(psycopg.Error) as raised:
        store.say(said.sql)
    assert raised.value.sqlstate == "YC003"
    # another server's rows would be of transactions that are still to come
    store.say(f"INSERT INTO {SCHEMA}.said VALUES ('999999999', '{{1}}')")
    store.say(f"INSERT INTO {SCHEMA}.folds VALUES (999999999, '999999999', '{{}}')")
    one.bump()
    assert mark_of(one).decode() != said.place.split()[1]
    assert store.unfolded() == 0
    store.settle(one)
    assert one.fill("k", b"x", "t") is None
    # who had said it before is heard by the new one
    old.execute("COMMIT")
    assert one.read("k", "t") == "changed"
    store.say(f"DELETE FROM {SCHEMA}.folds")  # nothing is taken for folded
    assert one.fill("k", b"x", "t") is None
    saying("t").execute("COMMIT")
    store.say(f"DELETE FROM {SCHEMA}.folds")
    assert one.read("k", "t") == "changed"
    assert one.fill("k", b"x", "t") is None


def mark_of_store(store: Store) -> bytes:
    query = f"SELECT left(version, 8) FROM {SCHEMA}.tags WHERE digest = -1"
    ((mark,),) = store.say(query)
    return str(mark).encode()


def test_a_role_that_may_do_nothing_else_may_say_it(
    store: Store, one: Process, face: str
) -> None:
    role = f"outsider_{face}"
    assert one.fill("k", b"old", "t") is None
    store.say(f"CREATE ROLE {role} LOGIN")
    try:
        with store.connect() as connection:
            connection.execute(f"SET ROLE {role}")
            connection.execute(one.commands.say(["t"], mark_of(one)).sql)
        assert one.read("k", "t") == "changed"
        with store.connect() as connection:
            connection.execute(f"SET ROLE {role}")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT * FROM {SCHEMA}.said")
    finally:
        store.say(f"DROP ROLE {role}")


def test_who_has_the_table_to_himself_is_not_waited_for_long(
    store: Store, one: Process, saying: Saying
) -> None:
    with store.connect() as hog:
        hog.execute("BEGIN")
        hog.execute(f"LOCK {SCHEMA}.said")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            saying("t")


@pytest.mark.parametrize("mark", [b"", b"too long now", b"'; DROP--"])
def test_only_a_mark_is_sent_as_one(one: Process, mark: bytes) -> None:
    with pytest.raises(UsageError):
        one.commands.say(["t"], mark)


def test_old_snapshots_make_look_ups_no_slower(
    store: Store, one: Process, saying: Saying
) -> None:
    """
    What was folded stays on the disk as long as somebody might see it.
    """
    assert one.fill("k", b"x", "t") is None
    saying("u").execute("COMMIT")
    said = one.commands.say(["u"], mark_of(one)).sql
    with store.connect() as old, store.connect() as looking:
        looking.execute(f"VACUUM ANALYZE {SCHEMA}.said, {SCHEMA}.folds")
        for asking in ASKING:  # planned for tables that are small
            assert blocks_read(looking, asking) > 0
        old.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        old.execute("SELECT FROM pg_class LIMIT 1")
        for _ in range(40):
            store.say(f"{said} FROM generate_series(1, 100)")
            assert one.do(one.commands.fold()) == 1
        # of more than thirty that are full of what was folded
        for asking in ASKING:
            blocks = [blocks_read(looking, asking) for _ in range(3)]
            assert blocks[-1] < 15
    assert one.read("k", "t") == b"x"


ASKING = ["unfolded()", "look(1, '', '{}', true, '1000')"]


def blocks_read(connection: psycopg.Connection[Any], asking: str) -> int:
    plan = connection.execute(
        f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT {SCHEMA}.{asking}"
    ).fetchall()
    return int(plan[0][0][0]["Plan"]["Shared Hit Blocks"])
