"""
`YokedCache`: the async face, and the way to everything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from yokedcache import plain
from yokedcache.machine import Machine
from yokedcache.runtime.clocks import monotonic
from yokedcache.runtime.forks import Guard
from yokedcache.runtime.gil import check_gil
from yokedcache.sync import SyncCache, loader_host

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from types import TracebackType
    from typing import Unpack

    from yokedcache.core.durations import Duration
    from yokedcache.signatures import AttachOptions
    from yokedcache.stats import Explanation, Stats

T = TypeVar("T")

_default: YokedCache | None = None
_guard = Guard()


class YokedCache:
    """
    A cache for what a process reads from its databases, and for anything else.

    `YokedCache()` takes its URL from the environment variable
    `YOKEDCACHE_URL`; without one, entries live in the process's memory. It is
    ready at once; many event loops and threads may share it.

    Args:
        url: where entries live, such as `"memory://?max_entries=1000"`.
        clock: what tells the time in seconds, for tests; see `yokedcache.testing`.
        settings: see `yokedcache.settings.Settings`.

    Raises:
        SettingsError: an unknown setting or URL scheme, or a value out of range.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        clock: Callable[[], float] = monotonic,
        **settings: Any,
    ) -> None:
        from yokedcache.settings import read

        check_gil()
        self.settings = read(url, settings)
        self.machine = Machine(self.settings, clock)
        self._done = self.machine.done_async
        self.sync = SyncCache(self.machine)
        _adopt(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __enter__(self) -> SyncCache:
        return self.sync

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.sync.close()

    async def get(self, key: str, default: Any = None) -> Any:
        """
        Give the value under a key, else `default`.
        """
        return await self._done(plain.getting(self.machine, key, default))

    async def set(
        self,
        key: str,
        value: Any,
        *,
        ttl: Duration | None = None,
        tags: Iterable[str] = (),
    ) -> bool:
        """
        Store a value under a key; false if a commit on its tags is in flight.
        """
        return await self._done(
            plain.setting(self.machine, key, value, ttl=ttl, tags=tags)
        )

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """
        Give the values of those keys that are there.
        """
        return await self._done(plain.getting_many(self.machine, keys))

    async def set_many(
        self,
        values: Mapping[str, Any],
        *,
        ttl: Duration | None = None,
        tags: Iterable[str] = (),
    ) -> int:
        """
        Store several values; give how many were stored.
        """
        return await self._done(
            plain.setting_many(self.machine, values, ttl=ttl, tags=tags)
        )

    async def delete(self, key: str) -> bool:
        """
        Drop a key; tell whether it was there.
        """
        return await self._done(plain.deleting(self.machine, key))

    async def exists(self, key: str) -> bool:
        """
        Tell whether a key is there.
        """
        return await self._done(plain.existing(self.machine, key))

    async def expire(self, key: str, ttl: Duration) -> bool:
        """
        Let a key live for `ttl` from now; false if it isn't there.
        """
        return await self._done(plain.expiring(self.machine, key, ttl))

    @overload
    async def get_or_set(
        self,
        key: str,
        loader: Callable[[], Awaitable[T]],
        *,
        ttl: Duration | None = None,
        tags: Iterable[str] = (),
    ) -> T: ...
    @overload
    async def get_or_set(
        self,
        key: str,
        loader: Callable[[], T],
        *,
        ttl: Duration | None = None,
        tags: Iterable[str] = (),
    ) -> T: ...
    async def get_or_set(
        self,
        key: str,
        loader: Callable[[], Any],
        *,
        ttl: Duration | None = None,
        tags: Iterable[str] = (),
    ) -> Any:
        """
        Give the value under a key, loading it once for all who ask meanwhile.

        `loader` takes no arguments and may be async.
        """
        host, plan, finish = loader_host(
            self.machine, key, loader, ttl=ttl, tags=tags, blocking=False
        )
        from yokedcache.runtime.drive import run_async

        return finish(await run_async(plan, host))

    fetch_or_set = get_or_set

    async def invalidate_tags(self, tags: str | Iterable[str]) -> None:
        """
        Make everything that depends on one of the tags unservable.
        """
        await self._done(self.machine.invalidating_tags(tags))

    async def invalidate_prefix(self, prefix: str) -> None:
        """
        Make every key under a declared prefix unservable.
        """
        await self._done(self.machine.invalidating_prefix(prefix))

    async def invalidate_database(self) -> None:
        """
        Make every answer read from a database unservable.

        For what this process can't hear: a migration, a write by another program.
        """
        await self._done(self.machine.invalidating_database())

    async def clear(self) -> None:
        """
        Drop every entry of this cache, and nothing else.
        """
        await self._done(self.machine.clearing())

    async def close(self) -> None:
        """
        Drop everything and end the cache: whatever it answered runs uncached.

        Later calls of its methods raise `ClosedError`. Functions that were decorated
        without `cache=` go on with another cache.
        """
        await self.machine.close_async()

    def stats(self) -> Stats:
        """
        Count hits, loads, refusals and bypasses since the cache was made.
        """
        return self.sync.stats()

    def explain(self, target: Any, *args: Any, **kwargs: Any) -> Explanation:
        """
        Tell how a call of a cached function, a key or a statement is answered.
        """
        return self.sync.explain(target, *args, **kwargs)

    def attach(self, target: T, **options: Unpack[AttachOptions]) -> T:
        """
        Answer the statements of a session, or of what makes sessions, from here.

        Args:
            target: a `sessionmaker`, `async_sessionmaker`, `scoped_session`, a
                session class or one session.
            options: `ttl`, `tables` (only statements that read one of these),
                `vary` (a value or a callable of the session).

        Raises:
            DeclarationError: the target makes no sessions.
            SettingsError: its engine's database is the file in which this cache is.
        """
        from yokedcache.machine import integration

        attached: T = integration().attach(self, target, **options)
        return attached

    def detach(self, target: Any) -> None:
        """
        Undo `attach`.
        """
        from yokedcache.machine import integration

        integration().detach(target)

    def touches(self, table: str, *others: str) -> None:
        """
        Tell which tables a write to a table changes besides it, and no more.

        For triggers and rules that can't be read: without this, a write to such a
        table drops everything cached of its database.

        Raises:
            DeclarationError: a name isn't a table's.
        """
        from yokedcache.machine import integration

        self.machine.check_open()
        integration().touches(self.machine, table, others)

    def wrote(self, connection: Any, tables: str | Iterable[str]) -> None:
        """
        Tell which tables were written over a connection of the driver's own.

        Without this, a connection that was handed out raw may have written anything:
        everything cached of its database is dropped when it comes back. Call it after
        the driver's commit, or before a commit that SQLAlchemy makes.

        Args:
            connection: a `Connection`, `AsyncConnection`, session, or what
                `engine.raw_connection()` gave.
            tables: their names; none says that nothing was written.

        Raises:
            UsageError: it isn't a connection that is open.
            DeclarationError: a name isn't a table's.
        """
        from yokedcache.machine import integration

        self.machine.check_open()
        integration().wrote(connection, tables)


def default_cache() -> YokedCache:
    """
    Give the cache that `@cached` uses: the first made, or one made now.
    """
    cache = _default
    if cache is None or cache.machine.closed:
        cache = YokedCache()
        _adopt(cache)
    return cache


def _adopt(cache: YokedCache) -> None:
    global _default  # noqa: PLW0603 - the default cache is the process's
    with _guard:
        if _default is None or _default.machine.closed:
            _default = cache
