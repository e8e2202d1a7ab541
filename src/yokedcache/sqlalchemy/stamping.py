"""
Stamping: instances made from templates, inside SQLAlchemy's own loading.

`loading.instances` makes the result as it always does; only the entity's row
processor is another one, which stamps instances from blueprints where SQLAlchemy's
would read rows. See `templates` for where templates come from.
"""

from __future__ import annotations

import copy
import operator
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.orm import attributes
from sqlalchemy.orm.context import _MapperEntity
from sqlalchemy.orm.identity import _killed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy.orm import InstanceState, Session

_FIRST: Final = operator.itemgetter(0)
STAMPER: Final = "_yokedcache_stamper"
"""Where a compiled statement keeps its `Stamper`."""


class Blueprint:
    """
    One instance as the loader made it.
    """

    __slots__ = (
        "cls", "collections", "key", "make", "manager", "mutable", "path", "plain",
        "single", "state", "values",
    )  # fmt: skip

    def __init__(self, state: InstanceState[Any]) -> None:
        self.manager = state.manager
        self.cls: Any = state.manager.class_
        self.make: Any = self.cls.__new__
        self.key = state.key
        self.path = state.load_path
        self.state = state.manager._state_constructor
        self.values: dict[str, Any] = {}
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


class TemplateCursor:
    """
    Stands where the loader expects a result of rows; its rows are instances.

    They are stamped when the loader gets ready, not when they are fetched: from
    then on the session has them, whatever else it loads before.
    """

    closed = False
    _is_server_side = False

    def __init__(self, compiled: Any, template: Template) -> None:
        self.compiled = compiled
        self._template = template
        self._left: Sequence[tuple[Any]] = ()
        self._present: Any = None

    @property
    def context(self) -> TemplateCursor:
        """
        Stand for the execution context, too: the loader asks it for little.
        """
        return self

    def stamp(self, stamp: Stamp) -> None:
        """
        Make the instances.
        """
        self._left = [(instance,) for instance in stamp.instances(self._template)]
        self._present = stamp.present

    def _raw_all_rows(self) -> Sequence[tuple[Any]]:
        left, self._left = self._left, ()
        if left:
            check_open(self._present, left[0][0])
        return left

    _raw_all_tuples = _raw_all_rows

    def fetchmany(self, size: int) -> Sequence[tuple[Any]]:
        """
        Give the next rows.
        """
        head, self._left = self._left[:size], self._left[size:]
        if head:
            check_open(self._present, head[0][0])
        return head

    def close(self) -> None:
        """
        Give no more rows.
        """
        self._left = ()
        self.closed = True

    def _soft_close(self, hard: bool = False, **_: Any) -> None:  # noqa: FBT001, FBT002
        self._left = ()
        self.closed = self.closed or hard


class _StampingEntity(_MapperEntity):
    """
    The entity of a statement, whose row processor stamps blueprints.
    """

    __slots__ = ()

    def row_processor(self, context: Any, result: TemplateCursor) -> Any:
        """
        Give what makes an instance of a row, with the entity's label.
        """
        options = context.propagated_loader_options
        result.stamp(Stamp(context.session, options, context.runid))
        return _FIRST, self._label_name, self._extra_entities


class Stamper:
    """
    Stands for a compiled statement whose entity stamps blueprints.
    """

    __slots__ = ("compile_state",)

    def __init__(self, compile_state: Any) -> None:
        state = copy.copy(compile_state)
        entity = copy.copy(compile_state._entities[0])
        entity.__class__ = _StampingEntity
        state._entities = [entity]
        self.compile_state = state


class Stamp:
    """
    Makes the instances of one result.
    """

    __slots__ = ("_add", "_made", "_options", "_runid", "_session_id", "present")

    def __init__(self, session: Any, options: tuple[Any, ...], runid: int) -> None:
        self.present = session.identity_map
        self._add = self.present._add_unpresent
        self._session_id = session.hash_key
        self._options = options
        self._runid = runid
        self._made: dict[Blueprint, Any] = {}

    def instances(self, template: Template) -> list[Any]:
        """
        Make the instances of a template, one for each row.
        """
        if template.uniform:
            return self._uniform(template.rows)
        return [self.stamp(blueprint) for blueprint in template.rows]

    def _uniform(self, blueprints: Sequence[Blueprint]) -> list[Any]:
        """
        Do what `stamp` does, unrolled for a uniform template.
        """
        first = blueprints[0]
        make, cls, manager, path = first.make, first.cls, first.manager, first.path
        new_state, add = first.state, self._add
        session_id, options, runid = self._session_id, self._options, self._runid
        instances = []
        for blueprint in blueprints:
            instance = make(cls)
            state = new_state(instance, manager)
            state.key = key = blueprint.key
            state.identity_token = None
            state.session_id = session_id
            add(state, key)
            state.load_options = options
            state.load_path = path
            state.runid = runid
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
        state = blueprint.state(instance, blueprint.manager)
        state.key = key = blueprint.key
        state.identity_token = None
        state.session_id = self._session_id
        self._add(state, key)
        state.load_options = self._options
        state.load_path = blueprint.path
        state.runid = self._runid
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


def check_open(present: Any, instance: Any) -> None:
    """
    Raise what the loader raises for rows that are fetched after their session closed.
    """
    if present._add_unpresent is _killed:
        state = instance._sa_instance_state
        _killed(state, state.key)


def while_open(present: Any, instances: list[Any]) -> Iterator[Any]:
    """
    Give instances, if their session is still open when the first is fetched.
    """
    if instances:
        check_open(present, instances[0])
    yield from instances


def usable(template: Template, session: Session, options: Any) -> bool:
    """
    Tell whether a session may be given instances of a template.
    """
    load = options.get("_sa_orm_load_options")
    if load is not None and (
        load._refresh_state is not None or load._version_check or load._identity_token
    ):
        return False
    if options.get("prebuffer_rows") or session.dispatch.loaded_as_persistent:
        return False
    for manager in template.managers:
        if manager.dispatch.load:
            return False
    present: Any = session.identity_map
    return not template.keys or present._dict.keys().isdisjoint(template.keys)


def stamped(compiled: Any, template: Template) -> TemplateCursor:
    """
    Give what the loader takes for the rows of a result.
    """
    return TemplateCursor(compiled.__dict__[STAMPER], template)
