"""
A statement made ready for the driver, without a connection.

`prepare` does for a statement what `Connection.execute` does before it talks
to the driver: it looks the compiled form up in the engine's compiled cache,
renders schema translation and expanded IN lists, and runs the bind
processors. What comes out holds the SQL string and the parameters exactly as
the driver would be sent them (the key of an answer), and the execution
context over which `rows.replay` builds a result.

In place of connection, DBAPI connection and cursor stands one stub. What an
application may ask of a result works on it; what needs a server says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from sqlalchemy.sql import compiler
from sqlalchemy.util import immutabledict

if TYPE_CHECKING:
    from collections import deque

    from sqlalchemy.engine import Engine
    from sqlalchemy.engine.default import DefaultExecutionContext
    from sqlalchemy.sql.compiler import SQLCompiler

Options = immutabledict[str, Any]
"""Execution options, as SQLAlchemy merges them."""

_LOCKING = re.compile(
    r"\bFOR\s+(NO\s+KEY\s+)?UPDATE\b|\bFOR\s+(KEY\s+)?SHARE\b|\bLOCK\s+IN\s+SHARE\b",
    re.IGNORECASE,
)
_FACTS = "_yokedcache_unfit"


class Unprepared(Exception):  # noqa: N818 - a verdict, never shown to users
    """
    The statement can't be answered from a recording; `reason` says why.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class OfflineCursor:
    """
    Stands where a context keeps its cursor; has run nothing and closes freely.

    It tells what the cursor told, and gives rows to an app that takes them from it.
    """

    arraysize = 1
    description: Any = None
    lastrowid = None
    rowcount = -1
    _rows: Any = ()

    def play(self, description: Any, rows: deque[Any]) -> None:
        """
        Hold the rows of a recording, which the result hands out as well.
        """
        self.description = description
        self._rows = rows

    def fetchone(self) -> Any:
        """
        Give the next row.
        """
        return self._rows.popleft() if self._rows else None

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """
        Give some rows.
        """
        wanted = self.arraysize if size is None else size
        return [self._rows.popleft() for _ in range(min(wanted, len(self._rows)))]

    def fetchall(self) -> list[Any]:
        """
        Give the remaining rows.
        """
        return self.fetchmany(len(self._rows))

    def __iter__(self) -> OfflineCursor:
        return self

    def __next__(self) -> Any:
        if not self._rows:
            raise StopIteration
        return self._rows.popleft()

    def close(self) -> None:
        """
        Do nothing: there is nothing open.
        """

    async def _async_soft_close(self) -> None:
        """
        Do nothing, when an `AsyncSession` gives out a result.
        """

    def __getattr__(self, name: str) -> NoReturn:
        _no_server("cursor", name)


class OfflineConnection:
    """
    Stands where a context keeps its connection and its DBAPI connection.
    """

    __slots__ = ("_execution_options", "dialect", "engine")

    _has_events = False

    def __init__(self, engine: Engine, options: Options) -> None:
        self.engine = engine
        self.dialect = engine.dialect
        self._execution_options = options

    @property
    def _echo(self) -> bool:
        return self.engine._should_log_debug()

    def _log_debug(self, message: str, *args: Any, **options: Any) -> None:
        self.engine.logger.debug(message, *args, **options)

    def cursor(self, *_: Any, **__: Any) -> OfflineCursor:
        """
        Give a stub for the context that is being built.
        """
        return OfflineCursor()

    def get_execution_options(self) -> Options:
        """
        Return the options a real connection would have had.
        """
        return self._execution_options

    def _safe_close_cursor(self, cursor: Any) -> None:
        """
        Do nothing: the stub cursor holds nothing.
        """

    def _handle_dbapi_exception(self, error: BaseException, *_: Any) -> NoReturn:
        try:
            raise error
        finally:
            del error  # it knows this frame

    def __getattr__(self, name: str) -> NoReturn:
        _no_server("connection", name)


def _no_server(what: str, name: str) -> NoReturn:
    msg = (
        f"this result was answered from the cache: it has no {what}, "
        f"and so no {name!r} (use Session.connection() for a real one)"
    )
    raise AttributeError(msg)


class Prepared:
    """
    A statement as the driver would be sent it.

    Its execution context is made when a result is built over it.
    """

    __slots__ = ("_context", "_facts", "cache_hit", "compiled", "parameters", "sql")

    def __init__(self, compiled: SQLCompiler, facts: tuple[Any, ...]) -> None:
        self.compiled = compiled
        self.cache_hit = facts[_CACHE_HIT]
        self._facts = facts
        self._context: DefaultExecutionContext | None = None
        if is_plain(compiled):
            self.sql: str = compiled.string
            self.parameters: Any = plain_parameters(compiled, facts)
        else:
            context: Any = self.context
            self.sql = context.statement
            self.parameters = context.parameters[0]

    @property
    def context(self) -> DefaultExecutionContext:
        """
        The context of this one execution.
        """
        if self._context is None:
            self._context = self.another_context()
        return self._context

    def another_context(self) -> DefaultExecutionContext:
        """
        Make a context for one more result of the same execution.
        """
        engine, connection_options, options, distilled, statement, rest, hit = (
            self._facts
        )
        stub = OfflineConnection(engine, connection_options)
        # 2.1 hands on the collected parameters of a cached statement as well.
        extracted, *collected = rest
        dialect = engine.dialect
        context = dialect.execution_ctx_cls._init_compiled(
            dialect,
            stub,
            stub,
            options,
            self.compiled,
            distilled,
            statement,
            extracted,
            hit,
            *collected,
        )
        if context._is_server_side:
            raise Unprepared("server_side_cursor")
        return context  # type: ignore[no-any-return]


_CACHE_HIT = 6
_PLAIN = "_yokedcache_plain"


def is_plain(compiled: Any) -> bool:
    """
    Tell whether SQL and parameters follow from the compiled form alone.
    """
    plain: bool | None = compiled.__dict__.get(_PLAIN)
    if plain is None:
        plain = compiled.__dict__[_PLAIN] = not (
            compiled.literal_execute_params
            or compiled.post_compile_params
            or compiled.schema_translate_map
            or (compiled.escaped_bind_names and not compiled.positional)
            or compiled.dialect.server_side_cursors
        )
    return plain


def plain_parameters(compiled: Any, facts: tuple[Any, ...]) -> Any:
    """
    Process the parameters of a plain statement as its context would.
    """
    engine, _, _, distilled, _, rest, _ = facts
    extracted, *collected = rest
    given: dict[str, Any] = {"_collected_params": collected[0]} if collected else {}
    values = compiled.construct_params(
        distilled[0] if distilled else None,
        extracted_parameters=extracted,
        escape_names=False,
        **given,
    )
    processors = compiled._bind_processors
    if compiled.positional:
        names = compiled.positiontup
        if processors:
            row = [
                processors[name](values[name]) if name in processors else values[name]
                for name in names
            ]
        else:
            row = [values[name] for name in names]
        return engine.dialect.execute_sequence_format(row)
    for name, process in processors.items():
        values[name] = process(values[name])
    return values


def single(parameters: Any) -> tuple[Mapping[str, Any], ...]:
    """
    Bring the parameters of one execution into the form contexts take.
    """
    if not parameters:
        return ()
    if isinstance(parameters, Mapping):
        return (parameters,)
    if isinstance(parameters, Sequence) and len(parameters) == 1:
        (only,) = parameters
        if isinstance(only, Mapping):
            return (only,) if only else ()
    raise Unprepared("executemany")


def prepare(
    statement: Any,
    parameters: Any,
    engine: Engine,
    connection_options: Options,
    options: Options,
) -> Prepared:
    """
    Build the context of one execution of `statement`, without a connection.

    `options` are the merged ones of the statement, the connection and the call.
    """
    distilled = single(parameters)
    cache = options.get("compiled_cache", engine._compiled_cache)
    if cache is None:
        raise Unprepared("compiled_cache_off")
    if statement._generate_cache_key() is None:
        # Compiling it twice for every execution could cost more than it saves,
        # and a type that doesn't vouch for its key is a doubt.
        raise Unprepared("no_cache_key")
    dialect: Any = engine.dialect
    rest: list[Any]
    compiled, *rest = statement._compile_w_cache(
        dialect=dialect,
        compiled_cache=cache,
        column_keys=sorted(distilled[0]) if distilled else [],
        for_executemany=False,
        schema_translate_map=options.get("schema_translate_map"),
        linting=dialect.compiler_linting | compiler.WARN_LINTING,
    )
    unfit = compiled.__dict__.get(_FACTS)
    if unfit is None:
        unfit = compiled.__dict__[_FACTS] = _unfit(compiled)
    if unfit:
        raise Unprepared(unfit)
    *rest, cache_hit = rest
    facts = (
        engine, connection_options, options, distilled, statement, rest, cache_hit,
    )  # fmt: skip
    return Prepared(compiled, facts)


def forget_compiled(
    statement: Any, parameters: Any, engine: Engine, options: Options
) -> None:
    """
    Take a compiled form out of the cache, for its execution to compile it anew.

    For engines that log statements only: the log says whether a statement was
    compiled for this execution, and shall go on saying so.
    """
    cache: Any = options.get("compiled_cache", engine._compiled_cache)
    cache_key = statement._generate_cache_key()
    distilled = single(parameters)
    keys = tuple(sorted(distilled[0])) if distilled else ()
    translated = bool(options.get("schema_translate_map"))
    cache.pop((engine.dialect, cache_key[0], keys, translated, False), None)


def _unfit(compiled: Any) -> str:
    """
    Name what in a compiled statement forbids answering it, or return "".
    """
    if compiled.isinsert or compiled.isupdate or compiled.isdelete:
        return "writes"
    if compiled.effective_returning or any(
        cte.element.is_dml for cte in compiled.ctes or ()
    ):
        return "writes"
    if compiled.has_out_parameters:
        return "out_parameters"
    if _LOCKING.search(compiled.string):
        return "for_update"
    # Asked for the key and again for the statement, the app's might not say the same.
    if any(_of_app(bind.callable) for bind in compiled.bind_names):
        return "callable_parameter"
    return ""


def _of_app(function: Any) -> bool:
    return function is not None and not function.__module__.startswith("sqlalchemy.")


def connection_options(engine: Any, session_options: Mapping[str, Any]) -> Options:
    """
    Return the options that a connection of this engine would begin with.
    """
    options: Options = engine._execution_options
    return options.union(session_options) if session_options else options
