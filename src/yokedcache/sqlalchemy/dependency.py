"""
`cached_dependency`: a dependency that yields sessions, with its sessions attached.

The dependency keeps its signature, so that FastAPI injects into it as before,
and yields the very session that it yielded before. Its `commit()` may be
awaited or not, also on a blocking session.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session

from yokedcache.core.durations import optional_seconds
from yokedcache.core.entry import MISS
from yokedcache.core.keys import canonical, is_ignored
from yokedcache.errors import DeclarationError, UsageError, ValueNotStorableError
from yokedcache.policy import UNSET
from yokedcache.sqlalchemy.answering import SessionAnswerer
from yokedcache.sqlalchemy.attached import Attachment
from yokedcache.sqlalchemy.install import install
from yokedcache.sqlalchemy.scenes import unwrap
from yokedcache.sqlalchemy.tracking import install as track

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from sqlalchemy.orm import Session

    from yokedcache.cache import YokedCache
    from yokedcache.core.durations import Duration

F = TypeVar("F")


class Committed:
    """
    What `commit()` gives on a blocking session: nothing, awaitable.
    """

    def __await__(self) -> Iterator[Any]:
        return iter(())

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "None"


COMMITTED = Committed()


def cached_dependency(
    dependency: F,
    *,
    cache: YokedCache | None = None,
    ttl: Duration | None = None,
    table_name: str | Iterable[str] | None = None,
    vary: Any = UNSET,
) -> F:
    """
    Wrap what yields or returns sessions, so that their reads come from a cache.

    Args:
        dependency: a generator, async generator, context manager or plain
            function; one that gives no session is cached by its arguments.
        cache: the cache to use; else the first that was made.
        ttl: how long what is read lives: seconds, `timedelta` or `"5m"`.
        table_name: cache only statements that read one of these tables;
            `"auto_detect"` or nothing: all.
        vary: what answers vary on besides the statement: a value, or a callable
            of the session; `None` says that nothing does.

    Raises:
        DeclarationError: the dependency can't be wrapped.
        DurationError: `ttl` is negative, absurd or can't be read.
    """
    if not callable(dependency) or isinstance(dependency, type):
        msg = (
            f"cached_dependency takes a function that yields or returns a session, "
            f"got {dependency!r}"
        )
        raise DeclarationError(msg, dependency=repr(dependency))
    wrapped = _Dependency(dependency, cache, ttl, table_name, vary)
    return functools.wraps(dependency)(_shaped(dependency, wrapped))  # type: ignore[return-value]


class _Dependency:
    """
    One wrapped dependency.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        cache: YokedCache | None,
        ttl: Duration | None,
        tables: Any,
        vary: Any,
    ) -> None:
        self.function = function
        self._cache = cache
        self._options = {"ttl": ttl, "tables": tables, "vary": vary}
        self._ttl = optional_seconds(ttl)
        self._answerer: SessionAnswerer | None = None
        Attachment(None, **self._options)  # type: ignore[arg-type] - checks the options

    def adopt(self, value: Any) -> Any:
        """
        Attach a session to the cache; anything else is given back as it is.
        """
        session = unwrap(value)
        if session is None:
            return value
        install(session, self._answering())
        if not isinstance(value, (AsyncSession, async_scoped_session)):
            _let_await(session)
        return value

    def stored(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        """
        Give the key of a call and what is stored for it, or `MISS`.
        """
        machine = self._machine()
        try:
            parts = (args, tuple(sorted(kwargs.items())))
            key = ("dependency", id(self), canonical(_keyable(parts)))
        except UsageError:
            return None, MISS
        return key, MISS if machine.closed else machine.peek(key)

    def keep(self, key: Any, value: Any) -> None:
        """
        Store what a call gave, if it is no session and can be kept.
        """
        if key is None or unwrap(value) is not None or is_ignored(value):
            return
        machine = self._machine()
        tally = machine.tally(f"dependency {self.function.__qualname__}")
        tally.loads += 1
        with contextlib.suppress(ValueNotStorableError):
            entry = machine.entry(value, (), machine.lifetime(self._ttl), tally)
            machine.store.put(key, entry)

    def _answering(self) -> SessionAnswerer:
        if self._answerer is None or self._answerer.attachment.machine.closed:
            track()
            attachment = Attachment(self._machine(), **self._options)
            self._answerer = SessionAnswerer(attachment)
        return self._answerer

    def _machine(self) -> Any:
        if self._cache is not None:
            return self._cache.machine
        from yokedcache.cache import default_cache

        return default_cache().machine


def _keyable(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_keyable(item) for item in value if not is_ignored(item))
    return value


def _shaped(function: Any, wrapped: _Dependency) -> Any:
    """
    Make a function of the same kind as the dependency.
    """
    if inspect.isasyncgenfunction(function):
        return _async_generator(wrapped)
    if inspect.isgeneratorfunction(function):
        return _generator(wrapped)
    if inspect.iscoroutinefunction(function):
        return _coroutine(wrapped)
    return _plain(wrapped)


def _generator(wrapped: _Dependency) -> Any:
    manager = contextlib.contextmanager(wrapped.function)

    def dependency(*args: Any, **kwargs: Any) -> Iterator[Any]:
        key, found = wrapped.stored(args, kwargs)
        if found is not MISS:
            yield found
            return
        with manager(*args, **kwargs) as value:
            wrapped.keep(key, value)
            yield wrapped.adopt(value)

    return dependency


def _async_generator(wrapped: _Dependency) -> Any:
    manager = contextlib.asynccontextmanager(wrapped.function)

    async def dependency(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        key, found = wrapped.stored(args, kwargs)
        if found is not MISS:
            yield found
            return
        async with manager(*args, **kwargs) as value:
            wrapped.keep(key, value)
            yield wrapped.adopt(value)

    return dependency


def _coroutine(wrapped: _Dependency) -> Any:
    async def dependency(*args: Any, **kwargs: Any) -> Any:
        key, found = wrapped.stored(args, kwargs)
        if found is not MISS:
            return found
        value = await wrapped.function(*args, **kwargs)
        wrapped.keep(key, value)
        return wrapped.adopt(value)

    return dependency


def _plain(wrapped: _Dependency) -> Any:
    def dependency(*args: Any, **kwargs: Any) -> Any:
        key, found = wrapped.stored(args, kwargs)
        if found is not MISS:
            return found
        value = wrapped.function(*args, **kwargs)
        if isinstance(value, contextlib.AbstractContextManager) and unwrap(value) is None:
            return _managed(wrapped, value)
        if (
            isinstance(value, contextlib.AbstractAsyncContextManager)
            and unwrap(value) is None
        ):
            return _managed_async(wrapped, value)
        wrapped.keep(key, value)
        return wrapped.adopt(value)

    return dependency


@contextlib.contextmanager
def _managed(wrapped: _Dependency, manager: Any) -> Iterator[Any]:
    with manager as value:
        yield wrapped.adopt(value)


@contextlib.asynccontextmanager
async def _managed_async(wrapped: _Dependency, manager: Any) -> AsyncIterator[Any]:
    async with manager as value:
        yield wrapped.adopt(value)


def _let_await(session: Session) -> None:
    """
    Let a blocking session's `commit()` be awaited; its class stays as it is.
    """
    if "commit" in session.__dict__:
        return
    commit = type(session).commit

    def commit_awaitably() -> Committed:
        commit(session)
        return COMMITTED

    session.__dict__["commit"] = commit_awaitably
