"""
What a run of SQLAlchemy's suite may differ in, and that the list is held to both ways.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from outcomes import ALLOWED, COUNTED, COUNTS, Outcome, allowed, compare

if TYPE_CHECKING:
    from pathlib import Path

OWN = "reads the engine's log"


def outcome(*passed: str, **failed: str) -> Outcome:
    return Outcome(passed=set(passed), failed=failed)


def test_a_test_that_fails_plainly_too_is_no_difference() -> None:
    difference = compare(outcome(a="x"), outcome(a="y"), {}, whole=True)

    assert difference.good
    assert not difference.failed


def test_a_new_failure_is_one_whatever_else_is_allowed() -> None:
    difference = compare(
        outcome("a", "b"), outcome(a="x", b="y"), {"a": OWN}, whole=True
    )

    assert difference.new == {"b": "y"}
    assert not difference.good


def test_a_test_that_vanished_is_told() -> None:
    difference = compare(outcome("a", "b"), outcome("a"), {}, whole=True)

    assert difference.lost == {"b"}
    assert not difference.good


def test_counting_statements_allows_nothing_but_what_was_sent() -> None:
    entries = {"a": COUNTS}
    sent = compare(outcome("a"), outcome(a=f"{COUNTED} 3 != 2"), entries, whole=True)
    wrong = compare(outcome("a"), outcome(a="assert 1 == 2"), entries, whole=True)

    assert sent.good
    assert wrong.new == {"a": "assert 1 == 2"}
    assert not wrong.good


def test_an_entry_that_is_not_needed_is_stale() -> None:
    passes = compare(outcome("a"), outcome("a"), {"a": OWN}, whole=True)
    gone = compare(outcome("a"), outcome("a"), {"b": OWN}, whole=True)
    not_asked_for = compare(outcome("a"), outcome("a"), {"b": OWN}, whole=False)

    assert passes.stale == {"a"}
    assert gone.stale == {"b"}
    assert not passes.good
    assert not gone.good
    assert not_asked_for.good


def test_an_entry_without_parameters_stands_for_all_of_its_test() -> None:
    ours = Outcome(passed={"a[1]"}, failed={"a[2]": "x"})
    difference = compare(outcome("a[1]", "a[2]"), ours, {"a": OWN}, whole=True)

    assert difference.good


def test_the_list_is_read_for_one_series_and_database(tmp_path: Path) -> None:
    file = tmp_path / "allowed.txt"
    file.write_text(
        "# said\n[* *]\na  # one\n[2.0 *]\nb  # two\n[2.1 postgresql]\nc[x # y]  # three\n"
    )

    assert allowed("2.1.9", "sqlite", file) == {"a": "one"}
    assert allowed("2.0.58", "sqlite", file) == {"a": "one", "b": "two"}
    assert allowed("2.1.9", "postgresql+psycopg", file) == {
        "a": "one",
        "c[x # y]": "three",
    }


def test_an_entry_without_a_reason_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "allowed.txt"
    file.write_text("[* *]\na\n")

    with pytest.raises(ValueError, match="no reason"):
        allowed("2.1.9", "sqlite", file)


def test_every_entry_of_the_list_is_about_statements() -> None:
    entries: dict[str, str] = {}
    for version in ("2.0.58", "2.1.9"):
        for database in ("sqlite", "postgresql+psycopg"):
            entries |= allowed(version, database, ALLOWED)

    assert entries
    assert all(name.startswith("test.orm.") and "::" in name for name in entries)


def test_the_share_counts_what_the_database_answered_against_us() -> None:
    ours = outcome("a")
    ours.counts.update(
        {"answered": 6, "bypass: text": 1, "not stored: dirty": 3, "hits": 9}
    )

    assert ours.answered == 0.6


def test_without_a_count_nothing_was_answered() -> None:
    assert outcome("a").answered == 0.0
