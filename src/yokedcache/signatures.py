"""
What a type checker sees of a cached function: its own signature, everywhere.

Whether a first parameter is bound is told by its type: mypy asks the descriptor
alone, whatever stands above `@cached`. `Takes[S, Q, R]` asks whether a function
takes an S first; mypy matches `Cached[Concatenate[S, Q], R]` with any function.
"""

from __future__ import annotations

from typing import (
    TYPE_CHECKING,
    Any,
    ParamSpec,
    Protocol,
    TypeAlias,
    TypedDict,
    TypeVar,
    overload,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable, Iterable

    from yokedcache.core.durations import Duration
    from yokedcache.core.entry import Miss

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")
R_co = TypeVar("R_co", covariant=True)
S_contra = TypeVar("S_contra", contravariant=True)

Arguments: TypeAlias = tuple[Any, ...] | dict[str, Any]
"""Those of a call, by position or by keyword."""


class Call:
    """
    The arguments of one call, for `.warm([...])`.
    """

    __slots__ = ("args", "kwargs")

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.args = args
        self.kwargs = kwargs


class Takes(Protocol[S_contra, Q, R_co]):
    """
    Whatever can be called with an S first.
    """

    def __call__(self, first: S_contra, /, *args: Q.args, **kwargs: Q.kwargs) -> R_co:
        """
        Call it.
        """


class Cached(Protocol[P, R_co]):
    """
    A cached function, with the signature of the function that was decorated.

    For an async function `refresh`, `uncached` and `warm` give awaitables.
    """

    __name__: str
    __qualname__: str
    __wrapped__: Callable[..., Any]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """
        Answer the call from the cache, or run the function.
        """

    @overload  # of a class method, through its class
    def __get__(self: Takes[S, Q, R], instance: None, owner: S) -> Cached[Q, R]: ...
    @overload  # of a method, through its class
    def __get__(self, instance: None, owner: type) -> Cached[P, R_co]: ...
    @overload  # of a method, through an instance
    def __get__(
        self: Takes[S, Q, R], instance: S, owner: type | None = None
    ) -> Cached[Q, R]: ...
    @overload  # of a class method, through an instance
    def __get__(self: Takes[S, Q, R], instance: object, owner: S) -> Cached[Q, R]: ...
    @overload  # of a static method, through an instance
    def __get__(
        self, instance: object, owner: type | None = None
    ) -> Cached[P, R_co]: ...

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """
        Drop the stored answer of this call; tell whether there was one.
        """

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """
        Run the function, store the result and give it.
        """

    def key(self, *args: P.args, **kwargs: P.kwargs) -> Hashable:
        """
        Give the key of this call.
        """

    @overload
    def peek(
        self: Cached[P, Coroutine[Any, Any, R]], *args: P.args, **kwargs: P.kwargs
    ) -> R | Miss: ...
    @overload
    def peek(self, *args: P.args, **kwargs: P.kwargs) -> R_co | Miss: ...
    def peek(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """
        Give what is stored and fresh for this call, or `MISS`; never runs it.
        """

    def uncached(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """
        Run the function itself.
        """

    def call(self, *args: P.args, **kwargs: P.kwargs) -> Call:
        """
        Note a call for `warm`, checked against the signature.
        """

    @overload
    def warm(  # type: ignore[overload-overlap]
        self: Cached[P, Coroutine[Any, Any, R]], calls: Iterable[Call | Arguments]
    ) -> Coroutine[Any, Any, int]: ...
    @overload
    def warm(self, calls: Iterable[Call | Arguments]) -> int: ...
    def warm(self, calls: Iterable[Call | Arguments]) -> Any:
        """
        Load those of the calls that are not stored; give how many were loaded.
        """


class Decorator(Protocol):
    """
    What `cached(...)` with options gives.
    """

    def __call__(self, function: Callable[P, R], /) -> Cached[P, R]:
        """
        Decorate a function.
        """


class AttachOptions(TypedDict, total=False):
    """
    The options of `cache.attach`.
    """

    ttl: Duration | None
    tables: str | Iterable[str] | None
    vary: Any
