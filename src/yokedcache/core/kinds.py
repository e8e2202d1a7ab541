"""
Which canonical form the values of a class have.

Asked once for each class that `canonical` doesn't know by heart: classes that
say themselves, registered ones, enums, subclasses of builtins, records of all
makes, classes and functions. What remains is refused with the way out.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum, Flag
from types import BuiltinFunctionType, FunctionType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from yokedcache.core import canonical
from yokedcache.core.canonical import (
    BASES,
    NAMED,
    WAYS_OUT,
    Encoder,
    Walk,
    attributes,
    encode,
    encoders,
    text,
)
from yokedcache.core.classes import (
    field_names,
    find,
    is_namedtuple,
    is_struct,
    name_of,
    serial,
    state,
)
from yokedcache.core.flaws import Flaw
from yokedcache.core.ignored import is_ignored_class

if TYPE_CHECKING:
    from collections.abc import Callable

Matcher: TypeAlias = "type | Callable[[type], bool]"

_registered: Final[list[tuple[Matcher, Callable[[Any], object]]]] = []
_learnt: Final[set[type]] = set()
_MOST_CLASSES: Final = 4096


def register_canonical(matches: Matcher, function: Callable[[Any], object]) -> None:
    """
    Say what stands in keys for the values of a class.

    Args:
        matches: The class (its subclasses count), or a function from a class
            to whether it is meant.
        function: Gives any value that has a canonical form; the name of the
            class goes into the key before it.
    """
    _registered.insert(0, (matches, function))
    forget()


def forget() -> None:
    """
    Forget what was learnt about classes; a registration may have changed it.
    """
    for cls in list(_learnt):
        encoders.pop(cls, None)
    _learnt.clear()


def resolve(cls: type) -> Encoder:
    """
    Find the encoder of a class and remember it.
    """
    encoder = find_encoder(cls) or refuse
    if len(_learnt) >= _MOST_CLASSES:  # classes made on the fly must not pile up
        forget()
    _learnt.add(cls)
    encoders[cls] = encoder
    return encoder


canonical.resolver = resolve


def find_encoder(cls: type) -> Encoder | None:
    """
    Find the encoder of a class; the first kind that claims it counts.
    """
    finders = (
        *(_standard, _ignored, _own_word, _registration),
        *(_enum, _derived, _record, _name),
    )
    return next((found for finder in finders if (found := finder(cls))), None)


def label(cls: type) -> bytes:
    """
    Write a class by its name, or by a number if the name doesn't lead to it.
    """
    name = name_of(cls)
    if name is not None:
        return text(b"C", name)
    generic = getattr(cls, "__pydantic_generic_metadata__", None)
    if generic and generic["origin"]:
        arguments = encode(tuple(generic["args"]), Walk())
        return b"G" + label(generic["origin"]) + arguments
    # A class that its name doesn't lead to is told from its namesakes by a number
    # of this process, so its keys mean nothing to another one.
    return text(b"L", f"{cls.__module__}:{cls.__qualname__}#{serial(cls)}")


def _standard(cls: type) -> Encoder | None:
    return next((form for name, form in NAMED.items() if find(name) is cls), None)


def _ignored(cls: type) -> Encoder | None:
    return (lambda _value, _walk: b"~") if is_ignored_class(cls) else None


def _own_word(cls: type) -> Encoder | None:
    if not callable(getattr(cls, "__cache_key__", None)):
        return None
    # The author of the method answers for the name: a local class may have one.
    head = text(b"K", f"{cls.__module__}:{cls.__qualname__}")
    return lambda value, walk: (
        head + _part(value.__cache_key__(), walk, "__cache_key__()")
    )


def _registration(cls: type) -> Encoder | None:
    for matches, function in _registered:
        if issubclass(cls, matches) if isinstance(matches, type) else matches(cls):
            head = text(b"X", f"{cls.__module__}:{cls.__qualname__}")
            return lambda value, walk: head + _part(function(value), walk, "key")
    return None


def _part(value: object, walk: Walk, step: str) -> bytes:
    walk.enter(())
    try:
        form = encode(value, walk)
    except Flaw as flaw:
        flaw.at(f".{step}")
        raise
    walk.depth -= 1
    return form


def _enum(cls: type) -> Encoder | None:
    if not issubclass(cls, Enum):
        return None
    head = b"E" + label(cls)
    if issubclass(cls, Flag):  # a combination has no name of its own
        return lambda value, walk: head + encode(value._value_, walk)
    return lambda value, _walk: head + text(b"s", value._name_)


def _derived(cls: type) -> Encoder | None:
    known = ((_base(named), write) for named, write in BASES)
    base, write = next(
        ((base, write) for base, write in known if base and issubclass(cls, base)),
        (None, None),
    )
    if base is None or write is None:
        return None
    head = b"S" + label(cls)
    if issubclass(cls, OrderedDict):
        write = canonical._ordered_dict  # noqa: SLF001
    elif is_namedtuple(cls):
        names = encode(getattr(cls, "_fields"), Walk())  # noqa: B009
        head += names
    return lambda value, walk: (
        head + write(value, walk) + attributes(b"a", state(value, base), walk)
    )


def _base(named: type | str) -> type | None:
    return find(named) if isinstance(named, str) else named


def _record(cls: type) -> Encoder | None:
    if field_names(cls) is None:
        return None
    head = b"O" + label(cls)
    return lambda value, walk: head + attributes(b"a", record_state(value), walk)


def record_state(value: Any) -> dict[str, Any]:
    """
    Give all that distinguishes a record: fields, extras, private attributes.
    """
    cls = type(value)
    if is_struct(cls):
        names = field_names(cls) or ()
        return {name: getattr(value, name) for name in names} | state(value)
    # A pydantic model keeps extras, private attributes and which fields were
    # set (it decides what `exclude_unset` leaves out) in slots of its own.
    return state(value)


def _name(cls: type) -> Encoder | None:
    if issubclass(cls, type):
        return lambda value, _walk: b"Y" + label(value)
    if issubclass(cls, (FunctionType, BuiltinFunctionType)):
        return _function
    return None


def _function(value: Any, _walk: Walk) -> bytes:
    name = name_of(value)
    if name is None:
        reason = (
            "is a lambda, a local function or one that can't be found under its "
            "name; pass a function of a module, or say what the key is with `key=`"
        )
        raise Flaw(value, reason)
    return text(b"M", name)


def refuse(value: object, _walk: Walk) -> bytes:
    """
    Stand for the encoder of classes that have none.
    """
    raise Flaw(value, f"has no canonical form; {WAYS_OUT}")
