"""
From arguments to keys.

Two calls share a key exactly if their arguments are equal and of the same
types. Most calls have a few ints and strings: their key is a plain tuple with
the classes in it (`exact_key`), made and compared at the speed of tuples. All
else, and every key that leaves the process, goes through `canonical`.
"""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING, Final

from yokedcache.core.canonical import Walk, attributes, encode, encoders
from yokedcache.core.classes import state
from yokedcache.core.flaws import Flaw, type_name
from yokedcache.core.ignored import is_ignored, register_ignored
from yokedcache.core.kinds import label, refuse, register_canonical, resolve
from yokedcache.errors import KeyArgumentError

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = [
    "EXACT",
    "PLAIN",
    "canonical",
    "exact_key",
    "flat_key",
    "instance_key",
    "is_ignored",
    "register_canonical",
    "register_ignored",
]

PLAIN: Final = "keys"
"""What the keys of `cache.get` and its kin begin with."""

EXACT: Final[frozenset[type]] = frozenset({int, str, bytes, bool, NoneType})
"""Classes whose values are the same value if class and `==` say so."""


_NO_STACK: Final = "nests too deep for the stack that is left"


def canonical(value: object, *, name: str = "value") -> bytes:
    """
    Give the one binary form of a value, different for every other value.

    Args:
        name: What the value is to the caller, for the error's message.
    """
    try:
        return encode(value, Walk())
    except Flaw as flaw:
        raise _refusal(flaw, name) from None
    except RecursionError:
        raise _refusal(Flaw(value, _NO_STACK), name) from None


def exact_key(values: tuple[object, ...]) -> Hashable:
    """
    Give a key in this process for argument values, the fastest that is exact.
    """
    classes = tuple(map(type, values))
    if EXACT.issuperset(classes):
        return values + classes
    return canonical(values, name="args")


def flat_key(token: str, values: tuple[object, ...]) -> tuple[object, ...] | None:
    """
    Give the key that a cached function's wrapper makes of plain arguments.

    `None` if one of them isn't plain.
    """
    flat: list[object] = [token]
    for value in values:
        if value.__class__ not in EXACT:
            return None
        flat += (value, value.__class__)
    return tuple(flat)


def instance_key(instance: object, *, name: str = "self") -> bytes:
    """
    Give what tells an instance from others: its class and its attributes.

    What is ignored in keys (sessions, engines, loggers, ...) is left out, so
    that two repositories on two sessions share; underscore attributes count.
    """
    cls = type(instance)
    try:
        encoder = encoders.get(cls) or resolve(cls)
        if encoder is not refuse:
            return encoder(instance, Walk())
        found = {k: v for k, v in state(instance).items() if not is_ignored(v)}
        return b"I" + label(cls) + attributes(b"a", found, Walk())
    except Flaw as flaw:
        raise _refusal(flaw, name) from None
    except RecursionError:
        raise _refusal(Flaw(instance, _NO_STACK), name) from None


def _refusal(flaw: Flaw, name: str) -> KeyArgumentError:
    path = flaw.path(name)
    type_ = type_name(flaw.culprit)
    message = f"{path} ({type_}) can't be part of a key: it {flaw.reason}"
    return KeyArgumentError(message, path=path, type=type_)
