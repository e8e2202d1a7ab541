"""
All that can be seen of a session, of what it holds, and of what it was told.

For the tests of hole 14, which compare sessions that were served with sessions that
asked the database.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, inspect
from sqlalchemy.exc import SQLAlchemyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.databases import Blog

ADDRESS = re.compile(r" at 0x[0-9a-f]+")

TOLD = (
    "after_attach",
    "after_commit",
    "after_flush",
    "after_flush_postexec",
    "after_rollback",
    "after_soft_rollback",
    "after_transaction_create",
    "after_transaction_end",
    "before_attach",
    "before_commit",
    "before_flush",
    "deleted_to_detached",
    "deleted_to_persistent",
    "detached_to_persistent",
    "pending_to_persistent",
    "pending_to_transient",
    "persistent_to_deleted",
    "persistent_to_detached",
    "persistent_to_transient",
    "transient_to_pending",
)
"""The events of sessions that keep nothing from being served."""


def listen(maker: Any, names: tuple[str, ...] = TOLD) -> list[str]:
    """
    Give the list to which a maker's sessions will write what they were told.
    """
    told: list[str] = []

    def note(name: str, *args: Any) -> None:
        instances = [shown(each) for each in args if hasattr(each, "__mapper__")]
        told.append(f"{name} {instances}" if instances else name)

    for name in names:
        event.listen(maker, name, functools.partial(note, name))
    return told


def shown(value: Any) -> Any:
    """
    Bring a value into a form that can be compared.
    """
    state = getattr(value, "_sa_instance_state", None)
    if state is not None:
        return f"{type(value).__name__} {state.identity}"
    if isinstance(value, BaseException):
        return (type(value).__name__, ADDRESS.sub("", str(value).partition("\n")[0]))
    if isinstance(value, dict):
        return {key: shown(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)) or hasattr(value, "_fields"):
        return [type(value).__name__, *map(shown, value)]
    return value


def instance_of(instance: Any) -> dict[str, Any]:
    """
    Give what can be seen of an instance, its state included.
    """
    state = inspect(instance)
    return {
        "key": state.key,
        "standing": [
            name
            for name in ("transient", "pending", "persistent", "deleted", "detached")
            if getattr(state, name)
        ],
        "values": {
            name: shown(value)
            for name, value in sorted(instance.__dict__.items())
            if name != "_sa_instance_state"
        },
        "unloaded": sorted(state.unloaded),
        "expired": (state.expired, sorted(state.expired_attributes)),
        "committed": {
            key: repr(shown(value)) for key, value in state.committed_state.items()
        },
        "modified": state.modified,
        "options": list(map(_option, state.load_options)),
        "path": state.load_path,
        "callables": sorted(state.callables),
        "token": state.identity_token,
        "history": {
            name: tuple(shown(attribute.history))
            for name, attribute in sorted(state.attrs.items())
            if name in instance.__dict__
        },
        "known": sorted({*vars(state)} - {"mapper", "_empty_collections"}),
    }


def _option(option: Any) -> Any:
    """
    Tell what a loader option says: copies, as pickling makes them, are equal.
    """
    parts = getattr(option, "context", ())
    return (type(option).__name__, [(str(part.path), part.strategy) for part in parts])


def difference(mine: Any, theirs: Any, place: str = "") -> str | None:
    """
    Name the first place where two pictures differ, or `None`.
    """
    if isinstance(mine, dict) and isinstance(theirs, dict):
        for key in sorted({*mine, *theirs}, key=str):
            found = difference(
                mine.get(key, "absent"), theirs.get(key, "absent"), f"{place}.{key}"
            )
            if found is not None:
                return found
        return None
    return None if mine == theirs else f"{place}: {mine!r} is not {theirs!r}"


def session_of(session: Any) -> dict[str, Any]:
    """
    Give what can be seen of a session.
    """
    transaction = session.get_transaction()
    return {
        "in": (session.in_transaction(), session.in_nested_transaction()),
        "active": session.is_active,
        "transaction": None
        if transaction is None
        else (transaction.is_active, transaction.nested, transaction.origin),
        "held": {
            str(key): instance_of(instance)
            for key, instance in sorted(session.identity_map.items(), key=repr)
        },
        "modified": sorted(str(state.key) for state in session.identity_map._modified),
        "new": sorted(map(shown, session.new)),
        "dirty": sorted(map(shown, session.dirty)),
        "deleted": sorted(map(shown, session.deleted)),
        "info": dict(session.info),
    }


class Run:
    """
    One session, what it does step by step, and what is to be seen after each.
    """

    def __init__(self, blog: Blog, session: Any, told: list[str]) -> None:
        self.session = session
        self.trace: list[Any] = []
        self.asked: list[int] = []
        """How many SELECTs each step sent."""
        self.kept: list[Any] = []
        self._blog = blog
        self._told = told
        told.clear()

    def step(self, do: Callable[[Any], Any]) -> Any:
        """
        Do something, and note what came of it; what it gave stays alive.
        """
        sent: list[str] = []
        with self._blog.counted() as statements:
            try:
                seen = do(self.session)
            except SQLAlchemyError as error:
                seen = error
        sent += [one for one in statements if not one.startswith("SELECT")]
        self.asked.append(sum(one.startswith("SELECT") for one in statements))
        self.kept.append(seen)
        self.trace.append(
            {
                "seen": shown(seen),
                "sent": [one for one in sent if "SAVEPOINT" not in one],
                "told": list(self._told),
                "session": session_of(self.session),
                "given": [
                    instance_of(each)
                    for each in _instances(seen)
                    if each not in self.session
                ],
            }
        )
        self._told.clear()
        return seen


def _instances(seen: Any) -> list[Any]:
    if hasattr(seen, "_sa_instance_state"):
        return [seen]
    if isinstance(seen, (list, tuple)) or hasattr(seen, "_fields"):
        return [one for each in seen for one in _instances(each)]
    return []
