"""
Classes that stored bytes may name, and how their instances are built.

Enums, namedtuples, dataclasses, attrs classes, pydantic models, msgspec
Structs and subclasses of UUID, and only those whose name leads to the very
class. On reading, the name is looked up among imported modules and the class
must be of the kind that was written; fields must be those that the class has
now, so that a deploy which changed a class makes misses, not odd instances.
Instances are filled without running `__init__`, except where the kind allows
no other way.
"""

from __future__ import annotations

from dataclasses import is_dataclass
from enum import Enum, Flag
from typing import Any
from uuid import UUID

from yokedcache.core import classes
from yokedcache.core.classes import field_names, name_of, per_class, state
from yokedcache.core.flaws import Flaw
from yokedcache.errors import PayloadError


def is_enum(cls: type) -> bool:
    """
    Tell an Enum class.
    """
    return issubclass(cls, Enum)


def is_uuid(cls: type) -> bool:
    """
    Tell a subclass of UUID, such as a driver's own.
    """
    return issubclass(cls, UUID)


def is_tuple(cls: type) -> bool:
    """
    Tell a namedtuple class.
    """
    return classes.is_namedtuple(cls)


def is_model(cls: type) -> bool:
    """
    Tell a pydantic model class.
    """
    return classes.is_pydantic(cls)


def is_struct(cls: type) -> bool:
    """
    Tell a msgspec Struct class.
    """
    return classes.is_struct(cls)


def is_data(cls: type) -> bool:
    """
    Tell a dataclass or attrs class whose instances are their fields.
    """
    new: Any = cls.__new__
    plain = new is object.__new__ and not hasattr(cls, "_sa_class_manager")
    made = is_dataclass(cls) or classes.is_attrs(cls)
    return made and plain and not hasattr(cls, "_attrs_cached_hash")


@per_class
def _name(cls: type) -> str:
    """
    Give the name of a class; a refusal isn't remembered, the class may be new.
    """
    name = name_of(cls)
    if name is None:
        reason = "can't be found under its name; define the class in a module"
        raise Flaw(cls, reason)
    return name


def _class(name: object, fits: Any) -> Any:
    found = classes.find(name) if isinstance(name, str) else None
    if not isinstance(found, type) or not fits(found):
        message = f"the payload names {name!r}, which isn't here or is something else"
        raise PayloadError(message[:300], name=name)
    return found


def _check(fits: bool, name: str) -> None:  # noqa: FBT001
    if not fits:
        message = f"the payload's fields aren't those that {name!r} has now"
        raise PayloadError(message, name=name)


def enum_parts(value: Enum) -> list[Any]:
    """
    Give class and name; for flags the value, as combinations have no name.
    """
    plain = value._value_ if isinstance(value, Flag) else value._name_
    return [_name(type(value)), plain]


def build_enum(parts: list[Any]) -> Any:
    """
    Find a member again.
    """
    name, plain = parts
    cls = _class(name, is_enum)
    return cls(plain) if issubclass(cls, Flag) else cls.__members__[plain]


def uuid_parts(value: UUID) -> list[Any]:
    """
    Give class and text.
    """
    if state(value, UUID):
        raise Flaw(value, "has attributes beyond those of a UUID")
    return [_name(type(value)), str(value)]


def build_uuid(parts: list[Any]) -> Any:
    """
    Build a UUID of a driver's class.
    """
    name, text = parts
    return _class(name, is_uuid)(text)


def tuple_parts(value: Any) -> list[Any]:
    """
    Give class, names of the fields, and items.
    """
    if state(value, tuple):
        raise Flaw(value, "has attributes beyond its fields")
    return [_name(type(value)), list(value._fields), list(value)]


def build_tuple(parts: list[Any]) -> Any:
    """
    Build a namedtuple without calling its class.
    """
    name, names, items = parts
    cls = _class(name, is_tuple)
    _check(list(cls._fields) == names and len(names) == len(items), name)
    return tuple.__new__(cls, items)


_MODEL_SLOTS = (
    "__pydantic_fields_set__",
    "__pydantic_extra__",
    "__pydantic_private__",
)


def model_parts(value: Any) -> list[Any]:
    """
    Give class, fields, which of them were set, extras and private attributes.
    """
    fields = _fields(value, value.__dict__)
    return [
        _name(type(value)),
        fields,
        *(getattr(value, name) for name in _MODEL_SLOTS),
    ]


def build_model(parts: list[Any]) -> Any:
    """
    Build a pydantic model without validating what was valid.
    """
    name, fields, *slots = parts
    cls = _class(name, is_model)
    _check(set(field_names(cls) or ()) == fields.keys(), name)
    _check((slots[2] or {}).keys() <= cls.__private_attributes__.keys(), name)
    made = cls.__new__(cls)
    object.__setattr__(made, "__dict__", fields)
    for slot, part in zip(_MODEL_SLOTS, slots, strict=True):
        object.__setattr__(made, slot, part)
    return made


def struct_parts(value: Any) -> list[Any]:
    """
    Give class and fields of a Struct, if its `__post_init__` changes nothing.
    """
    cls = type(value)
    found = {name: getattr(value, name) for name in field_names(cls) or ()}
    if getattr(value, "__dict__", None):
        raise Flaw(value, "has attributes beyond its fields")
    if hasattr(cls, "__post_init__") and cls(**found) != value:
        raise Flaw(value, "has a __post_init__ that changes what was stored")
    return [_name(type(value)), found]


def build_struct(parts: list[Any]) -> Any:
    """
    Build a Struct by calling its class: there is no other way.
    """
    name, fields = parts
    cls = _class(name, is_struct)
    _check(set(field_names(cls) or ()) == fields.keys(), name)
    return cls(**fields)


def data_parts(value: Any) -> list[Any]:
    """
    Give class and fields of a dataclass or attrs instance.
    """
    return [_name(type(value)), _fields(value, state(value))]


def build_data(parts: list[Any]) -> Any:
    """
    Build a dataclass or attrs instance by setting its fields.
    """
    name, fields = parts
    cls = _class(name, is_data)
    _check(set(field_names(cls) or ()) == fields.keys(), name)
    made = object.__new__(cls)
    for field, part in fields.items():
        object.__setattr__(made, field, part)
    return made


def _fields(value: Any, found: dict[str, Any]) -> dict[str, Any]:
    """
    Give the declared fields of a record, which must be all that it has.
    """
    names = field_names(type(value)) or ()
    extra = found.keys() - set(names) - classes.lazy_names(type(value))
    if extra or not all(name in found for name in names):
        reason = f"has attributes other than its fields ({', '.join(sorted(extra))})"
        raise Flaw(value, reason)
    return {name: found[name] for name in names}
