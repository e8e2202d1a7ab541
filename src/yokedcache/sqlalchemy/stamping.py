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
    from collections.abc import Callable, Sequence

    from sqlalchemy.engine import CursorResult
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

    They are made when they are fetched, as the loader makes them: a result that is
    closed unread leaves nothing in its session. The loader itself does the work, over
    the rows, if by then the session holds one of them, or if they are fetched in parts.
    """

    closed = False
    _is_server_side = False

    def __init__(
        self,
        compiled: Any,
        template: Template,
        replayed: Callable[[], CursorResult[Any]],
    ) -> None:
        self.compiled = compiled
        self._template = template
        self._replayed = replayed
        self._context: Any = None
        self._stamp: Stamp | None = None
        self._rows: Any = None
        self._make: Any = None

    @property
    def context(self) -> TemplateCursor:
        """
        Stand for the execution context, too: the loader asks it for little.
        """
        return self

    def ready(self, context: Any) -> None:
        """
        Learn what the rows will be loaded for.
        """
        self._context = context
        options = context.propagated_loader_options
        self._stamp = Stamp(context.session, options, context.runid)

    def _raw_all_rows(self) -> Sequence[tuple[Any]]:
        return self._all("_raw_all_rows")

    def _raw_all_tuples(self) -> Sequence[tuple[Any]]:  # its name in 2.1
        return self._all("_raw_all_tuples")

    def _all(self, asked: str) -> Sequence[tuple[Any]]:
        stamp = self._stamp
        if stamp is not None and stamp.fits(self._template):
            self._stamp = None
            return [(instance,) for instance in stamp.instances(self._template)]
        return self._made(getattr(self._by_loader(), asked)())

    def fetchmany(self, size: int) -> Sequence[tuple[Any]]:
        """
        Give the next rows.
        """
        if self._stamp is not None and self._stamp.killed:
            return self._all("")
        return self._made(self._by_loader().fetchmany(size))

    def _by_loader(self) -> Any:
        if self._rows is None:
            self._stamp = None
            self._rows = self._replayed()
            state = self._context.compile_state = self.compiled.original
            make, *_ = state._entities[0].row_processor(self._context, self._rows)
            self._make = make
        return self._rows

    def _made(self, rows: Sequence[Any]) -> Sequence[tuple[Any]]:
        make = self._make
        return [(make(row),) for row in rows]

    def close(self) -> None:
        """
        Give no more rows.
        """
        self._soft_close(hard=True)

    def _soft_close(self, hard: bool = False, **_: Any) -> None:  # noqa: FBT001, FBT002
        if self._rows is not None:
            self._rows._soft_close(hard=hard)
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
        result.ready(context)
        return _FIRST, self._label_name, self._extra_entities


class Stamper:
    """
    Stands for a compiled statement whose entity stamps blueprints.
    """

    __slots__ = ("compile_state", "original")

    def __init__(self, compile_state: Any) -> None:
        self.original = compile_state
        state = copy.copy(compile_state)
        entity = copy.copy(compile_state._entities[0])
        entity.__class__ = _StampingEntity
        state._entities = [entity]
        self.compile_state = state


class Stamp:
    """
    Makes the instances of one result.
    """

    __slots__ = ("_made", "_options", "_present", "_runid", "_session_id")

    def __init__(self, session: Any, options: tuple[Any, ...], runid: int) -> None:
        self._present = session.identity_map
        self._session_id = session.hash_key
        self._options = options
        self._runid = runid
        self._made: dict[Blueprint, Any] = {}

    @property
    def killed(self) -> bool:
        """
        Tell whether the session was closed since: making an instance raises that.
        """
        return self._present._add_unpresent is _killed

    def fits(self, template: Template) -> bool:
        """
        Tell whether the session holds none of a template's instances.
        """
        held = self._present._dict
        return not held or self.killed or held.keys().isdisjoint(template.keys)

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
        new_state, add = first.state, self._present._add_unpresent
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
        self._present._add_unpresent(state, key)
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
    return not any(manager.dispatch.load for manager in template.managers)


def stamped(
    compiled: Any, template: Template, replayed: Callable[[], CursorResult[Any]]
) -> TemplateCursor:
    """
    Give what the loader takes for the rows of a result.
    """
    return TemplateCursor(compiled.__dict__[STAMPER], template, replayed)
