"""
Blueprints: instances as the loader made them, ready to be made again.

`Stamp` makes the instances of one result for one session. It does what
SQLAlchemy's constructor of states and its identity map do, written out: a state
gets its attributes as one copied dictionary, which costs half of setting them
one by one. `FAMILIAR` says whether this SQLAlchemy does just that; where it
doesn't there are no templates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from weakref import ref

from sqlalchemy.orm import InstanceState, Session, attributes
from sqlalchemy.orm.identity import _killed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_STATE: Final = "_sa_instance_state"


class Blueprint:
    """
    One instance as the loader made it.
    """

    __slots__ = (
        "cls", "collections", "key", "make", "manager", "mutable", "path", "plain",
        "single", "values",
    )  # fmt: skip

    def __init__(self, state: InstanceState[Any]) -> None:
        self.manager = state.manager
        self.cls: Any = state.manager.class_
        self.make: Any = self.cls.__new__
        self.key = state.key
        self.path = state.load_path
        # with room for the state: a copy of it needn't grow
        self.values: dict[str, Any] = {_STATE: None}
        self.mutable: list[tuple[str, Any, Callable[[Any], Any]]] = []
        self.single: list[tuple[str, Blueprint | None]] = []
        self.collections: list[tuple[str, list[Blueprint], Any]] = []
        self.plain = False
        """Nothing but immutable values."""


class Template:
    """
    The instances of one result, in the order of its rows.
    """

    __slots__ = ("keys", "managers", "rows", "uniform")

    def __init__(self, rows: list[Blueprint], everything: list[Blueprint]) -> None:
        self.rows = rows
        self.keys = keys = frozenset(one.key for one in everything)
        self.managers = tuple({one.manager for one in everything})
        self.uniform = (
            bool(rows)
            and len(keys) == len(rows)
            and all(
                row.plain and row.cls is rows[0].cls and row.path == rows[0].path
                for row in rows
            )
        )
        """Each row another instance of one class, with nothing but plain values."""


class Stamp:
    """
    Makes the instances of one result.
    """

    __slots__ = ("_made", "_state", "present")

    def __init__(self, session: Any, options: tuple[Any, ...], runid: int) -> None:
        self.present = present = session.identity_map
        self._made: dict[Blueprint, Any] = {}
        self._state = {
            "key": None,
            "identity_token": None,
            "session_id": session.hash_key,
            "_instance_dict": present._wr,
            "load_options": options,
            "load_path": None,
            "runid": runid,
        }
        """What every state of the result has, with room for the rest."""

    @property
    def killed(self) -> bool:
        """
        Tell whether the session was closed since: making an instance raises that.
        """
        return self.present._add_unpresent is _killed

    def fits(self, template: Template) -> bool:
        """
        Tell whether the session holds none of a template's instances.
        """
        held = self.present._dict
        return not held or self.killed or held.keys().isdisjoint(template.keys)

    def instances(self, template: Template) -> list[Any]:
        """
        Make the instances of a template, one for each row.
        """
        instances = (
            self._uniform(template.rows)
            if template.uniform
            else [self.stamp(blueprint) for blueprint in template.rows]
        )
        if instances and self.killed:
            state = instances[0]._sa_instance_state
            _killed(state, state.key)
        return instances

    def _uniform(self, blueprints: Sequence[Blueprint]) -> list[Any]:
        """
        Do what `stamp` does, unrolled for a uniform template.
        """
        first = blueprints[0]
        make, cls, manager = first.make, first.cls, first.manager
        held, common = self.present._dict, self._state
        common["load_path"] = first.path
        instances = []
        for blueprint in blueprints:
            instance = make(cls)
            state = _new_state(InstanceState)
            state.class_ = cls
            state.manager = manager
            state.obj = ref(instance, state._cleanup)
            state.committed_state = {}
            state.expired_attributes = set()
            state.__dict__ = own = common.copy()
            own["key"] = key = blueprint.key
            held[key] = state
            instance.__dict__ = loaded = blueprint.values.copy()
            loaded["_sa_instance_state"] = state
            instances.append(instance)
        return instances

    def stamp(self, blueprint: Blueprint) -> Any:
        """
        Make an instance as the loader would, or give the one made before.
        """
        made = self._made
        instance = made.get(blueprint)
        if instance is not None:
            return instance
        made[blueprint] = instance = blueprint.make(blueprint.cls)
        state = _new_state(InstanceState)
        state.class_ = blueprint.cls
        state.manager = blueprint.manager
        state.obj = ref(instance, state._cleanup)
        state.committed_state = {}
        state.expired_attributes = set()
        state.__dict__ = own = self._state.copy()
        own["key"] = key = blueprint.key
        own["load_path"] = blueprint.path
        self.present._dict[key] = state
        # Put in place whole: half the cost of filling the instance's own.
        instance.__dict__ = loaded = blueprint.values.copy()
        loaded["_sa_instance_state"] = state
        if not blueprint.plain:
            self._fill(blueprint, state, loaded)
        return instance

    def _fill(
        self, blueprint: Blueprint, state: InstanceState[Any], loaded: dict[str, Any]
    ) -> None:
        for name, value, copier in blueprint.mutable:
            loaded[name] = copier(value)
        for name, other in blueprint.single:
            loaded[name] = None if other is None else self.stamp(other)
        for name, others, factory in blueprint.collections:
            members = map(self.stamp, others)
            if factory is None:
                adapter = attributes.init_state_collection(state, loaded, name)
                adapter.append_multiple_without_event(members)
            else:
                _, held = blueprint.manager.initialize_collection(name, state, factory)
                list.extend(held, members)  # type: ignore[arg-type]
                loaded[name] = held


_new_state: Any = InstanceState.__new__
_SLOTS: Final = ("class_", "manager", "obj", "committed_state", "expired_attributes")


def _familiar() -> bool:
    """
    Tell whether SQLAlchemy makes states, and keeps them, as `Stamp` does.
    """
    probe: Any = _Probe()
    try:
        state: Any = InstanceState(probe, probe.manager)
        kept: Any = Session().identity_map
        bare = dict(state.__dict__)
        state.key = probe.key
        kept._add_unpresent(state, probe.key)
        return (
            {*InstanceState.__slots__} == {*_SLOTS, "__dict__", "__weakref__"}
            and state.class_ is _Probe
            and state.manager is probe.manager
            and state.obj() is probe
            and state.obj.__callback__ == state._cleanup
            and (state.committed_state, state.expired_attributes) == ({}, set())
            and bare == {}
            and state.__dict__ == {"key": probe.key, "_instance_dict": kept._wr}
            and kept._dict == {probe.key: state}
            and not kept._modified
        )
    except Exception:  # noqa: BLE001 - another SQLAlchemy
        return False


class _Probe:
    """
    Stands for an instance and what it belongs to.
    """

    manager = key = "probe"


FAMILIAR: Final = _familiar()
"""Whether this SQLAlchemy is one whose instances can be made from blueprints."""
