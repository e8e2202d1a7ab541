"""
How each kind of value is copied, once a survey has found it to be a tree.

The copier of a class is found once; copying then asks nothing but the class of
each part. Classes may be given copiers of their own (ORM entities are).
"""

from __future__ import annotations

import re
import sys
from collections import OrderedDict, defaultdict, deque
from datetime import date, datetime, time, timedelta, timezone
from types import (
    BuiltinFunctionType,
    FunctionType,
)
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from yokedcache.core.classes import (
    imported,
    is_attrs,
    is_dataclass,
    is_pydantic,
    is_struct,
    lazy_names,
    per_class,
    slot_names,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Copier: TypeAlias = "Callable[[Any], Any]"

ATOMS: Final[set[type]] = {
    type(None),
    type(...),
    type(NotImplemented),
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    datetime,
    date,
    time,
    timedelta,
    timezone,
    range,
    re.Pattern,
    FunctionType,
    BuiltinFunctionType,
    type,
}
"""
Classes whose values are immutable to the core: shared, never copied.

More come in as the program imports their modules; see `meet_imported`.
"""

_awaited: Final[dict[str, frozenset[str]]] = {
    "decimal": frozenset({"Decimal"}),
    "fractions": frozenset({"Fraction"}),
    "ipaddress": frozenset(
        {
            *("IPv4Address", "IPv4Interface", "IPv4Network"),
            *("IPv6Address", "IPv6Interface", "IPv6Network"),
        }
    ),
    "uuid": frozenset({"UUID"}),
    "zoneinfo": frozenset({"ZoneInfo"}),
}
"""The atoms of modules that the program has not imported yet, as far as is known."""


def meet_imported() -> bool:
    """
    Add the atoms of modules that were imported since; tell if there were any.
    """
    met = False
    for module, names in tuple(_awaited.items()):
        if module not in sys.modules:
            continue
        found = imported(*(f"{module}:{name}" for name in names))
        met = met or not ATOMS.issuperset(found)
        ATOMS.update(found)
        if len(found) == len(names):  # else another thread is importing it
            _awaited.pop(module, None)
    return met


_custom: Final[list[tuple[Callable[[type], bool], Copier]]] = []


def register_isolation(
    matches: type | Callable[[type], bool], function: Copier
) -> None:
    """
    Say how values of a class are copied in and out of the cache.

    Args:
        matches: The class (its subclasses count), or a function from a class
            to whether it is meant.
        function: Gives an independent copy; called once when a value is stored
            and again on every hit. It raises `ValueNotStorableError` to refuse.
    """
    if isinstance(matches, type):
        kind = matches
        _custom.insert(0, (lambda cls: issubclass(cls, kind), function))
    else:
        _custom.insert(0, (matches, function))
    custom_copier.cache_clear()
    _copiers_learnt.clear()


@per_class
def custom_copier(cls: type) -> Copier | None:
    """
    Give the registered copier of a class, if there is one.
    """
    return next((function for matches, function in _custom if matches(cls)), None)


@per_class
def is_record(cls: type) -> bool:
    """
    Tell a class whose instances are their attributes and nothing else.
    """
    if not (is_pydantic(cls) or is_attrs(cls) or is_dataclass(cls)) or is_struct(cls):
        return False
    ours = ("__deepcopy__", "__reduce__", "__reduce_ex__")
    plain = all(_is_standard(cls, name) for name in (*ours, "__new__"))
    # attrs keeps a computed hash in a slot that a copy would lack.
    return plain and not hasattr(cls, "_attrs_cached_hash")


def _is_standard(cls: type, name: str) -> bool:
    found = getattr(cls, name, None)
    if found is getattr(object, name, None):
        return True
    return is_pydantic(cls) and getattr(found, "__module__", None) == "pydantic.main"


@per_class
def is_frozen(cls: type) -> bool:
    """
    Tell whether instances are immutable as soon as their parts are.
    """
    if _is_frozen_struct(cls) or is_plain_namedtuple(cls):
        return True
    if "__dataclass_params__" in vars(cls) and is_record(cls) and not lazy_names(cls):
        return bool(vars(cls)["__dataclass_params__"].frozen)
    return False


def _is_frozen_struct(cls: type) -> bool:
    return is_struct(cls) and bool(getattr(cls, "__struct_config__").frozen)  # noqa: B009


def is_plain_namedtuple(cls: type) -> bool:
    """
    Tell a namedtuple class whose instances have no further attributes.
    """
    return issubclass(cls, tuple) and hasattr(cls, "_fields") and not cls.__dictoffset__


def copy_tree(value: Any) -> Any:
    """
    Copy a value that a survey found to be a tree of known kinds.
    """
    cls = type(value)
    if cls in ATOMS:
        return value
    copier = _COPIERS.get(cls) or _copiers_learnt.get(cls) or _learn(cls)
    return copier(value)


def _copy_dict(value: dict[Any, Any]) -> dict[Any, Any]:
    if ATOMS.issuperset(map(type, value.values())):
        return value.copy()
    return {key: copy_tree(part) for key, part in value.items()}


def _copy_list(value: list[Any]) -> list[Any]:
    if ATOMS.issuperset(map(type, value)):
        return value.copy()
    return [copy_tree(part) for part in value]


def _copy_tuple(value: tuple[Any, ...]) -> tuple[Any, ...]:
    if ATOMS.issuperset(map(type, value)):
        return value
    return tuple([copy_tree(part) for part in value])


def _copy_defaultdict(value: defaultdict[Any, Any]) -> defaultdict[Any, Any]:
    return defaultdict(value.default_factory, _copy_dict(value))


def _copy_ordered(value: OrderedDict[Any, Any]) -> OrderedDict[Any, Any]:
    return OrderedDict((key, copy_tree(part)) for key, part in value.items())


def _copy_deque(value: deque[Any]) -> deque[Any]:
    return deque(map(copy_tree, value), value.maxlen)


_COPIERS: Final[dict[type, Copier]] = {
    dict: _copy_dict,
    OrderedDict: _copy_ordered,
    defaultdict: _copy_defaultdict,
    list: _copy_list,
    deque: _copy_deque,
    bytearray: bytearray.copy,
    set: set.copy,
    frozenset: lambda value: value,
    tuple: _copy_tuple,
}

_copiers_learnt: Final[dict[type, Copier]] = {}
_MOST_CLASSES: Final = 4096


def _learn(cls: type) -> Copier:
    if len(_copiers_learnt) >= _MOST_CLASSES:  # classes made on the fly
        _copiers_learnt.clear()
    copier = _copiers_learnt[cls] = custom_copier(cls) or _object_copier(cls)
    return copier


def _object_copier(cls: type) -> Copier:
    """
    Make the copier of a record class; other classes are immutable in a tree.
    """
    if is_plain_namedtuple(cls):
        return lambda value: tuple.__new__(cls, map(copy_tree, value))
    if not is_record(cls):
        return lambda value: value
    slots, lazy = slot_names(cls), lazy_names(cls)

    def copier(value: Any) -> Any:
        made: Any = object.__new__(cls)
        for name in slots:
            if hasattr(value, name):
                object.__setattr__(made, name, copy_tree(getattr(value, name)))
        attributes = getattr(value, "__dict__", None)
        if attributes is not None:
            parts = {k: copy_tree(v) for k, v in attributes.items() if k not in lazy}
            made.__dict__.update(parts)
        return made

    return copier
