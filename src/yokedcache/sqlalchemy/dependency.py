"""
`cached_dependency`: a dependency that yields sessions, with its sessions attached.

The dependency keeps its signature, so that FastAPI injects into it as before,
and yields the very session that it yielded before. Its `commit()` may be
awaited or not, also on a blocking session.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import inspect
from typing import TYPE_CHECKING, Any, TypeVar

from yokedcache.core.keys import is_ignored
from yokedcache.decorators import cached
from yokedcache.errors import DeclarationError, UsageError
from yokedcache.policy import UNSET, check_cache
from yokedcache.sqlalchemy.answers.answering import SessionAnswerer
from yokedcache.sqlalchemy.asynchronous import AsyncSession, async_scoped_session
from yokedcache.sqlalchemy.attached import Attachment, check_options
from yokedcache.sqlalchemy.functions.reaching import unwrap
from yokedcache.sqlalchemy.install import install
from yokedcache.sqlalchemy.tracking import install as track

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from sqlalchemy.orm import Session

    from yokedcache.cache import YokedCache
    from yokedcache.core.durations import Duration

F = TypeVar("F")


class Committed(enum.Enum):
    """
    What `commit()` gives on a blocking session: nothing, awaitable.

    An enum, so that an endpoint that returns it gives `null`: what makes JSON of
    values takes an enum's value.
    """

    COMMITTED = None

    def __await__(self) -> Iterator[Any]:
        return iter(())

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "None"


COMMITTED = Committed.COMMITTED


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
            function; a function that gives no session is cached as by `@cached`.
        cache: the cache to use; else the first that was made.
        ttl: how long what is read lives: seconds, `timedelta` or `"5m"`.
        table_name: cache only statements that read one of these tables;
            `"auto_detect"` or nothing: all.
        vary: what answers vary on besides the statement: a value, or a callable
            of the session; `None` says that nothing does.

    Raises:
        DeclarationError: the dependency can't be wrapped, or `cache` is no cache.
        DurationError: `ttl` is negative, absurd or can't be read.
    """
    if not callable(dependency) or isinstance(dependency, type):
        msg = (
            f"cached_dependency takes a function that yields or returns a session, "
            f"got {dependency!r}"
        )
        raise DeclarationError(msg, dependency=repr(dependency))
    check_cache(cache)
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
        self._gives_values: bool | None = None
        self._cached: Any = None
        self._answerer: SessionAnswerer | None = None
        check_options(**self._options)

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

    def answers(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """
        Give the cached form of the function, or `None` if a call must run it.

        One that was seen to give no session is cached as `@cached` would. What a
        request or a client that it is handed says is in no key, so that keeps it
        from being cached.
        """
        if not self._gives_values:
            return None
        for value in (*args, *kwargs.values()):
            if is_ignored(value) and unwrap(value) is None:
                return None
        try:
            if self._cached is None:
                self._cached = cached(cache=self._cache, ttl=self._options["ttl"])(
                    self.function
                )
            self._cached.key(*args, **kwargs)
        except UsageError:
            return None
        return self._cached

    def note(self, value: Any) -> None:
        """
        Learn from what a call gave whether the function gives sessions.
        """
        if self._gives_values is None and not inspect.isawaitable(value):
            session = unwrap(value) is not None
            varied = self._options["vary"] not in (UNSET, None)
            self._gives_values = not session and not varied

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


def _shaped(function: Any, wrapped: _Dependency) -> Any:
    """
    Make a function of the same kind as the dependency.
    """
    if not (inspect.isroutine(function) or isinstance(function, functools.partial)):
        function = type(function).__call__  # an object that can be called
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
        with manager(*args, **kwargs) as value:
            yield wrapped.adopt(value)

    return dependency


def _async_generator(wrapped: _Dependency) -> Any:
    manager = contextlib.asynccontextmanager(wrapped.function)

    async def dependency(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        async with manager(*args, **kwargs) as value:
            yield wrapped.adopt(value)

    return dependency


def _coroutine(wrapped: _Dependency) -> Any:
    async def dependency(*args: Any, **kwargs: Any) -> Any:
        answers = wrapped.answers(args, kwargs)
        if answers is not None:
            return await answers(*args, **kwargs)
        value = await wrapped.function(*args, **kwargs)
        wrapped.note(value)
        return wrapped.adopt(value)

    return dependency


def _plain(wrapped: _Dependency) -> Any:
    def dependency(*args: Any, **kwargs: Any) -> Any:
        answers = wrapped.answers(args, kwargs)
        if answers is not None:
            return answers(*args, **kwargs)
        value = wrapped.function(*args, **kwargs)
        if (
            isinstance(value, contextlib.AbstractContextManager)
            and unwrap(value) is None
        ):
            return _managed(wrapped, value)
        if (
            isinstance(value, contextlib.AbstractAsyncContextManager)
            and unwrap(value) is None
        ):
            return _managed_async(wrapped, value)
        wrapped.note(value)
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
