"""
A pytest plugin for SQLAlchemy's own test-suite: our part in each run.

`YOKEDCACHE_CONFORMANCE_MODE` chooses what is done to every `Session`: `replay`
(see `replaying`) or `on` (see `serving`). What was counted is left in the folder
that `YOKEDCACHE_CONFORMANCE_COUNTS` names, one file a process.

SQLAlchemy's testing plugin has to load before SQLAlchemy does, so everything of
it is imported when first used. The suite takes all listeners off after some
tests, so whoever needs any puts them on before each.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping


class Mode(Protocol):
    """
    What is done to `Session` during a run.
    """

    def begin_run(self) -> None:
        """
        Begin: the tests have been collected, SQLAlchemy is there.
        """

    def begin_test(self) -> None:
        """
        Get ready for one test, before its fixtures.
        """

    def complaints(self) -> list[str]:
        """
        Give what the test just run is to fail for, though it went through.
        """

    def end_run(self) -> Mapping[str, int]:
        """
        End, and give what was counted.
        """


_running: list[Mode] = []


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: Any) -> None:
    """
    Choose the mode now that SQLAlchemy and its testing plugin are in place.
    """
    if not session.items:
        return
    if os.environ["YOKEDCACHE_CONFORMANCE_MODE"] == "on":
        from serving import Serving  # noqa: PLC0415

        _running.append(Serving())
    else:
        from replaying import Replaying  # noqa: PLC0415

        _running.append(Replaying())
    _let_faults_out()
    _running[0].begin_run()


def _let_faults_out() -> None:
    """
    Let a fault of the library fail the test, where an application would get rows.
    """
    from yokedcache.runtime import log  # noqa: PLC0415

    log.raise_faults = True


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: Any) -> None:  # noqa: ARG001
    """
    Get ready before the fixtures of a test, which use sessions, too.
    """
    _running[0].begin_test()


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: Any) -> Any:  # noqa: ARG001
    """
    Fail a test at its end for what didn't stop it.
    """
    answer = yield
    complaints = _running[0].complaints()
    assert not complaints, complaints[0]
    return answer


def pytest_sessionfinish(session: Any) -> None:  # noqa: ARG001
    """
    Leave the counts where the runner adds them up.
    """
    folder = os.environ.get("YOKEDCACHE_CONFORMANCE_COUNTS")
    counts = _running[0].end_run() if _running else {}
    if folder and counts:
        path = Path(folder, f"counts-{os.getpid()}.json")
        path.write_text(json.dumps(dict(counts)), encoding="utf-8")
