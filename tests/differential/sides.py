"""
One of the two runs of a program, over a database of its own.

What a program can see (results, errors, the writes that were sent, the states of
sessions and of what they hold) goes into a trace.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, inspect
from sqlalchemy.exc import CircularDependencyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_NO_WRITES = re.compile(
    r"\s*(SELECT|WITH|PRAGMA|SHOW|SAVEPOINT|RELEASE|ROLLBACK)\b", re.IGNORECASE
)
"""What a hit doesn't send: reads, and savepoints of connections never asked for."""


class Writes:
    """
    What an engine sends that isn't a read.
    """

    def __init__(self, engine: Engine) -> None:
        self.sent: list[Any] = []
        event.listen(engine, "before_cursor_execute", self._note)

    def _note(self, _c: Any, _k: Any, statement: str, parameters: Any, *_: Any) -> None:
        if not _NO_WRITES.match(statement):
            self.sent.append((statement, _ADDRESS.sub("", repr(parameters))))


class Side:
    """
    One run: two sessions over one database, what they gave, and the trace of it.
    """

    def __init__(
        self,
        engine: Engine,
        writes: Writes,
        make: Callable[[], Any],
        functions: dict[str, Callable[..., Any]],
    ) -> None:
        self.engine = engine
        self.make = make
        self.functions = functions
        self.sessions = [make(), make()]
        self.nested: list[list[Any]] = [[], []]
        self.held: list[list[Any]] = [[], []]
        self.warm = False
        """A function was called with a session that held instances."""
        self._writes = writes
        self._settle = getattr(self.sessions[0], "settle", None)

    def step(self, op: Callable[[Side], Any]) -> dict[str, Any]:
        """
        Do one step, and give what can be seen of it.
        """
        sent = self._writes.sent = []
        try:
            seen = op(self)
        except Exception as error:  # noqa: BLE001 - the other side must raise it, too
            seen = (type(error).__name__, _message(error))
        if self._settle is not None:
            self._settle()
        return {
            "seen": seen,
            # tables that don't depend on each other are flushed in a set's order
            "sent": sorted(sent),
            "one": state_of(self.sessions[0]),
            "other": state_of(self.sessions[1]),
        }

    def close(self) -> list[tuple[str, str]]:
        """
        End the run; give the errors that closing its sessions has raised.
        """
        errors = []
        for session in self.sessions:
            try:
                session.close()
            except Exception as error:  # noqa: BLE001 - the other side must raise it, too
                errors.append((type(error).__name__, _message(error)))
        return errors


def _message(error: Exception) -> str:
    """
    Give the first words of an error, without what is chance in them.
    """
    if isinstance(error, CircularDependencyError):
        return ""  # names the members of a set
    return _ADDRESS.sub("", str(error).partition("\n")[0])[:80]


def state_of(session: Any) -> tuple[Any, ...]:
    """
    Give what can be seen of a session and of what it holds.
    """
    return (
        session.in_transaction(),
        session.in_nested_transaction(),
        session.is_active,
        sorted(map(_shown, session.identity_map.values()), key=repr),
        sorted(type(instance).__name__ for instance in session.new),
        sorted(repr(inspect(instance).key) for instance in session.dirty),
        sorted(repr(inspect(instance).key) for instance in session.deleted),
    )


def _shown(instance: Any) -> Any:
    state = inspect(instance)
    return (
        type(instance).__name__,
        state.identity,
        sorted(state.unloaded),
        sorted(state.expired_attributes),
        state.modified,
        len(state.load_options),
        str(state.load_path),
        {
            key: plain(value)
            for key, value in sorted(state.dict.items())
            if key[0] != "_"
        },
    )


def plain(value: Any) -> Any:
    """
    Bring a value of a result into a form that can be compared.
    """
    state = getattr(value, "_sa_instance_state", None)
    if state is not None:
        return (type(value).__name__, state.identity, _standing(value, state))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)) or hasattr(value, "_fields"):
        return [plain(item) for item in value]
    if isinstance(value, memoryview):
        return bytes(value)
    return value


def _standing(instance: Any, state: Any) -> str:
    """
    Say where an instance stands with its session.
    """
    session = state.session
    if session is None:
        return "detached" if state.key else "transient"
    if state.key is None:
        return "pending"
    return "held" if session.identity_map.get(state.key) is instance else "other"
