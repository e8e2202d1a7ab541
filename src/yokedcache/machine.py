"""
Everything of a cache but the waiting: what both faces stand on.

`YokedCache` (async) and `cache.sync` (blocking) are thin shells over one
`Machine`, as are decorated functions and attached sessions.
"""

from __future__ import annotations

import importlib
import weakref
from typing import TYPE_CHECKING, Any, Final, TypeVar

from yokedcache.core.causes import Cause, Causes
from yokedcache.core.entry import MISS, Entry, Lifetime, Miss, Tally
from yokedcache.core.freshness import Verdict, judge
from yokedcache.core.keys import PLAIN
from yokedcache.core.tags import ANY_DATABASE, ANY_TAG
from yokedcache.core.values import isolate, weigh
from yokedcache.errors import ClosedError, SettingsError, UsageError
from yokedcache.opening import open_store
from yokedcache.runtime import surroundings
from yokedcache.runtime.clocks import jitter, monotonic
from yokedcache.runtime.drive import run, run_async
from yokedcache.runtime.flights import Terminal
from yokedcache.runtime.forks import Guard, after_fork
from yokedcache.runtime.log import once
from yokedcache.runtime.places import here

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from yokedcache.core.tags import Stamp, Vector
    from yokedcache.settings import Settings
    from yokedcache.stores.silent import Asking

    T = TypeVar("T")

KEYS: Final = PLAIN
"""The tally of plain keys: `get`, `set` and their kin."""

_open: tuple[weakref.ref[Machine], ...] = ()
"""The caches that are open; replaced whole, so that reading it takes no lock."""
_guard = Guard()

_MOST_USED: Final = 10_000
_used: Final[set[str]] = set()
"""Tags that something of this process was given, as far as they are remembered."""


class Machine:
    """
    One cache: its store, its flights, its counts.
    """

    def __init__(
        self, settings: Settings, clock: Callable[[], float] = monotonic
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.terminal = Terminal(settings.flight_timeout, self._ask)
        self.store = open_store(settings, clock, self.terminal.ticket)
        self.shared: dict[str, str] = {}
        """Databases of which nothing is kept, for other processes use them; and why."""
        self.tallies: dict[str, Tally] = {}
        self.invalidations = 0
        self.causes = Causes()
        self.hot: Any = None
        """Tables on which look-ups gain nothing; see `sqlalchemy.hot`."""
        self.audit: Any = None
        """Checks of statements' hits, once there are any; see `sqlalchemy.audit`."""
        self.touched: dict[str, frozenset[str]] = {}
        """What the app told of tables: the others that a write to each changes."""
        self.closed = False
        _list(self)
        surroundings.install_integrations()
        surroundings.opened(self)

    def _ask(self) -> None:
        self.store.ask()

    def tally(self, name: str) -> Tally:
        """
        Give the counts kept under a name.
        """
        return self.tallies.setdefault(name, Tally(name))

    def check_open(self) -> None:
        """
        Raise if the cache was closed.
        """
        if self.closed:
            msg = "this cache was closed; make a new YokedCache"
            raise ClosedError(msg)

    def done(self, asking: Asking[T]) -> T:
        """
        Hold a conversation with the store where the caller is.
        """
        return run(asking, self.store.allowance().here)

    async def done_async(self, asking: Asking[T]) -> T:
        """
        Hold it in the running event loop.
        """
        return await run_async(asking, self.store.allowance())

    def looking(
        self, key: Hashable, names: Iterable[str] = (), *, owner: Tally | None = None
    ) -> Asking[Entry | None]:
        """
        Give the entry under a key if it may be served plainly now.
        """
        ticket = self.terminal.ticket()
        entry = yield from self.store.look(key, ticket, names, owner=owner, near=True)
        if entry is None or judge(entry, self.clock()) is not Verdict.FRESH:
            return None
        return None if surroundings.open_transaction(entry.vector) else entry

    def peeking(self, key: Hashable) -> Asking[Any | Miss]:
        """
        Give what is served plainly under any key, or `MISS`, counting nothing.
        """
        entry = yield from self.looking(key)
        return MISS if entry is None else entry.read()

    def invalidating_tags(self, tags: str | Iterable[str]) -> Asking[None]:
        """
        Make everything that depends on one of the tags unservable.

        Now, and again when the transactions that are open here have ended: whoever
        fills the cache before that reads what was there before.
        """
        self.check_open()
        names = _checked((tags,) if isinstance(tags, str) else tags)
        known = self.store.names()
        reached = spread(names, known)
        _doubt(names, known)
        if self.store.shares and any(map(_short, names)):
            # of databases that nobody here has met
            reached.append(ANY_TAG)
        yield from self._invalidate("invalidate_tags", reached)
        surroundings.invalidated(self, reached)

    def invalidating_prefix(self, prefix: str) -> Asking[None]:
        """
        Make every key under a declared prefix unservable.
        """
        self.check_open()
        name = prefix.rstrip(":")
        if name not in self.settings.prefixes:
            declared = ", ".join(map(repr, self.settings.prefixes)) or "none"
            msg = (
                f"prefix {prefix!r} was not declared (declared: {declared}); "
                f"declare it: YokedCache(prefixes=[{name!r}])"
            )
            raise SettingsError(msg, prefix=prefix)
        yield from self._invalidate("invalidate_prefix", [f"prefix:{name}"])

    def invalidating_database(self) -> Asking[None]:
        """
        Make every answer that was read from any database unservable.
        """
        self.check_open()
        names = [n for n in self.store.names() if n.startswith("database:")]
        # a shared store may hold answers of databases that nobody here has met
        names += [ANY_DATABASE] if self.store.shares else []
        yield from self._invalidate("invalidate_database", names)

    def _invalidate(self, call: str, names: list[str]) -> Asking[None]:
        self.invalidations += 1
        self.causes.note(names, Cause(f"{call}()", here()), self.clock())
        yield from self.store.bumping(names)

    def clearing(self) -> Asking[None]:
        """
        Drop every entry of this cache.
        """
        self.check_open()
        yield from self.store.clearing()

    def close(self) -> None:
        """
        Drop everything; later calls raise, functions and sessions run uncached.
        """
        if not self.closed:
            self.closed = True
            self.store.clear()
            self.store.close()
            _list(None)

    async def close_async(self) -> None:
        """
        Do the same in an event loop, whose own connections are let go.
        """
        import asyncio  # slow, and in an event loop it is there

        try:
            if self.store.owed:  # the store is told once more, and waited for
                await asyncio.to_thread(self.close)
            else:
                self.close()
        finally:
            await self.store.close_async()

    def prefix_tags(self, key: object) -> list[str]:
        """
        Name the tags of the declared prefixes that a key lies under.
        """
        if not isinstance(key, str):
            return []
        return [
            f"prefix:{prefix}"
            for prefix in self.settings.prefixes
            if key == prefix or key.startswith(f"{prefix}:")
        ]

    def lifetime(self, ttl: float | None, **stretch: float) -> Lifetime:
        """
        Make a lifetime of a TTL in seconds, shortened by jitter.
        """
        base = self.settings.ttl if ttl is None else ttl
        return Lifetime(jitter(base, self.settings.jitter), **stretch)

    def entry(
        self,
        value: Any,
        vector: Vector,
        lifetime: Lifetime,
        tally: Tally,
        *,
        cost: float = 0.0,
        copy: bool = True,
    ) -> Entry:
        """
        Make an entry of a value, isolated from its giver.

        Raises:
            ValueNotStorableError: the value can't be kept as it is.
        """
        copier: Callable[[Any], Any] | None = None
        weight = 0
        if copy:
            taken = surroundings.take_down(value)
            if taken is None:
                value, copier = isolate(value)
            else:
                value, copier, weight = taken.root, taken, taken.weigh()
        entry = Entry(
            value,
            copier=copier,
            vector=vector,
            born=self.clock(),
            cost=cost,
            lifetime=lifetime,
            weight=weight or weigh(value),
        )
        entry.owner = tally
        entry.proven = self.store.unproven
        return entry

    def stamp(self, names: Iterable[str]) -> Stamp:
        """
        Take the versions of tags.
        """
        return self.store.stamp(names)


def plain_key(key: str) -> Hashable:
    """
    Give the store's key of a user's key.
    """
    given: object = key
    if not isinstance(given, str) or not given:
        msg = f"a key is a non-empty string, got {key!r}"
        raise UsageError(msg, key=key)
    return (KEYS, key)


def checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """
    Check that tags are non-empty strings, and remember that they are in use.
    """
    names = _checked(tags)
    if len(_used) < _MOST_USED:
        _used.update(names)
    return names


def _checked(tags: Iterable[str]) -> tuple[str, ...]:
    if isinstance(tags, (str, bytes)):
        msg = (
            f"tags must be a list of strings, got the string {tags!r}; write [{tags!r}]"
        )
        raise UsageError(msg, tags=tags)
    names = tuple(tags)
    given: tuple[object, ...] = names
    for name in given:
        if not isinstance(name, str) or not name:
            msg = f"a tag is a non-empty string, got {name!r}"
            raise UsageError(msg, tag=name)
    return names


def spread(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """
    Add to tags given by their short names those of every database.

    `table:users` stands for `table:users@...` of each database in use.
    """
    wanted = set(names)
    return [*wanted, *(name for name in known if name.partition("@")[0] in wanted)]


def _short(name: str) -> bool:
    """
    Tell the name of a table that doesn't say in which database.
    """
    return name.startswith("table:") and "@" not in name


def _doubt(names: Iterable[str], known: Iterable[str]) -> None:
    """
    Say so if a tag that nobody uses is named like a table that is cached.
    """
    for name in names:
        if name not in _used and any(
            other.startswith(f"table:{name}@") for other in known
        ):
            once(
                "free_tag",
                name,
                "invalidate_tags(%r): nothing was given this tag, but there is a table "
                "of that name. Its own tag is %r, which commits invalidate by themselves.",
                name,
                f"table:{name}",
            )


def integration() -> Any:
    """
    Give the part that knows SQLAlchemy, imported when it is first needed.
    """
    return importlib.import_module("yokedcache.sqlalchemy.attach")


def machines() -> list[Machine]:
    """
    List the caches of this process that are open.
    """
    # asked a dozen times a transaction: without the frame that a comprehension takes
    found = []
    for kept in _open:
        machine = kept()
        if machine is not None:
            found.append(machine)
    return found


def _list(new: Machine | None) -> None:
    """
    Take a cache into the list, and those that are closed or gone out of it.
    """
    global _open  # noqa: PLW0603 - the process's
    with _guard:
        left = [machine for machine in machines() if not machine.closed]
        _open = tuple(map(weakref.ref, left if new is None else [*left, new]))


def _after_fork() -> None:
    for machine in machines():
        machine.store.begin_anew()
        machine.terminal.begin_anew()
        machine.shared.clear()


after_fork(_after_fork)
