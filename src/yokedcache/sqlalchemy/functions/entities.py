"""
ORM objects as values of cached functions.

What is kept of an object is its mapper's class, its identity and the attributes
that were loaded, relationships included; never the object. A hit makes objects
of the caller's session (or detached ones): an instance that the session has
already is filled up where nothing is loaded, and never overwritten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import inspect
from sqlalchemy.orm import (
    InstanceState,
    Session,
    attributes,
    make_transient_to_detached,
)

from yokedcache.core.values import isolate, weigh
from yokedcache.errors import ValueNotStorableError
from yokedcache.sqlalchemy.functions.sessions import attach_known, note_vector

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.orm import Mapper

    from yokedcache.core.tags import Vector
    from yokedcache.stores.memory import MemoryStore

_PLAIN: Final = (str, bytes, int, float, bool, type(None))


class Picture:
    """
    One ORM object, taken down: made once, read by every hit.
    """

    __slots__ = ("identity", "mapper", "related", "values")

    def __init__(self, mapper: Mapper[Any], identity: Any) -> None:
        self.mapper = mapper
        self.identity = identity
        self.values: list[tuple[str, Any, Any]] = []
        self.related: list[tuple[str, Any]] = []


class Album:
    """
    A value with ORM objects in it, taken down; the copier of its entry.
    """

    def __init__(self, value: Any) -> None:
        self._pictures: dict[int, Picture] = {}
        self._kept: list[Any] = []
        self.root = self._take(value)
        self._kept.clear()

    @classmethod
    def of(cls, root: Any, pictures: Iterable[Picture]) -> Album:
        """
        Make one of what another one took down (`albums`).
        """
        album = cls.__new__(cls)
        album._pictures = {id(picture): picture for picture in pictures}
        album._kept = []
        album.root = root
        return album

    @property
    def pictures(self) -> list[Picture]:
        """
        List all that was taken down.
        """
        return list(self._pictures.values())

    def __call__(self, root: Any) -> Any:
        """
        Give the value with detached objects.
        """
        return self.attach(root, None)

    def attach(
        self,
        root: Any,
        session: Session | None,
        store: MemoryStore | None = None,
        vector: Vector = (),
    ) -> Any:
        """
        Give the value with objects of a session, which remembers their versions.
        """
        if session is not None and store is not None:
            note_vector(session, store, vector)
        return _Hanging(session).give(root)

    def weigh(self) -> int:
        """
        Estimate the bytes that the value takes.
        """
        return sum(
            200 + sum(weigh(value) for _, value, _ in picture.values)
            for picture in self._pictures.values()
        )

    def _take(self, value: Any) -> Any:  # noqa: PLR0911 - one a kind
        if isinstance(value, _PLAIN):
            return value
        state = getattr(value, "_sa_instance_state", None)
        if isinstance(state, InstanceState):
            return self._picture(value, state)
        kind = type(value)
        if kind is list:
            return [self._take(item) for item in value]
        if kind is dict:
            return {key: self._take(item) for key, item in value.items()}
        if kind is set or kind is frozenset or kind is tuple:
            return Group(kind, [self._take(item) for item in value])
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return Group(kind, [self._take(item) for item in value])
        kept = isolate(value)
        return value if kept.copier is None else Copied(kept.value, kept.copier)

    def _picture(self, value: Any, state: InstanceState[Any]) -> Picture:
        known = self._pictures.get(id(value))
        if known is not None:
            return known
        if state.key is None or state.modified or state.deleted:
            msg = f"{value!r} has changes that are not committed, so it can't be kept"
            raise ValueNotStorableError(msg, value=repr(value))
        picture = Picture(state.mapper, state.key)
        self._pictures[id(value)] = picture
        self._kept.append(value)
        relations = state.mapper.relationships
        for name, held in list(state.dict.items()):
            if name in relations:
                picture.related.append((name, self._related(held)))
            elif name in state.mapper.attrs:
                kept = isolate(held)
                picture.values.append((name, kept.value, kept.copier))
        return picture

    def _related(self, held: Any) -> Any:
        if held is None:
            return None
        adapter = getattr(held, "_sa_adapter", None)
        if adapter is None:
            return self._take(held)
        if not isinstance(held, list):
            return Left
        return [self._take(item) for item in adapter]


class Left:
    """
    Stands for a relationship that is left to be loaded lazily.
    """


class Group:
    """
    A tuple, named tuple or set in the value.
    """

    __slots__ = ("items", "kind")

    def __init__(self, kind: type, items: list[Any]) -> None:
        self.kind = kind
        self.items = items


class Copied:
    """
    A mutable value beside the objects.
    """

    __slots__ = ("copier", "value")

    def __init__(self, value: Any, copier: Any) -> None:
        self.value = value
        self.copier = copier


class _Hanging:
    """
    One reading of an album: an object stands once, wherever it is met.
    """

    def __init__(self, session: Session | None) -> None:
        self._session = session
        self._made: dict[int, Any] = {}

    def give(self, kept: Any) -> Any:
        """
        Give what was kept, with new objects.
        """
        kind = type(kept)
        if kind is Picture:
            return self._object(kept)
        if kind is list:
            return [self.give(item) for item in kept]
        if kind is dict:
            return {key: self.give(item) for key, item in kept.items()}
        if kind is Group:
            return self._group(kept)
        if kind is Copied:
            return kept.copier(kept.value)
        return kept

    def _group(self, kept: Group) -> Any:
        items = [self.give(item) for item in kept.items]
        if hasattr(kept.kind, "_fields"):
            return kept.kind(*items)
        return kept.kind(items)

    def _object(self, picture: Picture) -> Any:
        made = self._made.get(id(picture))
        if made is not None:
            return made
        session = self._session
        present = (
            None if session is None else session.identity_map.get(picture.identity)
        )
        instance = self._new(picture) if present is None else present
        self._made[id(picture)] = instance
        self._fill(instance, picture)
        return instance

    def _new(self, picture: Picture) -> Any:
        instance = picture.mapper.class_manager.new_instance()
        state: InstanceState[Any] = inspect(instance)
        for name, value, copier in picture.values:
            held = value if copier is None else copier(value)
            attributes.set_committed_value(instance, name, held)
        make_transient_to_detached(instance)
        if self._session is not None:
            attach_known(self._session, instance)
        state.manager.dispatch.load(state, None)
        return instance

    def _fill(self, instance: Any, picture: Picture) -> None:
        state: InstanceState[Any] = inspect(instance)
        loaded = state.dict
        for name, value, copier in picture.values:
            if name not in loaded:
                held = value if copier is None else copier(value)
                attributes.set_committed_value(instance, name, held)
        for name, related in picture.related:
            if name not in loaded and related is not Left:
                attributes.set_committed_value(instance, name, self.give(related))


def contains_objects(value: Any, depth: int = 3) -> bool:
    """
    Tell whether a value is, or has in it, an ORM object.
    """
    if isinstance(value, _PLAIN):
        return False
    if isinstance(getattr(value, "_sa_instance_state", None), InstanceState):
        return True
    if not depth:
        return False
    if isinstance(value, dict):
        return any(contains_objects(item, depth - 1) for item in value.values())
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(contains_objects(item, depth - 1) for item in value)
    return False
