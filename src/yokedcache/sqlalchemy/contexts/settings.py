"""
What statements have set on a connection, as far as it changes what it answers.

A role, a search path, a time zone: what is set stays with the connection until it
is reset or closed, across its returns to the pool, and whoever gets it next has it.
On PostgreSQL it goes with the transaction that set it, if that is rolled back.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from yokedcache.core.tags import ANY_DATABASE
from yokedcache.machine import machines
from yokedcache.policy import UNSET
from yokedcache.runtime.forks import Guard
from yokedcache.sqlalchemy.statements.sql_functions import words
from yokedcache.sqlalchemy.statements.text_words import SPACE

if TYPE_CHECKING:
    from weakref import WeakSet

    from yokedcache.core.tags import Vector
    from yokedcache.stores.memory import MemoryStore

ANYTHING: Final = "?"
"""What may have been set where nobody knows what."""

HARMLESS = words("""
    application_name backend_flush_after client_min_messages commit_delay
    deadlock_timeout default_transaction_read_only effective_cache_size
    effective_io_concurrency force_parallel_mode geqo hash_mem_multiplier
    idle_in_transaction_session_timeout idle_session_timeout jit lock_timeout
    log_min_duration_statement log_statement maintenance_work_mem
    max_parallel_workers_per_gather parallel_setup_cost parallel_tuple_cost
    plan_cache_mode random_page_cost seq_page_cost statement_timeout
    synchronous_commit temp_buffers transaction_timeout work_mem
    lock_wait_timeout innodb_lock_wait_timeout max_execution_time max_statement_time
    net_read_timeout net_write_timeout wait_timeout
""")
"""Settings that change how fast an answer comes, or none at all."""

_SET = re.compile(
    r"SET\s+(?:(?P<scope>SESSION|LOCAL)\s+)?(?P<name>AUTHORIZATION|TIME\s+ZONE|"
    r"CHARACTERISTICS|[\w.\"]+)",
    re.IGNORECASE,
)
_RESET = re.compile(r"RESET\s+(?:SESSION\s+)?([\w.\"]+)", re.IGNORECASE)
_DEFAULT = re.compile(
    r"SET\s+(?:SESSION\s+)?(\w+|TIME\s+ZONE)\s*(?:=|\bTO\b|(?<=ROLE)|(?<=ZONE)"
    r"|(?<=AUTHORIZATION))\s*(?:DEFAULT|NONE|LOCAL)",
    re.IGNORECASE,
)
_DISCARD = re.compile(r"DISCARD\s+ALL", re.IGNORECASE)
_PERSISTENT = frozenset({ANYTHING, "authorization", "role"})
"""What RESET ALL doesn't reach, or may not."""
_OTHER_NAMES = {"time": "timezone", "zone": "timezone"}


class Settings:
    """
    What was set on one connection, when, and whether that outlives the transaction.
    """

    __slots__ = (
        "__weakref__",
        "_cleared",
        "_kept",
        "_left",
        "_now",
        "_turn",
        "_watch",
        "under",
    )

    def __init__(self, left: WeakSet[Settings]) -> None:
        self._left = left
        self._kept: dict[str, int] = {}
        self._now: dict[str, bool] = {}
        self._cleared: set[str] = set()
        self._turn = 0
        self._watch = Watched()
        self.under: Any = UNSET
        """The `vary` value for which this turn of the connection began."""

    def __del__(self) -> None:
        self._watch.end()

    def check_out(self) -> None:
        """
        Note that the connection begins a turn with somebody.
        """
        self._turn += 1
        self.under = UNSET

    def check_in(self) -> None:
        """
        Note that the turn ends.
        """
        self._watch.end()

    def note_vary(self, value: Any) -> None:
        """
        Note for which `vary` value the connection is used.
        """
        if self.under is UNSET:
            self.under = value
        elif self.under != value:
            self.under = object()  # nobody's

    def read(
        self,
        statement: str,
        identity: str | None,
        *,
        undone: bool,
        restored: bool = True,
    ) -> bool:
        """
        Take in a statement that sets or resets something; tell if answers may change.

        `undone` says that a rollback will undo it, `restored` that a reset gives back
        what the connection began with: MySQL's give what the server has for all.
        """
        text = SPACE.sub("", statement, count=1).rstrip().rstrip(";")
        alone = ";" not in text
        reset = _RESET.fullmatch(text) or _DEFAULT.fullmatch(text)
        if alone and restored and reset is not None:
            self._reset({_name(reset[1])}, undone=undone)
            return False
        if alone and restored and _DISCARD.fullmatch(text):
            self._reset(self._kept.keys() | self._now.keys(), undone=undone)
            return False
        found = _SET.match(text) if alone else None
        name = ANYTHING if found is None else _name(found["name"])
        if name in HARMLESS and "," in text:
            name = ANYTHING  # MySQL sets several at a time
        if name in HARMLESS or name in {"transaction", "characteristics"}:
            return False
        local = found is not None and (found["scope"] or "").upper() == "LOCAL"
        self.put(name, identity, undone=undone, local=local)
        return True

    def _reset(self, names: set[str], *, undone: bool) -> None:
        if "all" in names:
            names = (self._kept.keys() | self._now.keys()) - _PERSISTENT
        self._cleared |= names
        for name in names:
            self._now.pop(name, None)
        if not undone:
            self.commit()

    def put(
        self,
        name: str,
        identity: str | None,
        *,
        undone: bool = False,
        local: bool = False,
    ) -> None:
        """
        Note that something is set.
        """
        self._cleared.discard(name)
        if undone:
            self._now[name] = local and self._now.get(name, True)
        else:
            self._keep(name)
        self._watch.begin(identity)

    def commit(self) -> None:
        """
        Note that what the transaction set is kept, and what it reset is gone.
        """
        if not (self._now or self._cleared or self._kept):
            self._watch.end()
            return
        for name, local in self._now.items():
            if not local:
                self._keep(name)
        for name in self._cleared:
            self._kept.pop(name, None)
        if not self._kept:
            self._left.discard(self)
        self._end()

    def _keep(self, name: str) -> None:
        self._kept[name] = self._turn
        self._left.add(self)

    def rollback(self) -> None:
        """
        Note that the transaction's settings are undone.
        """
        self._end()

    def _end(self) -> None:
        if self._now or self._cleared:
            self._now.clear()
            self._cleared.clear()
        if self._kept and any(turn == self._turn for turn in self._kept.values()):
            return
        self._watch.end()

    def close(self) -> None:
        """
        Note that the connection is gone, and all that was set with it.
        """
        self._watch.end()
        self._left.discard(self)

    def reason(self, vary: Any) -> str | None:
        """
        Name why answers can't be told from others', for who varies on this.

        What somebody set in an earlier turn isn't covered by what the present one
        says, unless it says that nothing varies.
        """
        if vary is None or not (self._kept or self._now):
            return None
        if vary is UNSET:
            return "context"
        left = any(
            turn != self._turn and name not in self._now
            for name, turn in self._kept.items()
        )
        return "context" if left else None


class Watched:
    """
    Keeps functions from being answered plainly while somebody's settings hold.

    Which session a function would read through isn't always told, so while a
    connection of a database has settings of its present turn, functions that don't
    say what they vary on aren't answered from that database, in the whole process.
    """

    __slots__ = ("_name", "_stores")

    def __init__(self) -> None:
        self._name: str | None = None
        self._stores: list[MemoryStore] = []

    def begin(self, identity: str | None) -> None:
        """
        Keep them from it.
        """
        if self._name is None:
            name = ANY_DATABASE if identity is None else f"{ANY_DATABASE}{identity}"
            with _guard:
                self._name = name
                _set[name] += 1
                self._stores = [machine.store for machine in machines()]
            for store in self._stores:
                store.watch()

    def end(self) -> None:
        """
        Let them be answered again.
        """
        if self._name is not None:
            with _guard:
                _set[self._name] -= 1
                if not _set[self._name]:
                    del _set[self._name]
                self._name = None
                stores, self._stores = self._stores, []
            for store in stores:
                store.unwatch()


_set: Counter[str] = Counter()
_guard = Guard()


def open_context(vector: Vector) -> bool:
    """
    Tell whether somebody has set something over a connection that an answer concerns.
    """
    if not _set:
        return False
    if ANY_DATABASE in _set:
        return any(str(tag.name).startswith(ANY_DATABASE) for tag, _ in vector)
    return any(tag.name in _set for tag, _ in vector)


def _name(text: str) -> str:
    folded = text.strip('"').lower().split()[0]
    return _OTHER_NAMES.get(folded, folded)
