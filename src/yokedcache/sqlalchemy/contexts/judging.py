"""
Whether a listener of the application's can change what is answered.

A listener that is handed a driver's connection or cursor can do anything over it,
unseen. So it counts as one that does, unless it is of a package that is known only
to watch or to register types, or its code shows that it can't: an observer that
touches no cursor, a connect listener that runs constant PRAGMAs or registers types.
What isn't understood counts as changing answers.
"""

from __future__ import annotations

import builtins
import inspect
import re
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from dis import Instruction

_WATCHERS = (
    "aws_xray_sdk", "datadog", "ddtrace", "elasticapm", "flask_sqlalchemy",
    "google.cloud.sqlcommenter", "logfire", "newrelic", "opentelemetry", "scout_apm",
    "sentry_sdk", "sqltap",
)  # fmt: skip
"""Packages that trace: they add comments to statements at most."""
_REGISTRARS = (
    "asyncpg",
    "geoalchemy2",
    "pgvector",
    "psycopg",
    "psycopg2",
    "sqlite_vec",
)
"""Packages whose functions, called on a connection, make it know types."""
_MODULES = (*_REGISTRARS, "aiosqlite", "json", "sqlite3", "_sqlite3", "sqlalchemy")
_BUILTINS = frozenset({"isinstance", "type", "str", "print"})

_PRAGMA = re.compile(r"\s*PRAGMA\b[^;]*;?\s*", re.IGNORECASE)
_BEGIN = re.compile(
    r"\s*BEGIN(\s+(DEFERRED|IMMEDIATE|EXCLUSIVE|CONCURRENT))?(\s+TRANSACTION)?\s*;?\s*",
    re.IGNORECASE,
)
_IDLE = re.compile(
    r"\s*(PRAGMA\b[^;]*|(SET(?!\s+STATEMENT)|RESET)\b[^;(]*|SELECT\s+1|BEGIN|ROLLBACK)\s*;?\s*",
    re.IGNORECASE,
)
"""Statements that change no rows."""
_SENDING = frozenset({"execute", "executescript", "exec_driver_sql", "executemany"})
_CONNECTING = _SENDING | {
    "Connection", "__class__", "__module__", "__name__", "adapters", "autocommit",
    "close", "commit", "cursor", "dbapi_connection", "driver_connection", "dumps",
    "enable_load_extension", "extras", "fetchall", "fetchone", "isolation_level",
    "load", "loads", "register_dumper", "register_loader", "register_uuid",
    "register_vector", "register_vector_async", "run_async", "set_builtin_type_codec",
    "set_type_codec", "startswith",
}  # fmt: skip
_LOADS = ("LOAD_FAST", "LOAD_DEREF", "LOAD_CLOSURE", "STORE_FAST_LOAD", "MAKE_CELL")
_ANY_ARGUMENTS = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS
_ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD", "STORE_ATTR", "DELETE_ATTR")
_SUBSCRIPTS = ("BINARY_SUBSCR", "BINARY_OP")

_CURSOR, _CONTEXT = 1, 4
"""Places of cursor and context among the arguments of `before_cursor_execute`."""
_OF_CURSOR = frozenset({"arraysize", "description", "lastrowid", "rowcount"})
_NOT_OF_CONTEXT = frozenset({
    "_dbapi_connection", "connection", "create_cursor", "cursor", "root_connection",
    "create_default_cursor", "create_server_side_cursor",
})  # fmt: skip


def is_known(function: Any) -> bool:
    """
    Tell whether a listener belongs to a package that changes no answers.
    """
    return _within(getattr(function, "__module__", None) or "", _WATCHERS + _REGISTRARS)


def prepares(function: Any) -> bool:
    """
    Tell whether a connect listener's code runs PRAGMAs or registers types, no more.

    With constants alone: all connections of an engine are prepared alike.
    """
    return _only(function, _CONNECTING, _PRAGMA)


def keeps_off(function: Any) -> bool:
    """
    Tell whether a listener's code does nothing with what it is handed.

    It may set attributes of it, and look at the `info` of a pool's record.
    """
    import dis

    code = _code(function)
    if code is None or isinstance(function, type) or code.co_flags & _ANY_ARGUMENTS:
        return False
    if code.co_cellvars:  # functions inside may have them as well
        return False
    first = 1 if isinstance(function, types.MethodType) else 0
    given = code.co_varnames[first : code.co_argcount + code.co_kwonlyargcount]
    steps = list(dis.get_instructions(code))
    for step, after in zip(steps, [*steps[1:], None], strict=True):
        loaded = _loaded(step)
        if any(name in given for name in loaded[:-1]):
            return False
        if loaded and loaded[-1] in given and not _left_as_it_is(given, loaded, after):
            return False
    return True


def _left_as_it_is(given: Sequence[str], loaded: Sequence[str], after: Any) -> bool:
    if after is None:
        return False
    if after.opname == "STORE_ATTR":
        return True
    record = given[1:2]
    return (
        after.opname in _ATTRIBUTES[:2]
        and after.argval == "info"
        and loaded[-1] in record
    )


def idles(function: Any) -> bool:
    """
    Tell whether a listener's code sends constant statements that change no rows.
    """
    return _only(function, _CONNECTING, _IDLE)


def begins(function: Any) -> bool:
    """
    Tell whether a listener's code sends BEGIN, no more, as SQLite may need it.
    """
    return _only(function, _SENDING, _BEGIN)


def observes(function: Any) -> bool:
    """
    Tell whether a cursor listener's code can send nothing over the cursor it is given.
    """
    code = _code(function)
    if code is None or isinstance(function, type):
        return False
    shift = 1 if isinstance(function, types.MethodType) else 0
    names = code.co_varnames[shift : code.co_argcount]
    risky = {names[place]: place for place in (_CURSOR, _CONTEXT) if place < len(names)}
    if code.co_flags & _VARARGS:
        risky[code.co_varnames[code.co_argcount + code.co_kwonlyargcount]] = len(names)
    return _touches_nothing(code, risky)


_VARARGS = 0x04


def _touches_nothing(code: Any, risky: dict[str, int]) -> bool:
    import dis  # costs, and most processes have nothing to judge

    steps = list(dis.get_instructions(code))
    for step, after, last in zip(
        steps, [*steps[1:], None], [*steps[2:], None, None], strict=True
    ):
        loaded = _loaded(step)
        if any(name in risky for name in loaded[:-1]):
            return False
        if loaded and loaded[-1] in risky:
            place = risky[loaded[-1]]
            if after is None or not _harmless_use(place, after, last):
                return False
    return True


def _loaded(step: Instruction) -> tuple[str, ...]:
    if not step.opname.startswith(_LOADS):
        return ()
    return step.argval if isinstance(step.argval, tuple) else (str(step.argval),)


def _harmless_use(place: int, after: Instruction, last: Instruction | None) -> bool:
    if place == _CURSOR:
        return after.opname in _ATTRIBUTES[:2] and after.argval in _OF_CURSOR
    if place == _CONTEXT and after.opname in _ATTRIBUTES:
        return after.argval not in _NOT_OF_CONTEXT
    # one of `*args`, by its number
    return (
        type(after.argval) is int
        and after.argval >= 0
        and place + after.argval not in {_CURSOR, _CONTEXT}
        and last is not None
        and last.opname in _SUBSCRIPTS
    )


def _only(function: Any, attributes: frozenset[str], sent: re.Pattern[str]) -> bool:
    code = _code(function)
    if code is None or not isinstance(function, types.FunctionType):
        return False
    if function.__defaults__ or function.__kwdefaults__:  # values that nobody looks at
        return False
    names: set[str] = set()
    texts: list[str] = []
    for part in _codes(code):
        if part.co_freevars:
            return False
        if not _read(part, function.__globals__, attributes, names):
            return False
        doc = part.co_consts[0] if part.co_consts else None
        texts += [
            text
            for text in _texts(part.co_consts)
            if not (text is doc and text == function.__doc__)
        ]
    if names.isdisjoint(_SENDING):
        return bool(names)
    return bool(texts) and all(sent.fullmatch(text) for text in texts)


def _texts(constants: Iterable[Any]) -> Iterator[str]:
    for constant in constants:
        if isinstance(constant, str):
            yield constant
        elif isinstance(constant, (tuple, frozenset)):
            yield from _texts(constant)


def _codes(code: Any) -> Iterator[Any]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _read(
    code: Any, known: dict[str, Any], attributes: frozenset[str], names: set[str]
) -> bool:
    """
    Collect the attributes that a code uses; False if it reaches anything else.
    """
    import dis

    for step in dis.get_instructions(code):
        name = str(step.argval)
        if step.opname in {"IMPORT_NAME", "IMPORT_FROM"}:
            names.add(name)
            if step.opname == "IMPORT_NAME" and not _within(name, _MODULES):
                return False
        elif step.opname in {"LOAD_GLOBAL", "LOAD_NAME"}:
            if not _may_use(name, known):
                return False
            names.add(name)
        elif step.opname in _ATTRIBUTES:
            if name not in attributes:
                return False
            names.add(name)
        elif step.opname.startswith(("STORE_GLOBAL", "DELETE_GLOBAL")):
            return False
    return True


def _may_use(name: str, known: dict[str, Any]) -> bool:
    if name not in known:
        return name in _BUILTINS and hasattr(builtins, name)
    value = known[name]
    module = (
        value.__name__
        if isinstance(value, types.ModuleType)
        else getattr(value, "__module__", None) or ""
    )
    return _within(module, _MODULES)


def _within(module: str, packages: tuple[str, ...]) -> bool:
    return any(
        module == package or module.startswith(f"{package}.") for package in packages
    )


def _code(function: Any) -> Any:
    return getattr(getattr(function, "__func__", function), "__code__", None)
