"""
Exceptions that are kept, and raised again for each caller.

An exception knows the frames in which it was raised, and they all that its caller had in
its hands: sessions, results. So what is kept is a copy that knows none, as do those that
it holds: causes, arguments, what a driver has raised. And the exception itself is no longer
held by any of ours when it is raised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from yokedcache.errors import ValueNotStorableError

if TYPE_CHECKING:
    from yokedcache.core.operations import Loaded

E = TypeVar("E", bound=BaseException)


def kept(error: Exception) -> Exception:
    """
    Copy an exception as it was before it was raised.

    What it holds that can't be copied is left out.

    Raises:
        ValueNotStorableError: it can't be made anew itself.
    """
    try:
        return _Copying().of(error)
    except Exception as reason:  # noqa: BLE001 - whatever its class does
        names = type(error).__qualname__, type(reason).__qualname__
        msg = "an exception of class {} can't be made anew of its arguments ({})"
        raise ValueNotStorableError(msg.format(*names)) from None


def raise_anew(error: BaseException) -> NoReturn:
    """
    Raise a copy: a shared exception would gather the tracebacks of all callers.
    """
    raise _Copying().of(error)


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
    """

    def __init__(self) -> None:
        self._made: dict[int, BaseException] = {}

    def of(self, error: E) -> E:
        """
        Copy one.
        """
        if id(error) in self._made:
            made: Any = self._made[id(error)]
            return made  # type: ignore[no-any-return]
        twin = self._made[id(error)] = self._twin(error)
        twin.__traceback__ = twin.__context__ = None
        for name, value in error.__dict__.items():
            twin.__dict__[name] = self._held(value)
        twin.args = self._held(error.args)
        twin.__cause__ = self._held(error.__cause__)
        twin.__suppress_context__ = error.__suppress_context__
        return twin

    def _twin(self, error: E) -> E:
        import copy

        if isinstance(error, BaseExceptionGroup):
            group: Any = error.derive([self.of(one) for one in error.exceptions])
            if type(group) is not type(error):
                raise TypeError("a group has to say how it is derived")
            return group
        try:
            return copy.copy(error)
        except Exception:  # noqa: BLE001 - its class needs other arguments than these
            return type(error).__new__(type(error), *error.args)

    def _held(self, value: Any) -> Any:
        """
        Copy what an exception holds, as far as it holds others or may be added to.
        """
        if isinstance(value, BaseException):
            try:
                return self.of(value)
            except Exception:  # noqa: BLE001 - it is left out
                return None
        if type(value) in (list, tuple):
            return type(value)(map(self._held, value))
        if type(value) is dict:
            return {name: self._held(one) for name, one in value.items()}
        return value
