"""
What a run came to, and whether it may differ from the plain one.
"""

from __future__ import annotations

import collections
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterable

COUNTED = "only what was sent differs:"
"""How the message of a test begins that passes but for what was sent."""

COUNTS = "counts statements"
"""The reason in the list that allows nothing but such a message."""

LEFT = ("bypass: ", "not stored: ")
"""How counts of statements begin that the database answered."""

ALLOWED = Path(__file__).with_name("allowed-on.txt")
_SUFFIX = re.compile(r"_(sqlite|postgresql)\+\w+?(_\d+)+$")
"""What the suite appends to a class that it makes for one database."""


@dataclass
class Outcome:
    """
    What one run of the suite came to, test by test.
    """

    passed: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)
    counts: collections.Counter[str] = field(default_factory=collections.Counter)

    @property
    def total(self) -> int:
        return len(self.passed) + len(self.failed) + len(self.skipped)

    @property
    def answered(self) -> float:
        """
        The share of reads that we answered, of those that we saw.
        """
        told = self.counts["answered"]
        left = sum(n for what, n in self.counts.items() if what.startswith(LEFT))
        return told / (told + left) if told else 0.0

    @classmethod
    def read(cls, report: Path) -> Outcome:
        found = cls()
        for case in ET.parse(report).getroot().iter("testcase"):  # our own child's file
            place = _SUFFIX.sub("", case.get("classname") or "")
            name = f"{place}::{case.get('name')}"
            bad = [child for child in case if child.tag in {"failure", "error"}]
            if bad:
                found.failed[name] = (bad[0].get("message") or "").split("\n")[0]
            elif case.find("skipped") is not None:
                found.skipped.add(name)
            else:
                found.passed.add(name)
        found.passed -= found.failed.keys()  # its teardown failed
        return found


@dataclass
class Difference:
    """
    What a run with us has that the plain one hasn't.
    """

    failed: dict[str, str]
    """Tests that fail only with us, and how."""
    lost: set[str]
    """Tests that pass plainly and weren't run with us."""
    allowed: dict[str, str]
    """Those of `failed` that may, and why."""
    stale: set[str]
    """Entries of the list that no test needs."""

    @property
    def new(self) -> dict[str, str]:
        return {n: why for n, why in self.failed.items() if n not in self.allowed}

    @property
    def good(self) -> bool:
        return not (self.new or self.lost or self.stale)


def compare(
    plain: Outcome, ours: Outcome, entries: dict[str, str], *, whole: bool
) -> Difference:
    """
    Compare two runs; `entries` are the tests that may differ, with the reasons.

    An entry is stale if what it names passes, or, in a whole run, isn't there.
    """
    failed = {n: why for n, why in ours.failed.items() if n not in plain.failed}
    lost = plain.passed - ours.passed - ours.failed.keys()
    allowed = {
        name: entries[key]
        for name, why in failed.items()
        if (key := _entry(name, entries)) and (entries[key] != COUNTS or COUNTED in why)
    }
    used = {_entry(name, entries) for name in allowed}
    known = entries.keys() if whole else {_entry(n, entries) for n in ours.passed}
    return Difference(failed, lost, allowed, {e for e in known if e} - used)


def _entry(test: str, entries: Iterable[str]) -> str | None:
    """
    Name the entry for a test: its own, or that of all its parameters.
    """
    for name in (test, test.partition("[")[0]):
        if name in entries:
            return name
    return None


def allowed(version: str, database: str, file: Path = ALLOWED) -> dict[str, str]:
    """
    Read the tests that may differ for a version of SQLAlchemy and a database.

    A line `[2.1 sqlite]` says for what the following ones hold; `*` is any.
    """
    entries: dict[str, str] = {}
    applies = True
    for number, raw in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        line = raw.strip()
        if line.startswith("["):
            series, dialect = line.strip("[]").split()
            applies = series in {"*", version.rpartition(".")[0]} and (
                dialect in {"*", database.partition("+")[0]}
            )
        elif line and not line.startswith("#"):
            name, _, reason = line.partition("  # ")
            if not reason.strip():
                msg = f"{file}:{number}: no reason is given for {name}"
                raise ValueError(msg)
            if applies:
                entries[name.strip()] = reason.strip()
    return entries
