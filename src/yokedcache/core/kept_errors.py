"""
Exceptions that are kept, and raised again for each caller.

An exception knows the frames in which it was raised, and they all that its caller had in
its hands: sessions, results. So what is kept is a copy that knows none, as do those that
it holds: causes, arguments, what a driver has raised. And the exception itself is no longer
held by any of ours when it is raised.

Copies are made as the built-in class makes them that theirs comes of, so that nothing of
an application runs for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from yokedcache.errors import ValueNotStorableError

if TYPE_CHECKING:
    from yokedcache.core.operations import Loaded

E = TypeVar("E", bound=BaseException)

_WRITTEN_IN_PYTHON: Final = 1 << 9
"""The flag of classes that are made while a program runs."""


def kept(error: Exception) -> Exception:
    """
    Copy an exception as it was before it was raised, with all that it holds.

    A cause that can't be copied is left out.

    Raises:
        ValueNotStorableError: it can't be made anew itself.
    """
    try:
        return _Copying(deep=True).of(error)
    except Exception as reason:  # noqa: BLE001 - whatever its class does
        names = type(error).__qualname__, type(reason).__qualname__
        msg = "an exception of class {} can't be made anew ({})"
        raise ValueNotStorableError(msg.format(*names)) from None


def raise_anew(error: BaseException) -> NoReturn:
    """
    Raise a copy: a shared exception would gather the tracebacks of all callers.
    """
    raise _Copying(deep=False).of(error)


def raise_own(loaded: Loaded) -> NoReturn:
    """
    Raise what a load has raised, for the caller whose load it was.

    Nothing may hold it besides: it will know the frames that hold what was loaded, and
    such a circle keeps them until Python's collector comes by.
    """
    error, loaded.error = loaded.error, None
    try:
        raise RuntimeError("a load has raised nothing") if error is None else error
    finally:
        del error


class _Copying:
    """
    Copies of exceptions that hold each other.

    Args:
        deep: looks for others in the containers that they hold, too.
    """

    def __init__(self, *, deep: bool) -> None:
        self._deep = deep
        self._made: dict[int, BaseException] = {}

    def of(self, error: E) -> E:
        """
        Copy one.
        """
        made: Any = self._made.get(id(error))
        if made is not None:
            return made  # type: ignore[no-any-return]
        twin = self._made[id(error)] = self._twin(error)
        for name, value in error.__dict__.items():
            twin.__dict__[name] = self._held(value)
        if "__notes__" in error.__dict__:  # each caller may add some
            twin.__dict__["__notes__"] = list(error.__dict__["__notes__"])
        if error.__cause__ is not None:
            twin.__cause__ = self._cause(error.__cause__)
        twin.__suppress_context__ = error.__suppress_context__
        return twin

    def _cause(self, cause: BaseException) -> BaseException | None:
        try:
            return self.of(cause)
        except Exception:  # noqa: BLE001 - it is told as well without
            return None

    def _twin(self, error: E) -> E:
        cls: Any = type(error)
        base = next(c for c in cls.__mro__ if not c.__flags__ & _WRITTEN_IN_PYTHON)
        _, args, *state = base.__reduce__(error)
        args = self._args(error, args)
        try:
            twin = base.__new__(cls, *args)
            base.__init__(twin, *args)
        except TypeError:  # its class is written in another language
            return _as_it_says(error)
        if not isinstance(error, BaseExceptionGroup):
            twin.args = self._args(error, error.args)
        _copy_members(error, twin, base, state[0] if state else None)
        return twin  # type: ignore[no-any-return]

    def _args(self, error: BaseException, args: tuple[Any, ...]) -> tuple[Any, ...]:
        if isinstance(error, BaseExceptionGroup):
            return (error.message, [self.of(one) for one in error.exceptions])
        return tuple(map(self._held, args))

    def _held(self, value: Any) -> Any:
        """
        Copy what an exception holds, if it is or holds another one.
        """
        if isinstance(value, BaseException):
            return self.of(value)
        if not self._deep:
            return value
        if type(value) in (list, tuple):
            made = type(value)(map(self._held, value))
            same = all(one is other for one, other in zip(made, value, strict=True))
            return value if same else made
        if type(value) is dict:
            return {name: self._held(one) for name, one in value.items()}
        return value


def _copy_members(error: Any, twin: Any, base: Any, state: Any) -> None:
    """
    Copy what doesn't lie in an exception's dictionary: in C, and in slots.
    """
    if isinstance(state, dict):
        more = {name: one for name, one in state.items() if name not in error.__dict__}
        if more:
            base.__setstate__(twin, more)
    for cls in type(error).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            member = cls.__dict__.get(name)
            if member is not None and hasattr(error, name):
                member.__set__(twin, getattr(error, name))


def _as_it_says(error: E) -> E:
    """
    Copy an exception by its class's own way.
    """
    import copy

    made = copy.copy(error)
    if made is error or type(made) is not type(error):
        raise TypeError("its class makes no copies")
    return made
