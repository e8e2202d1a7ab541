"""
Mode `replay`: every read is a replay of what was just recorded.

Each SELECT of every `Session` is executed, recorded, encoded to bytes, decoded
and then answered from the decoded rows through a context that was made without
a connection. Whatever the suite demands of results, loaders and sessions has
to hold all the same. What the codec refuses to turn into bytes is replayed
from the recording as it is, and counted by type.
"""

from __future__ import annotations

import collections
import re
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from yokedcache.codec.registry import dump, load
from yokedcache.errors import ValueNotStorableError
from yokedcache.sqlalchemy.answers.facade import Hit, keep_log_true, sent
from yokedcache.sqlalchemy.answers.fitness import reads
from yokedcache.sqlalchemy.answers.rows import Recording, record
from yokedcache.sqlalchemy.install import install

if TYPE_CHECKING:
    from yokedcache.sqlalchemy.answers.facade import StatementCall

_READS = re.compile(r"\s*(\(\s*)*SELECT\b", re.IGNORECASE)


def roundtrip(recording: Recording) -> Recording:
    """
    Encode a recording to bytes and decode it.
    """
    packed: Any = load(dump(recording.packed()))
    decoded = Recording.unpacked(packed)
    for name in ("description", "rows", "rowcount"):
        before, after = getattr(recording, name), getattr(decoded, name)
        if not _same(before, after):
            msg = f"{name} changed on their way: {before!r} -> {after!r}"
            raise AssertionError(msg)
    return decoded


def _same(this: Any, that: Any) -> bool:
    """
    Tell whether two values are equal and of the same types throughout.
    """
    if type(this) is not type(that):
        return False
    if isinstance(this, (tuple, list)):
        return len(this) == len(that) and all(map(_same, this, that))
    if isinstance(this, dict):
        return _same(list(this.items()), list(that.items()))
    return bool(this == that) or repr(this) == repr(that)  # NaN


class Replaying:
    """
    Execute each eligible statement at once, and answer it by a replay.
    """

    def __init__(self) -> None:
        self.counts: collections.Counter[str] = collections.Counter()
        self._seen = 0

    def begin_run(self) -> None:
        """
        Attach to all sessions, by no listener: the suite takes those off.
        """
        install(Session, self)
        self._count_asked()

    def begin_test(self) -> None:
        """
        Do nothing: no test leaves anything behind.
        """

    def complaints(self) -> list[str]:
        """
        Give nothing: whatever is wrong stops a test.
        """
        return []

    def end_run(self) -> collections.Counter[str]:
        """
        Give the number of statements by what became of them.
        """
        return self.counts

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
        self._seen += 1
        self.counts[f"bypass: {reason}"] += 1

    def begin(self, call: StatementCall) -> Hit:
        """
        Execute, record, send through bytes, and answer.
        """
        self._seen += 1
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
        self.counts["answered"] += 1
        return Hit(self._through_bytes(done[0]))

    def _through_bytes(self, recording: Recording) -> Recording:
        try:
            decoded = roundtrip(recording)
        except ValueNotStorableError as error:
            kind = error.facts.get("type", "mixed bytes")
            self.counts[f"replayed, but no bytes for {kind}"] += 1
            return recording
        self.counts["replayed"] += 1
        return decoded

    def _count_asked(self) -> None:
        """
        Count the reads that sessions are asked for, and those that never came to us.
        """
        plainly, counts = Session._execute_internal, self.counts

        def _execute_internal(
            session: Session, statement: Any, *args: Any, **kw: Any
        ) -> Any:
            if kw.get("_parent_execute_state") or not reads(statement):
                return plainly(session, statement, *args, **kw)
            counts["asked"] += 1
            seen, outcome = self._seen, "asked, but raised before"
            try:
                result = plainly(session, statement, *args, **kw)
                outcome = "asked, but not of us"
            finally:
                counts[outcome] += self._seen == seen
            return result

        Session._execute_internal = _execute_internal  # type: ignore[method-assign]

    def _abandoned(self, reason: str) -> None:
        msg = f"a recording was given up: {reason}"
        raise AssertionError(msg)

    def _compare(self, call: StatementCall, really: tuple[str, Any]) -> None:
        made = (call.prepared.sql, call.prepared.parameters)
        if made != really and repr(made) != repr(really):
            msg = f"prepared {made}, but the cursor was sent {really}"
            raise AssertionError(msg)
