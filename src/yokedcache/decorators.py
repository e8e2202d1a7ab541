"""
`@cached`: the decorator, and what a decorated function offers.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, overload

from yokedcache.core.entry import MISS
from yokedcache.errors import DeclarationError
from yokedcache.functions import CachedCall
from yokedcache.generators import gathering, yielding, yields
from yokedcache.policy import UNSET, FunctionPolicy, check_cache
from yokedcache.signatures import Call
from yokedcache.wrapper import build

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from yokedcache.cache import YokedCache
    from yokedcache.core.durations import Duration
    from yokedcache.core.entry import Miss
    from yokedcache.machine import Machine
    from yokedcache.signatures import (
        Arguments,
        Cached,
        Decorator,
        P,
        R,
    )


class Handle:
    """
    The methods that hang on a cached function.
    """

    def __init__(self, core: CachedCall, function: Callable[..., Any]) -> None:
        self.core = core
        self._function = function

    def invalidate(self, *args: Any, **kwargs: Any) -> bool:
        """
        See `Cached.invalidate`.
        """
        return self.core.invalidate(self.core.bound(args, kwargs))

    def refresh(self, *args: Any, **kwargs: Any) -> Any:
        """
        See `Cached.refresh`.
        """
        return self.core.refreshed(self.core.bound(args, kwargs))

    def key(self, *args: Any, **kwargs: Any) -> Hashable:
        """
        See `Cached.key`.
        """
        return self.core.request(self.core.bound(args, kwargs)).key

    def peek(self, *args: Any, **kwargs: Any) -> Any | Miss:
        """
        See `Cached.peek`.
        """
        return self.core.peek(self.core.bound(args, kwargs))

    def uncached(self, *args: Any, **kwargs: Any) -> Any:
        """
        See `Cached.uncached`.
        """
        return self._function(*args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> Call:
        """
        See `Cached.call`.
        """
        self.core.signature.bind(*args, **kwargs)
        return Call(args, kwargs)

    def warm(self, calls: Iterable[Call | Arguments]) -> Any:
        """
        See `Cached.warm`.
        """
        bound = [self._bound(call) for call in calls]
        return self._warm_async(bound) if self.core.is_async else self._warm(bound)

    def _warm(self, calls: list[tuple[Any, ...]]) -> int:
        loaded = 0
        for values in calls:
            if self.core.peek(values) is MISS:
                self.core.answer(values)
                loaded += 1
        return loaded

    async def _warm_async(self, calls: list[tuple[Any, ...]]) -> int:
        loaded = 0
        for values in calls:
            if self.core.peek(values) is MISS:
                await self.core.answer_async(values)
                loaded += 1
        return loaded

    def _bound(self, call: Call | Arguments) -> tuple[Any, ...]:
        if isinstance(call, Call):
            return self.core.bound(call.args, call.kwargs)
        if isinstance(call, tuple):
            return self.core.bound(call, {})
        given: object = call
        if isinstance(given, dict):
            return self.core.bound((), given)
        msg = (
            f"warm() takes calls as tuples of arguments, dicts of keywords or "
            f"`f.call(...)`, got {call!r}"
        )
        raise DeclarationError(msg, call=call)


class GeneratorHandle(Handle):
    """
    The methods of a cached generator: what gives a value gives an iterator.
    """

    def refresh(self, *args: Any, **kwargs: Any) -> Any:
        """
        See `Cached.refresh`.
        """

        def load(*args: Any, **kwargs: Any) -> Any:
            return self.core.refreshed(self.core.bound(args, kwargs))

        return yielding(load, is_async=self.core.is_async)(*args, **kwargs)

    def peek(self, *args: Any, **kwargs: Any) -> Any | Miss:
        """
        See `Cached.peek`.
        """
        found = self.core.peek(self.core.bound(args, kwargs))
        if found is MISS or not self.core.is_async:
            return found if found is MISS else iter(found)

        async def give() -> Any:
            return found

        return yielding(give, is_async=True)()


_METHODS = ("call", "invalidate", "key", "peek", "refresh", "uncached", "warm")


class Bound(functools.partial):  # type: ignore[type-arg]
    """
    A cached method with its instance filled in.

    A `partial`, so that `inspect.iscoroutinefunction` sees what is inside.
    """

    def __getattr__(self, name: str) -> Any:
        if name in _METHODS and name != "warm":
            return functools.partial(getattr(self.func, name), *self.args)
        if name == "warm":
            return self._warm
        if name == "__wrapped__":  # bound as well, for `inspect.signature`
            original = self.func.__wrapped__  # type: ignore[attr-defined]
            return functools.partial(original, *self.args)
        return getattr(self.func, name)

    def _warm(self, calls: Iterable[Call | Arguments]) -> Any:
        function: Any = self.func
        handle: Handle = function.handle
        instance = handle.core.policy.names[0]
        return handle.warm(
            {instance: self.args[0], **call}
            if isinstance(call, dict)
            else call
            if isinstance(call, Call)
            else (*self.args, *call)
            for call in calls
        )


class CachedMethod:
    """
    A cached function in a class body: binds to instances as a function does.
    """

    def __init__(self, wrapper: Callable[..., Any]) -> None:
        self._wrapper: Any = wrapper
        functools.update_wrapper(self, wrapper)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self._wrapper if instance is None else Bound(self._wrapper, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """
        Call the function unbound, as on the class.
        """
        return self._wrapper(*args, **kwargs)


@overload
def cached(function: Callable[P, R], /) -> Cached[P, R]: ...
@overload
def cached(
    *,
    cache: YokedCache | None = None,
    ttl: Duration | None = None,
    tags: Iterable[str] | Callable[..., Iterable[str]] = (),
    result_tags: Callable[[Any], Iterable[str]] | None = None,
    key: str | Callable[..., object] | None = None,
    condition: Callable[[Any], bool] | None = None,
    stale: Duration | None = None,
    stale_on_error: Duration | None = None,
    early: float = 0.0,
    errors: Mapping[type[Exception], Duration] | None = None,
    vary: Any = UNSET,
    copy: bool = True,
) -> Decorator: ...
def cached(
    function: Any = None, /, *, cache: YokedCache | None = None, **options: Any
) -> Any:
    """
    Cache what a function returns, by its arguments.

    What the function reads through SQLAlchemy while it runs is noted, so that
    a commit that changes it makes the stored result unservable.

    Args:
        cache: the cache to use; else the first that was made.
        ttl: how long a result lives: seconds, `timedelta` or `"5m"`.
        tags: names it depends on besides: strings, templates such as
            `"user:{user_id}"`, or a callable of the arguments.
        result_tags: a callable of the result that names more tags.
        key: a template or callable of the arguments that replaces them as key.
        condition: a callable of the result; falsy results of it are not stored.
        stale: how long past its TTL it is served while one caller renews it.
        stale_on_error: how long past its TTL it is served if the function fails.
        early: how eagerly to renew ahead of the TTL (XFetch's beta; 1.0 is usual).
        errors: exceptions to cache, each with its TTL.
        vary: a value, or a callable without arguments, that answers vary on;
            `None` says that nothing does.
        copy: give every caller its own copy of mutable results.

    Raises:
        DeclarationError: the function or an option can't be meant.
        DurationError: a duration is negative, absurd or can't be read.
    """
    check_cache(cache)
    if function is not None:
        return _decorate(function, cache, options)
    _check_options(options)
    return lambda function: _decorate(function, cache, options)


_DEFAULTS: dict[str, Any] = {
    "ttl": None,
    "tags": (),
    "result_tags": None,
    "key": None,
    "condition": None,
    "stale": None,
    "stale_on_error": None,
    "early": 0.0,
    "errors": None,
    "vary": UNSET,
    "copy": True,
}


def _check_options(options: dict[str, Any]) -> None:
    for name in options:
        if name not in _DEFAULTS:
            known = ", ".join(sorted([*_DEFAULTS, "cache"]))
            msg = f"@cached has no option {name!r}; it has: {known}"
            raise DeclarationError(msg, option=name)


def _decorate(function: Any, cache: YokedCache | None, options: dict[str, Any]) -> Any:
    if isinstance(function, (staticmethod, classmethod)):
        inner = _decorate(function.__func__, cache, options)
        return type(function)(inner)
    is_async = _check_function(function)
    policy = FunctionPolicy(function, **{**_DEFAULTS, **options})
    method = _in_class(function, policy.names)
    core = CachedCall(
        function, policy, _finder(cache), is_async=is_async, method=method
    )
    if yields(function):
        core.function = gathering(function, lambda: core.machine.settings.max_rows)
    core.plain = policy.plain and not method
    wrapper, cells = build(
        function,
        core.answer_async if is_async else core.answer,
        core.token,
        is_async=is_async,
        plain=core.plain,
    )
    core.cells = cells
    handle = Handle(core, function)
    if yields(function):
        wrapper = yielding(wrapper, is_async=is_async)
        handle = GeneratorHandle(core, function)
    functools.update_wrapper(wrapper, function)
    return _dressed(wrapper, handle, method=method)


def _dressed(wrapper: Any, handle: Handle, *, method: bool) -> Any:
    wrapper.handle = handle
    for name in _METHODS:
        setattr(wrapper, name, getattr(handle, name))
    return CachedMethod(wrapper) if method else wrapper


def _finder(cache: YokedCache | None) -> Callable[[], Machine]:
    if cache is not None:
        return lambda: cache.machine
    from yokedcache.cache import default_cache

    return lambda: default_cache().machine


def _check_function(function: Any) -> bool:
    if not callable(function) or isinstance(function, type):
        msg = f"@cached decorates functions and methods, got {function!r}"
        raise DeclarationError(msg, function=function)
    if not hasattr(function, "__qualname__"):
        msg = f"@cached needs a function with a name, got {function!r}"
        raise DeclarationError(msg, function=function)
    import inspect

    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _in_class(function: Any, names: tuple[str, ...]) -> bool:
    """
    Tell whether a function stands in a class body and takes the instance.
    """
    scope = function.__qualname__.rpartition("<locals>.")[2]
    return "." in scope and bool(names) and names[0] in {"self", "cls", "mcs", "this"}
