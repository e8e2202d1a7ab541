"""
What the author of a cached function asked for, checked when it is decorated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from yokedcache.core.durations import optional_seconds, seconds
from yokedcache.core.freshness import early_window
from yokedcache.errors import DeclarationError, UsageError
from yokedcache.machine import Machine, checked_tags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from yokedcache.core.durations import Duration
    from yokedcache.core.entry import Lifetime

UNSET: Any = type("_Unset", (), {"__repr__": lambda _: "UNSET"})()
"""Stands for an option that was not given, where `None` means something."""


class Policy(Protocol):
    """
    What the author of a cached function asked for.
    """

    tags: tuple[str, ...]
    beta: float
    copy: bool
    timed: bool
    """A TTL was given: what the database makes up anew each time may be kept."""
    varied: bool
    """It was said what answers vary on, if only that nothing does."""
    late: bool
    """Some tags are told by the result alone."""
    varies: bool
    """What they vary on is asked of the caller's context, so only that may load."""

    def lifetime(self, machine: Machine, cost: float) -> Lifetime:
        """
        Give the lifetime of a result that took `cost` seconds to make.
        """

    def error_lifetime(self, machine: Machine, error: Exception) -> Lifetime | None:
        """
        Give the lifetime of an exception that may be cached, else `None`.
        """

    def wanted(self, value: Any) -> bool:
        """
        Tell whether a result is to be stored.
        """

    def result_tags(self, value: Any) -> tuple[str, ...]:
        """
        Name the tags that a result asks for.
        """


class FunctionPolicy:
    """
    The options of `@cached`, in seconds and checked; one for each function.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        ttl: Duration | None,
        tags: Iterable[str] | Callable[..., Iterable[str]],
        result_tags: Callable[[Any], Iterable[str]] | None,
        key: str | Callable[..., object] | None,
        condition: Callable[[Any], bool] | None,
        stale: Duration | None,
        stale_on_error: Duration | None,
        early: float,
        errors: Mapping[type[Exception], Duration] | None,
        vary: Any,
        copy: bool,
    ) -> None:
        import inspect

        self.names = tuple(inspect.signature(function).parameters)
        self.ttl = optional_seconds(ttl)
        self.stale = optional_seconds(stale, name="stale") or 0.0
        self.on_error = optional_seconds(stale_on_error, name="stale_on_error") or 0.0
        self.beta = _beta(early)
        self.errors = {
            kind: seconds(duration, name=f"errors[{_name(kind)}]")
            for kind, duration in (errors or {}).items()
        }
        self.condition = condition
        self.vary = vary
        self.varied = vary is not UNSET
        self.varies = callable(vary)
        self.timed = ttl is not None
        self.copy = copy
        self._result_tags = result_tags
        self.late = result_tags is not None
        self._key = key
        self._tag_maker: Callable[..., Iterable[str]] | None = None
        self._templates: tuple[str, ...] = ()
        self.tags: tuple[str, ...] = ()
        self._read_tags(tags)
        self._check_template(key if isinstance(key, str) else "")

    @property
    def plain(self) -> bool:
        """
        Tell whether arguments alone make the key and the answer.
        """
        return self._key is None and (self.vary is UNSET or self.vary is None)

    @property
    def told(self) -> tuple[Any, ...]:
        """
        List what decides on keys and tags: functions, and text.
        """
        text = repr((self.tags, self._templates, self.copy))
        return (self._key, self._tag_maker, self._result_tags, self.condition, text)

    def lifetime(self, machine: Machine, cost: float) -> Lifetime:
        """
        Give the lifetime of a result that took `cost` seconds to make.
        """
        ttl = machine.settings.ttl if self.ttl is None else self.ttl
        return machine.lifetime(
            ttl,
            stale=self.stale,
            on_error=self.on_error,
            early=early_window(cost, self.beta, ttl),
        )

    def error_lifetime(self, machine: Machine, error: Exception) -> Lifetime | None:
        """
        Give the lifetime of an exception that may be cached, else `None`.
        """
        for kind, ttl in self.errors.items():
            if isinstance(error, kind):
                return machine.lifetime(ttl)
        return None

    def wanted(self, value: Any) -> bool:
        """
        Tell whether a result is to be stored.
        """
        return self.condition is None or bool(self.condition(value))

    def result_tags(self, value: Any) -> tuple[str, ...]:
        """
        Name the tags that a result asks for.
        """
        maker = self._result_tags
        return () if maker is None else checked_tags(maker(value))

    def call_tags(self, values: tuple[Any, ...]) -> tuple[str, ...]:
        """
        Name the tags of a call, from its bound arguments.
        """
        if self._tag_maker is not None:
            return checked_tags(self._tag_maker(*values))
        if not self._templates:
            return self.tags
        named = dict(zip(self.names, values, strict=True))
        return (*self.tags, *(text.format(**named) for text in self._templates))

    def key_of(self, values: tuple[Any, ...]) -> Any:
        """
        Give what the author wants as the key of a call, or `UNSET`.
        """
        if self._key is None:
            return UNSET
        if isinstance(self._key, str):
            return self._key.format(**dict(zip(self.names, values, strict=True)))
        return self._key(*values)

    def vary_value(self) -> Any:
        """
        Ask what the answer varies on right now.
        """
        return self.vary() if callable(self.vary) else self.vary

    def _read_tags(self, tags: Any) -> None:
        if callable(tags):
            self._tag_maker = tags
            return
        names = checked_tags(tags)
        self._templates = tuple(name for name in names if _fields(name))
        self.tags = tuple(name for name in names if not _fields(name))
        for template in self._templates:
            self._check_template(template)

    def _check_template(self, template: str) -> None:
        for field in _fields(template):
            name = field.partition(".")[0].partition("[")[0]
            if name not in self.names:
                msg = (
                    f"the template {template!r} names {name!r}, which is no parameter "
                    f"of the function (it has: {', '.join(self.names) or 'none'})"
                )
                raise DeclarationError(msg, template=template, field=name)


def check_cache(cache: object) -> None:
    """
    Check that `cache=` was given a cache, or nothing.
    """
    if cache is not None and not isinstance(getattr(cache, "machine", None), Machine):
        msg = f"cache={cache!r} must be a YokedCache"
        raise DeclarationError(msg, cache=repr(cache))


def _fields(template: str) -> list[str]:
    import string

    try:
        return [field for _, field, _, _ in string.Formatter().parse(template) if field]
    except ValueError as error:
        msg = f"the template {template!r} can't be read: {error}"
        raise DeclarationError(msg, template=template) from error


_MOST_EAGER = 100


def _beta(early: float) -> float:
    if isinstance(early, bool):
        return 1.0 if early else 0.0
    given: object = early
    if not isinstance(given, (int, float)) or not 0 <= given <= _MOST_EAGER:
        msg = f"early={early!r} must be a number from 0 (off) to 100; 1.0 is usual"
        raise UsageError(msg, early=early)
    return float(early)


def _name(kind: object) -> str:
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        msg = f"errors= maps exception classes to durations, got the key {kind!r}"
        raise DeclarationError(msg, kind=kind)
    return kind.__name__
