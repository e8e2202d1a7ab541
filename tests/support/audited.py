"""
`make audited`: the suite, with each hit of every cache asked of the database again.

Audited hits are statements, so a test that counts statements fails where it otherwise
passes. Only alarms matter here: a test in which an answer differed from the database's
is a failure, any other one that doesn't pass counts as expected.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from yokedcache.sqlalchemy.answers.audit import Audit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yokedcache.core.entry import Entry
    from yokedcache.sqlalchemy.answers.recordings import Recording

URL = "memory://?verify=1.0"
CHECKED, ALARM = "audited", "alarm"

_found: list[tuple[str, object]] = []
"""What the running test's caches have found."""


def pytest_configure(config: pytest.Config) -> None:
    """
    Have every cache audited whose test says nothing else.
    """
    os.environ["YOKEDCACHE_URL"] = URL
    compare = Audit.compare

    def noted(audit: Audit, sql: str, entry: Entry, *both: Recording) -> None:
        before = audit.differences[sql]
        compare(audit, sql, entry, *both)
        _found.append((CHECKED, 1))
        if audit.differences[sql] > before:
            _found.append((ALARM, sql))

    Audit.compare = noted  # type: ignore[method-assign]
    config.pluginmanager.register(Totals(), "audited-totals")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
    call: pytest.CallInfo[None],
) -> Iterator[Any]:
    """
    Judge a test by its alarms alone.
    """
    report: pytest.TestReport = yield
    found, _found[:] = list(_found), []
    alarms = [str(what) for kind, what in found if kind == ALARM]
    report.user_properties += [
        (CHECKED, len(found) - len(alarms)),
        *((ALARM, sql) for sql in alarms),
    ]
    if alarms:
        report.outcome = "failed"
        report.longrepr = "\n".join(["these answers differed:", *alarms])
    elif report.failed:  # fixtures count statements, too
        report.outcome = "skipped"
        report.wasxfail = "an audited hit is a statement"  # type: ignore[attr-defined]
    return report


class Totals:
    """
    What all tests found, gathered where their reports come together.
    """

    def __init__(self) -> None:
        self.checked = 0
        self.alarms = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """
        Add those of one phase of a test.
        """
        found = report.user_properties
        self.checked += sum(n for kind, n in found if kind == CHECKED)  # type: ignore[misc]
        self.alarms += sum(kind == ALARM for kind, _ in found)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """
        Fail if nothing was audited.
        """
        if not hasattr(session.config, "workerinput") and not self.checked:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """
        Say it.
        """
        terminalreporter.write_line(
            f"{self.checked:,} hits asked of the database again, {self.alarms} alarms"
        )
