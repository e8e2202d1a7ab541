"""
Mapped objects as plain data, for stores outside the process.

An object is written once, by its class's name, its identity and what was loaded of it;
wherever it is met, its number stands. A class that has changed since makes a miss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import inspect

from yokedcache.core.classes import find, name_of
from yokedcache.core.values import isolate
from yokedcache.errors import PayloadError, ValueNotStorableError
from yokedcache.shared.payloads import Form
from yokedcache.sqlalchemy.functions.entities import (
    Album,
    Copied,
    Group,
    Left,
    Picture,
)

if TYPE_CHECKING:
    from yokedcache.core.entry import Entry

_GROUPS: Final = {kind.__name__: kind for kind in (set, frozenset, tuple)}


def to_plain(entry: Entry) -> Any:
    """
    Write down a value with mapped objects in it.
    """
    album: Album = entry.copier  # type: ignore[assignment]  # as `tells` says
    pictures = album.pictures
    numbers = {id(picture): number for number, picture in enumerate(pictures)}
    drawn = [_drawn(picture, numbers) for picture in pictures]
    return [drawn, _lowered(entry.value, numbers)]


def from_plain(plain: Any) -> tuple[Any, Any]:
    """
    Make an album of what was written down.
    """
    drawn, root = plain
    pictures = [_blank(*parts[:3]) for parts in drawn]
    for picture, (_, _, _, values, related) in zip(pictures, drawn, strict=True):
        known = picture.mapper.attrs
        for name, value in values:
            if name not in known:
                raise _changed(picture, name)
            kept = isolate(value)
            picture.values.append((name, kept.value, kept.copier))
        for name, held in related:
            if name not in known:
                raise _changed(picture, name)
            picture.related.append((name, _raised(held, pictures)))
    return _album(_raised(root, pictures), pictures)


def _album(root: Any, pictures: list[Picture]) -> tuple[Any, Any]:
    album = Album.of(root, pictures)
    return album.root, album


FORM: Final = Form(lambda e: isinstance(e.copier, Album), to_plain, from_plain)


def _drawn(picture: Picture, numbers: dict[int, int]) -> list[Any]:
    cls = picture.mapper.class_
    name = name_of(cls)
    if name is None:
        msg = f"{cls!r} can't be shared: its name doesn't lead to it"
        raise ValueNotStorableError(msg)
    _, identity, token = picture.identity
    values = [[name, value] for name, value, _ in picture.values]
    related = [[name, _lowered(held, numbers)] for name, held in picture.related]
    return [name, list(identity), token, values, related]


def _blank(name: str, identity: list[Any], token: Any) -> Picture:
    cls = find(name)
    mapper: Any = inspect(cls, raiseerr=False) if isinstance(cls, type) else None
    if mapper is None or not hasattr(mapper, "identity_key_from_primary_key"):
        raise PayloadError(f"{name} isn't mapped here")
    key = mapper.identity_key_from_primary_key(tuple(identity), token)
    return Picture(mapper, key)


def _changed(picture: Picture, name: str) -> PayloadError:
    return PayloadError(f"{picture.mapper.class_.__name__} has no {name!r} here")


def _lowered(kept: Any, numbers: dict[int, int]) -> list[Any]:
    kind = type(kept)
    if kind is Picture:
        return ["object", numbers[id(kept)]]
    if kind is list:
        return ["list", [_lowered(item, numbers) for item in kept]]
    if kind is dict:
        return ["dict", [[key, _lowered(item, numbers)] for key, item in kept.items()]]
    if kind is Group:
        name = kept.kind.__name__
        if _GROUPS.get(name) is not kept.kind:
            name = name_of(kept.kind)
            if name is None:
                msg = f"{kept.kind!r} can't be shared: its name doesn't lead to it"
                raise ValueNotStorableError(msg)
        return ["group", name, [_lowered(item, numbers) for item in kept.items]]
    if kept is Left:
        return ["left"]
    return ["value", kept.value if kind is Copied else kept]


def _raised(told: list[Any], pictures: list[Picture]) -> Any:
    what, *rest = told
    if what == "object":
        return pictures[rest[0]]
    if what == "list":
        return [_raised(item, pictures) for item in rest[0]]
    if what == "dict":
        return {key: _raised(item, pictures) for key, item in rest[0]}
    if what == "group":
        kind = _GROUPS.get(rest[0]) or find(rest[0])
        if not (isinstance(kind, type) and issubclass(kind, (tuple, set, frozenset))):
            raise PayloadError(f"{rest[0]} is no tuple or set here")
        return Group(kind, [_raised(item, pictures) for item in rest[1]])
    if what == "left":
        return Left
    kept = isolate(rest[0])
    return kept.value if kept.copier is None else Copied(kept.value, kept.copier)
