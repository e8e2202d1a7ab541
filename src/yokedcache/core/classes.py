"""
What the walkers of values need to know about classes, without importing any.

Keys, copies and codecs meet classes of libraries that may not be installed:
they are told apart by the dotted names in their MRO. A class or function goes
by its name only where looking the name up gives that very object; two classes
made by one factory share a name and must not share a cache entry.
"""

from __future__ import annotations

import itertools
import sys
from functools import cached_property
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary, ref

if TYPE_CHECKING:
    from collections.abc import Callable

T_co = TypeVar("T_co", covariant=True)


class Learnt(Protocol[T_co]):
    """
    A fact about classes, found once for each.
    """

    def __call__(self, *classes: type) -> T_co:
        """
        Give the fact.
        """

    def cache_clear(self) -> None:
        """
        Forget what was found.
        """


_MOST_CLASSES: Final = 4096


class _PerClass(Generic[T_co]):
    """
    What a function says about classes; none is kept alive by it.

    An application may make classes on the fly: each `sessionmaker` has one of its own,
    which leads to its engine.
    """

    def __init__(self, function: Callable[..., T_co]) -> None:
        self._function = function
        self._known: dict[object, T_co] = {}

    def __call__(self, *classes: type) -> T_co:
        # a class has one reference, and that of one that is gone equals no other
        key = ref(classes[0]) if len(classes) == 1 else tuple(map(ref, classes))
        try:
            return self._known[key]
        except KeyError:
            pass
        if len(self._known) >= _MOST_CLASSES:
            self._known.clear()
        fact = self._known[key] = self._function(*classes)
        return fact

    def cache_clear(self) -> None:
        self._known.clear()


def per_class(function: Callable[..., T_co]) -> Learnt[T_co]:
    """
    Remember what a function says about a class, for a bounded number of them.
    """
    return _PerClass(function)


_ATTRS_HASH: Final = "_attrs_cached_hash"
"""Where attrs keeps a hash computed on demand: no part of a state."""


@per_class
def dotted_names(cls: type) -> frozenset[str]:
    """
    Give the dotted names of a class and of all its bases.
    """
    return frozenset(f"{base.__module__}.{base.__qualname__}" for base in cls.__mro__)


def find(name: str) -> Any:
    """
    Look up `module:qualname` among the modules already imported, else `None`.

    Nothing is imported: a name read from stored bytes must not run code.
    """
    module_name, _, qualname = name.partition(":")
    module = sys.modules.get(module_name)
    if module is None:
        return None
    # pydantic keeps `Model[a.B]` in the module under the whole name.
    whole = vars(module).get(qualname)
    if whole is not None:
        return whole
    found: Any = module
    for part in qualname.split("."):
        found = getattr(found, part, None)
        if found is None:
            return None
    return found


def name_of(thing: Any) -> str | None:
    """
    Give `module:qualname` if that name leads to this very object, else `None`.
    """
    module = getattr(thing, "__module__", None)
    qualname = getattr(thing, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(qualname, str):
        return None
    name = f"{module}:{qualname}"
    if "<" in qualname or find(name) is not thing:
        return None
    return name


def imported(*names: str) -> tuple[type, ...]:
    """
    Give those classes, named `module:qualname`, whose modules are imported.

    No value is of a class that nobody imported. A class may come later than its
    name was asked for, so what isn't found now is asked for again.
    """
    return tuple(cls for name in names if (cls := find(name)) is not None)


_serials: WeakKeyDictionary[type, int] = WeakKeyDictionary()
_numbers = itertools.count(1)
_process = ""


def serial(cls: type) -> str:
    """
    Give what no other class of this process has or had, nor one of another process.
    """
    return f"{_process}{_serials.setdefault(cls, next(_numbers))}"


def call_process(name: str) -> None:
    """
    Say what tells this process from others that may read its keys.
    """
    global _process  # noqa: PLW0603 - the process's
    _process = name


def is_pydantic(cls: type) -> bool:
    """
    Tell a pydantic (version 2) model class.
    """
    return "pydantic.main.BaseModel" in dotted_names(cls)


def is_struct(cls: type) -> bool:
    """
    Tell a msgspec Struct class.
    """
    return "msgspec.Struct" in dotted_names(cls)


def is_attrs(cls: type) -> bool:
    """
    Tell a class made by attrs.
    """
    return "__attrs_attrs__" in vars(cls) or hasattr(cls, "__attrs_attrs__")


def is_dataclass(cls: type) -> bool:
    """
    Tell a dataclass, or a class derived from one.
    """
    return hasattr(cls, "__dataclass_fields__")


def is_namedtuple(cls: type) -> bool:
    """
    Tell a class made by `namedtuple` or `NamedTuple`, or derived from one.
    """
    fields = getattr(cls, "_fields", None)
    return issubclass(cls, tuple) and isinstance(fields, tuple)


@per_class
def field_names(cls: type) -> tuple[str, ...] | None:
    """
    Name the declared fields of a record class, or `None` for other classes.
    """
    if is_pydantic(cls):
        return tuple(getattr(cls, "model_fields", ()))
    if is_struct(cls):
        return tuple(getattr(cls, "__struct_fields__", ()))
    if is_attrs(cls):
        attributes: Any = getattr(cls, "__attrs_attrs__", ())
        return tuple(attribute.name for attribute in attributes)
    if is_dataclass(cls):
        import dataclasses

        return tuple(field.name for field in dataclasses.fields(cls))
    return None


@per_class
def slot_names(cls: type, above: type = object) -> tuple[str, ...]:
    """
    Name the slots of a class, those of `above` and its bases left out.
    """
    mine = (base for base in cls.__mro__ if base not in above.__mro__)
    return tuple(
        name
        for base in mine
        for name, member in vars(base).items()
        if isinstance(member, MemberDescriptorType) and name != _ATTRS_HASH
    )


@per_class
def lazy_names(cls: type) -> frozenset[str]:
    """
    Name the attributes that `cached_property` fills in on first use.
    """
    return frozenset(
        name
        for base in cls.__mro__
        for name, member in vars(base).items()
        if isinstance(member, cached_property)
    )


def state(value: object, above: type = object) -> dict[str, Any]:
    """
    Give an instance's own attributes, slots included, computed ones left out.
    """
    cls = type(value)
    found: dict[str, Any] = {}
    for name in slot_names(cls, above):
        try:
            found[name] = getattr(value, name)
        except AttributeError:  # a slot may be empty
            continue
    found.update(getattr(value, "__dict__", ()))
    for name in (*lazy_names(cls), _ATTRS_HASH):
        found.pop(name, None)
    return found
