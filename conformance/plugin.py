"""
A pytest plugin for SQLAlchemy's own test-suite: every read is a replay.

Each SELECT of every `Session` is executed, recorded, encoded to bytes, decoded
and then answered from the decoded rows through a context that was made without
a connection. Whatever the suite demands of results, loaders and sessions has
to hold all the same.

SQLAlchemy's testing plugin has to load before SQLAlchemy does, so everything of
it is imported when first used. The suite takes all listeners off after each test, so nothing here relies on
any: `Session` is patched once, when the tests have been collected.
"""

from __future__ import annotations

import collections
import json
import os
import pickle
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from yokedcache.sqlalchemy.facade import StatementCall
    from yokedcache.sqlalchemy.rows import Recording

_READS = re.compile(r"\s*(\(\s*)*SELECT\b", re.IGNORECASE)


def roundtrip(recording: Recording) -> Recording:
    """
    Encode a recording to bytes and decode it.
    """
    from yokedcache.sqlalchemy.rows import Recording  # noqa: PLC0415

    encoded = pickle.dumps(recording.packed(), protocol=5)
    decoded = Recording.unpacked(pickle.loads(encoded))
    if decoded != recording:
        msg = f"a recording changed on its way: {recording} -> {decoded}"
        raise AssertionError(msg)
    return decoded


class ReplayAll:
    """
    Execute each eligible statement at once, and answer it by a replay.
    """

    def __init__(self) -> None:
        self.counts: collections.Counter[str] = collections.Counter()

    def refuse(self, call: StatementCall) -> str | None:
        """
        Let everything pass but hand-written SQL that doesn't begin as a read.
        """
        if call.is_text and not _READS.match(str(call.statement)):
            return "text"
        return None

    def bypassed(self, call: StatementCall, reason: str) -> None:  # noqa: ARG002
        """
        Count the reason.
        """
        self.counts[reason] += 1

    def begin(self, call: StatementCall) -> Any:
        """
        Execute, record, send through bytes, and answer.
        """
        from yokedcache.sqlalchemy.facade import (  # noqa: PLC0415
            Hit,
            keep_log_true,
            sent,
        )
        from yokedcache.sqlalchemy.rows import record  # noqa: PLC0415

        keep_log_true(call)
        result = call.get_connection().execute(
            call.statement, call.parameters, execution_options=call.execution_options
        )
        self._compare(call, sent(result))
        done: list[Recording] = []
        record(
            result,
            on_complete=done.append,
            on_abandon=self._abandoned,
            max_rows=10**9,
            max_bytes=10**12,
        )
        result._fetchall_impl()
        self.counts["replayed"] += 1
        return Hit(roundtrip(done[0]))

    def _abandoned(self, reason: str) -> None:
        msg = f"a recording was given up: {reason}"
        raise AssertionError(msg)

    def _compare(self, call: StatementCall, really: tuple[str, Any]) -> None:
        made = (call.prepared.sql, call.prepared.parameters)
        if made != really and repr(made) != repr(really):
            self.counts["differs"] += 1
            msg = f"prepared {made}, but the cursor was sent {really}"
            raise AssertionError(msg)


answerer = ReplayAll()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: Any) -> None:  # noqa: ARG001
    """
    Attach to `Session` when SQLAlchemy and its testing plugin are in place.
    """
    from sqlalchemy.orm import Session  # noqa: PLC0415

    from yokedcache.sqlalchemy.install import install  # noqa: PLC0415

    install(Session, answerer)


def pytest_sessionfinish(session: Any) -> None:  # noqa: ARG001
    """
    Leave the counts where the runner adds them up.
    """
    folder = os.environ.get("YOKEDCACHE_CONFORMANCE_COUNTS")
    if folder and answerer.counts:
        path = Path(folder, f"counts-{os.getpid()}.json")
        path.write_text(json.dumps(answerer.counts), encoding="utf-8")
