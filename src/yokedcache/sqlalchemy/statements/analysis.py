"""
What a statement reads, writes and does besides: the answer of the analysers.

`clauses` reads SQLAlchemy's statements and `text` reads SQL strings; both answer
with an `Analysis`, so that whoever serves reads or announces writes need not know
where the answer came from. Everything here is pure. Names of tables are bare and
case-folded; a table of a system or temporary schema keeps its schema, so that it
is never taken for a user's table of that name.
"""

from __future__ import annotations

from dataclasses import dataclass, field

VERBS = ("insert", "update", "delete")
"""
The three ways in which the rows of a table change.
"""

SYSTEM_SCHEMAS = frozenset(
    {"information_schema", "mysql", "performance_schema", "pg_catalog", "pg_toast"}
    | {"sys", "temp"}
)
"""
Schemas whose tables are not the application's.
"""

_ENDINGS = ("commit", "rollback", "prepare", "begin", "release", "savepoint")


@dataclass(frozen=True, slots=True)
class Analysis:
    """
    What one statement, or one string of several, reads, writes and does.
    """

    reads: frozenset[str] = frozenset()
    writes: frozenset[tuple[str, str]] = frozenset()
    unknown_write: bool = False
    uncacheable: str | None = None
    ddl: bool = False
    temporary: bool = False
    context: bool = False
    isolation: str | None = None
    """It sets an isolation level and nothing else: of a `transaction` or `session`."""
    transaction: str | None = None
    locks: bool = False
    functions: frozenset[str] = frozenset()
    """
    Functions that aren't known.
    """
    called: frozenset[str] = frozenset()
    """
    Functions that are harmless, unless the application has one of that name.
    """
    schemas: frozenset[str] = frozenset()
    """
    Schemas that were named, of tables and functions, or `ANY_SCHEMA`.
    """
    timed: frozenset[str] = frozenset()
    """
    Names of parameters whose text may be read as a time, or `ANY_BIND` for all.
    """


ANY_SCHEMA = "?"
"""
Stands for schemas that are only known when the statement is sent.
"""

UNKNOWN = Analysis(unknown_write=True, uncacheable="unparsable", context=True)
"""
For what can't be understood: it may have read, written or set anything.
"""

HARMLESS = Analysis(uncacheable="not_a_select")
"""
For EXPLAIN, SHOW, harmless pragmas and such: changes nothing, isn't stored.
"""


def fold(name: str) -> str:
    """
    Return the form of a table's name that tags and catalogues use.
    """
    return name.casefold()


def table_name(name: str, schema: str | None) -> str:
    """
    Name a table: bare, unless its schema is the system's or a temporary one.
    """
    if schema is not None:
        folded = fold(schema)
        if folded in SYSTEM_SCHEMAS or folded.startswith("pg_temp"):
            return f"{folded}.{fold(name)}"
    return fold(name)


_SETTINGS = "pg_settings"
"""PostgreSQL's view of what SET sets: an UPDATE of it is another way to do so."""


@dataclass(slots=True)
class Notes:
    """
    An `Analysis` in the making.
    """

    reads: set[str] = field(default_factory=set)
    writes: set[tuple[str, str]] = field(default_factory=set)
    unknown_write: bool = False
    uncacheable: str | None = None
    ddl: bool = False
    temporary: bool = False
    context: bool = False
    isolation: str | None = None
    transaction: str | None = None
    locks: bool = False
    functions: set[str] = field(default_factory=set)
    called: set[str] = field(default_factory=set)
    schemas: set[str] = field(default_factory=set)
    timed: set[str] = field(default_factory=set)

    def refuse(self, reason: str) -> None:
        """
        Say why the answer may not be stored; the first reason counts.
        """
        if self.uncacheable is None:
            self.uncacheable = reason

    def read(self, name: str, schema: str | None) -> None:
        """
        Note a table that is read.
        """
        full = table_name(name, schema)
        self.reads.add(full)
        self._note_schema(full, schema)

    def write(self, name: str, schema: str | None, *verbs: str) -> None:
        """
        Note a table whose rows are changed.
        """
        full = table_name(name, schema)
        self.refuse("writes")
        self.writes.update((verb, full) for verb in verbs)
        self._note_schema(full, schema)
        if full.rpartition(".")[2] == _SETTINGS:
            self.context = True
            self.isolation = "session"

    def _note_schema(self, full: str, schema: str | None) -> None:
        if schema is not None:
            self.schemas.add(fold(schema))
        if full.startswith(("temp.", "pg_temp")) and "." in full:
            self.temporary = True
            self.refuse("temporary")

    def add(self, other: Analysis | Notes) -> None:
        """
        Take over everything that another analysis says.
        """
        self.reads |= other.reads
        self.writes |= other.writes
        self.functions |= other.functions
        self.called |= other.called
        self.schemas |= other.schemas
        self.timed |= other.timed
        self.unknown_write |= other.unknown_write
        self.ddl |= other.ddl
        self.temporary |= other.temporary
        self.context |= other.context
        if other.isolation is not None and self.isolation != "session":
            self.isolation = other.isolation
        self.locks |= other.locks
        self.transaction = _later_ending(self.transaction, other.transaction)
        if other.uncacheable is not None:
            self.refuse(other.uncacheable)

    def freeze(self) -> Analysis:
        """
        Return what was noted, unchangeable.
        """
        return Analysis(
            reads=frozenset(self.reads),
            writes=frozenset(self.writes),
            unknown_write=self.unknown_write,
            uncacheable=self.uncacheable,
            ddl=self.ddl,
            temporary=self.temporary,
            context=self.context,
            isolation=self.isolation,
            transaction=self.transaction,
            locks=self.locks,
            functions=frozenset(self.functions),
            called=frozenset(self.called),
            schemas=frozenset(self.schemas),
            timed=frozenset(self.timed),
        )


def _later_ending(one: str | None, other: str | None) -> str | None:
    # What ends a transaction outweighs what begins one: forgetting a commit
    # would be stale, taking one too many costs a bump.
    for ending in _ENDINGS:
        if ending in (one, other):
            return ending
    return None
