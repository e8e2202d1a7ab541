"""
What the seam in the session and an answerer say to each other.

For every statement that could be answered the seam makes a `StatementCall`,
asks an `Answerer`, and carries out the plan it gets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy.engine import Connection, Engine
    from sqlalchemy.orm import Session
    from sqlalchemy.sql.base import Executable

    from yokedcache.core.flights import Flight
    from yokedcache.sqlalchemy.answers.offline import Options, Prepared
    from yokedcache.sqlalchemy.answers.playing import Kept
    from yokedcache.sqlalchemy.answers.rows import Recording


class StatementCall:
    """
    One execution of a statement that may be answered, with all that is known of it.
    """

    __slots__ = (
        "bind", "connected", "engine", "execution_options", "get_connection",
        "is_text", "options", "parameters", "prepared", "session", "statement",
    )  # fmt: skip

    session: Session
    bind: Engine | Connection
    """What the session's `get_bind` gave: an engine, or the connection it is bound to."""
    engine: Engine
    statement: Executable
    is_text: bool
    """Whether the SQL was written by hand."""
    parameters: Any
    execution_options: Mapping[str, Any]
    """Those of the call, as the session handed them to the connection."""
    options: Options
    """Those of the statement, the connection and the call, merged."""
    connected: Connection | None
    """The real connection, if the session has one for this bind already."""
    get_connection: Callable[[], Connection]
    """Get the real connection, the way the session does."""
    prepared: Prepared
    """SQL and parameters as sent to the driver; set once `refuse` let the call pass."""


class Hit:
    """
    A plan: the rows are at hand, play them.
    """

    __slots__ = ("kept", "learn", "recording")

    def __init__(
        self,
        recording: Recording,
        kept: Kept | None = None,
        learn: Callable[[StatementCall], None] | None = None,
    ) -> None:
        self.recording = recording
        self.kept = kept
        self.learn = learn


class Bypass:
    """
    A plan: run the statement on the database and keep nothing.
    """

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason


class Miss(Protocol):
    """
    A plan: run the statement on the database, and report what came back.
    """

    max_rows: int
    max_bytes: int

    @property
    def flight(self) -> Flight | None:
        """
        The flight that is led while the statement runs.
        """

    def join(self) -> Hit | None:
        """
        Wait for another's execution of the same statement, if that is right.
        """

    def ahead(self, size: int) -> int:
        """
        Say how many rows to fetch at a time without waiting for the caller: `size` or 0.
        """

    def resume(self) -> None:
        """
        Learn that the caller fetches all remaining rows now.
        """

    def before_read(self, connection: Connection) -> None:
        """
        Take the versions, now that nothing was read yet.
        """

    def complete(self, recording: Recording, sql: str, parameters: Any) -> None:
        """
        Take the rows, and the SQL and parameters that the cursor was really sent.
        """

    def abandon(self, reason: str) -> None:
        """
        Learn that there will be no recording.
        """


class Answerer(Protocol):
    """
    What decides for each statement: serve, fetch and keep, or leave alone.
    """

    def refuse(self, call: StatementCall) -> str | None:
        """
        Name the reason not to look the call up, or None; `prepared` isn't set yet.
        """

    def begin(self, call: StatementCall) -> Hit | Miss | Bypass:
        """
        Decide on a call that nothing speaks against.
        """

    def bypassed(self, call: StatementCall, reason: str) -> None:
        """
        Learn that a call went to the database without being looked up.
        """
