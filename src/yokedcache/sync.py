"""
The blocking face: `cache.sync`, with the same method names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from yokedcache import plain
from yokedcache.calls import CallHost
from yokedcache.core.durations import optional_seconds
from yokedcache.core.kept_errors import raise_own
from yokedcache.core.plans import Answer, answer_call
from yokedcache.errors import UsageError
from yokedcache.machine import KEYS, Machine, checked_tags, plain_key
from yokedcache.runtime.context import hand_on
from yokedcache.runtime.drive import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from yokedcache.core.durations import Duration
    from yokedcache.core.entry import Lifetime
    from yokedcache.core.operations import Plan
    from yokedcache.stats import Explanation, Stats

T = TypeVar("T")


class SyncCache:
    """
    A cache for code that blocks; made by `YokedCache`, as its `sync`.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._done = machine.done

    def get(self, key: str, default: Any = None) -> Any:
        """
        Give the value under a key, else `default`.
        """
        return self._done(plain.getting(self._machine, key, default))

    def set(
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
        return self._done(plain.setting(self._machine, key, value, ttl=ttl, tags=tags))

    def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """
        Give the values of those keys that are there.
        """
        return self._done(plain.getting_many(self._machine, keys))

    def set_many(
        self,
        values: Mapping[str, Any],
        *,
        ttl: Duration | None = None,
        tags: Iterable[str] = (),
    ) -> int:
        """
        Store several values; give how many were stored.
        """
        return self._done(plain.setting_many(self._machine, values, ttl=ttl, tags=tags))

    def delete(self, key: str) -> bool:
        """
        Drop a key; tell whether it was there.
        """
        return self._done(plain.deleting(self._machine, key))

    def exists(self, key: str) -> bool:
        """
        Tell whether a key is there.
        """
        return self._done(plain.existing(self._machine, key))

    def expire(self, key: str, ttl: Duration) -> bool:
        """
        Let a key live for `ttl` from now; false if it isn't there.
        """
        return self._done(plain.expiring(self._machine, key, ttl))

    def get_or_set(
        self,
        key: str,
        loader: Callable[[], T],
        *,
        ttl: Duration | None = None,
        tags: Iterable[str] = (),
    ) -> T:
        """
        Give the value under a key, loading it once for all who ask meanwhile.
        """
        import inspect

        if inspect.iscoroutinefunction(loader):
            msg = f"cache.sync can't run the async loader {loader!r}; use `await cache.get_or_set`"
            raise UsageError(msg, loader=loader)
        host, plan, finish = loader_host(
            self._machine, key, loader, ttl=ttl, tags=tags, blocking=True
        )
        value: T = finish(run(plan, host.perform))
        return value

    fetch_or_set = get_or_set

    def invalidate_tags(self, tags: str | Iterable[str]) -> None:
        """
        Make everything that depends on one of the tags unservable.
        """
        self._done(self._machine.invalidating_tags(tags))

    def invalidate_prefix(self, prefix: str) -> None:
        """
        Make every key under a declared prefix unservable.
        """
        self._done(self._machine.invalidating_prefix(prefix))

    def invalidate_database(self) -> None:
        """
        Make every answer read from a database unservable.
        """
        self._done(self._machine.invalidating_database())

    def clear(self) -> None:
        """
        Drop every entry of this cache, and nothing else.
        """
        self._done(self._machine.clearing())

    def close(self) -> None:
        """
        Drop everything and end the cache: whatever it answered runs uncached.

        Later calls of its methods raise `ClosedError`. Functions that were decorated
        without `cache=` go on with another cache.
        """
        self._machine.close()

    def stats(self) -> Stats:
        """
        Count hits, loads, refusals and bypasses since the cache was made.
        """
        from yokedcache.stats import count

        return count(self._machine)

    def explain(self, target: Any, *args: Any, **kwargs: Any) -> Explanation:
        """
        Tell how a call of a cached function, a key or a statement is answered.
        """
        from dataclasses import replace

        from yokedcache.stats import explain_key

        handle = getattr(target, "handle", None)
        if handle is not None:
            request = handle.core.request(handle.core.bound(args, kwargs))
            told = explain_key(self._machine, request.key, request.bypass)
            if told.served:
                return told
            return replace(told, refused=dict(handle.core.tally().refusals))
        if isinstance(target, str):
            machine = self._machine
            return explain_key(machine, plain_key(target), machine.store.off)
        from yokedcache.machine import integration

        about: Explanation = integration().explain(
            self._machine, target, *args, **kwargs
        )
        return about


class _LoaderPolicy:
    """
    The policy of `get_or_set`.
    """

    beta = 0.0
    copy = True
    late = False
    varied = False
    varies = False

    def __init__(self, ttl: float | None, tags: tuple[str, ...]) -> None:
        self.ttl = ttl
        self.tags = tags
        self.timed = ttl is not None

    def lifetime(self, machine: Machine, cost: float) -> Lifetime:  # noqa: ARG002
        return machine.lifetime(self.ttl)

    def error_lifetime(self, machine: Machine, error: Exception) -> None:
        """
        Keep no exceptions.
        """

    def wanted(self, value: Any) -> bool:  # noqa: ARG002
        return True

    def result_tags(self, value: Any) -> tuple[str, ...]:  # noqa: ARG002
        return ()


def loader_host(
    machine: Machine,
    key: str,
    loader: Callable[[], Any],
    *,
    ttl: Duration | None,
    tags: Iterable[str],
    blocking: bool,
) -> tuple[CallHost, Plan[Answer], Callable[[Answer], Any]]:
    """
    Make what answers `get_or_set`: a host, its plan, and how to read the answer.
    """
    machine.check_open()
    full = plain_key(key)
    names = (*checked_tags(tags), *machine.prefix_tags(key))
    policy = _LoaderPolicy(optional_seconds(ttl), names)
    call = loader if blocking else _awaited(loader)
    host = CallHost(
        machine,
        policy,
        machine.tally(KEYS),
        full,
        call,
        blocking=blocking,
        ticket=machine.terminal.ticket(),
        given=names,
    )
    return host, answer_call(full, names, ticket=host.ticket), _finish


def _awaited(loader: Callable[[], Any]) -> Callable[[], Any]:
    import inspect

    async def load() -> Any:
        value = loader()
        return await value if inspect.isawaitable(value) else value

    return load


def _finish(answer: Answer) -> Any:
    if answer.loaded is not None:
        if answer.loaded.error is not None:
            raise_own(answer.loaded)
        return answer.loaded.value
    entry = answer.entry
    if entry is None:  # pragma: no cover - plans give one of the two
        return None
    entry.hits += 1
    hand_on(entry.vector)
    return entry.read()
