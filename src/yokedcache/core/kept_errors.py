"""
Exceptions that are kept, and raised again for each caller.

An exception knows the frames in which it was raised, and they all that its caller had in
its hands: sessions, results. So what is kept is a copy that knows none, and the exception
itself is no longer held by any of ours when it is raised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from yokedcache.errors import ValueNotStorableError

if TYPE_CHECKING:
    from yokedcache.core.operations import Loaded

E = TypeVar("E", bound=BaseException)


def kept(error: Exception) -> Exception:
    """
    Copy an exception, with its causes, as it was before it was raised.

    Raises:
        ValueNotStorableError: it can't be made anew of its arguments.
    """
    try:
        return _copied(error, {})
    except Exception as reason:
        msg = f"{error!r} can't be made anew of its arguments: {reason!r}"
        raise ValueNotStorableError(msg) from reason


def raise_anew(error: BaseException) -> NoReturn:
    """
    Raise a copy: a shared exception would gather the tracebacks of all callers.
    """
    raise _twin(error)


def raise_own(loaded: Loaded) -> NoReturn:
    """
    Raise what a load has raised, for the caller whose load it was.

    Nothing may hold it besides: it will know the frames that hold what was loaded, and
    such a circle keeps them until Python's collector comes by.
    """
    error, loaded.error = loaded.error, None
    try:
        raise error or RuntimeError("a load has raised nothing")
    finally:
        del error


def _copied(error: E, known: dict[int, Any]) -> E:
    twin = known[id(error)] = _twin(error)
    held = {n: v for n, v in error.__dict__.items() if isinstance(v, BaseException)}
    for name, value in held.items():  # such as what a driver has raised
        twin.__dict__[name] = known.get(id(value)) or _copied(value, known)
    cause = error.__cause__
    if cause is not None:
        twin.__cause__ = known.get(id(cause)) or _copied(cause, known)
    return twin


def _twin(error: E) -> E:
    twin = type(error).__new__(type(error), *error.args)
    twin.__dict__.update(error.__dict__)
    twin.args = error.args
    twin.__cause__ = error.__cause__
    twin.__suppress_context__ = error.__suppress_context__
    return twin
