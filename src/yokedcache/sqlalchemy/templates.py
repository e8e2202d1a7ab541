"""
Templates: what the loader made of a recording, ready to be made again.

For plain entities (and what is eagerly joined to them) most of a hit is the
loader's work on rows that it has seen before. So the first hit runs the loader
once in a scratch session and takes down what it made: identity keys, attribute
values, collections. Later hits stamp instances from that, while SQLAlchemy's
own `loading.instances` still makes the result around them.

A template is an optimisation and never a second truth. Shapes with anything
that runs while loading (events, polymorphism, loads that emit SQL, attributes
set up per instance) have none; a new template is compared with what the loader
made before it is used; and where a session holds one of the instances already,
the loader does the work.
"""

from __future__ import annotations

import copy
import operator
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.orm import Session, attributes
from sqlalchemy.orm.collections import InstrumentedList
from sqlalchemy.orm.context import _MapperEntity

from yokedcache.core.values import isolate
from yokedcache.errors import ValueNotStorableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.engine import CursorResult
    from sqlalchemy.orm import InstanceState

_FIRST: Final = operator.itemgetter(0)
_STAMPER: Final = "_yokedcache_stamper"
_UNFIT: Final = object()


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
        self.cls = state.manager.class_
        self.make = self.cls.__new__
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

    __slots__ = ("keys", "rows", "uniform")

    def __init__(self, rows: list[Blueprint], keys: frozenset[Any]) -> None:
        self.rows = rows
        self.keys = keys
        self.uniform = len(keys) == len(rows) and all(
            row.plain and row.cls is rows[0].cls and row.path == rows[0].path
            for row in rows
        )
        """Each row another instance of one class, with nothing but plain values."""


class TemplateCursor:
    """
    Stands where the loader expects a result of rows; its rows are blueprints.
    """

    closed = False
    _is_server_side = False

    def __init__(self, compiled: Any, template: Template) -> None:
        self.compiled = compiled
        self.template = template
        self.stamp: Stamp | None = None
        self._left: Sequence[Blueprint] = template.rows

    @property
    def context(self) -> TemplateCursor:
        """
        Stand for the execution context, too: the loader asks it for little.
        """
        return self

    def _raw_all_rows(self) -> Sequence[tuple[Any]]:
        left, self._left = self._left, ()
        return self._stamped(left)

    _raw_all_tuples = _raw_all_rows

    def fetchmany(self, size: int) -> Sequence[tuple[Any]]:
        """
        Give the next rows.
        """
        head, self._left = self._left[:size], self._left[size:]
        return self._stamped(head)

    def _stamped(self, blueprints: Sequence[Blueprint]) -> Sequence[tuple[Any]]:
        stamp = self.stamp
        if stamp is None or not blueprints:
            return []
        if self.template.uniform:
            return stamp.uniform_rows(blueprints)
        return [(stamp.stamp(blueprint),) for blueprint in blueprints]

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
        result.stamp = Stamp(context.session, context.propagated_loader_options, context.runid)
        return _FIRST, self._label_name, self._extra_entities


class _Stamped:
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

    __slots__ = ("_add", "_made", "_options", "_runid", "_session_id")

    def __init__(self, session: Any, options: tuple[Any, ...], runid: int) -> None:
        self._add = session.identity_map._add_unpresent
        self._session_id = session.hash_key
        self._options = options
        self._runid = runid
        self._made: dict[Blueprint, Any] = {}

    def uniform_rows(self, blueprints: Sequence[Blueprint]) -> list[tuple[Any]]:
        """
        Make the instances of a uniform template: `stamp`, unrolled.
        """
        first = blueprints[0]
        make, cls, manager, path = first.make, first.cls, first.manager, first.path
        new_state, add = first.state, self._add
        session_id, options, runid = self._session_id, self._options, self._runid
        rows = []
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
            rows.append((instance,))
        return rows

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
                list.extend(held, members)
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
    present: Any = session.identity_map
    return present._dict.keys().isdisjoint(template.keys)


def stamped(compiled: Any, template: Template) -> TemplateCursor:
    """
    Give what the loader takes for the rows of a result.
    """
    return TemplateCursor(compiled.__dict__[_STAMPER], template)


def template_of(
    compiled: Any, statement: Any, replayed: Callable[[], CursorResult[Any]]
) -> Template | None:
    """
    Make the template of a recording, or `None` where there can't be one.
    """
    stamper = compiled.__dict__.get(_STAMPER)
    if stamper is None:
        fits = _fits(getattr(compiled, "compile_state", None))
        stamper = _Stamped(compiled.compile_state) if fits else _UNFIT
        compiled.__dict__[_STAMPER] = stamper
    if stamper is _UNFIT:
        return None
    try:
        template = _made(compiled, statement, replayed)
    except Exception:  # noqa: BLE001 - whatever is odd has no template
        template = None
    if template is None:
        compiled.__dict__[_STAMPER] = _UNFIT
    return template


def _made(
    compiled: Any, statement: Any, replayed: Callable[[], CursorResult[Any]]
) -> Template | None:
    truth = _load(compiled.compile_state, statement, replayed())
    drawing = _Drawing()
    rows = [drawing.draw(instance) for instance in truth]
    template = Template(rows, frozenset(print_.key for print_ in drawing.done.values()))
    again = _load(compiled.compile_state, statement, stamped(compiled, template))
    return template if _equal(truth, again) else None


def _load(compile_state: Any, statement: Any, rows: Any) -> list[Any]:
    """
    Run the loader in a session that has no database.
    """
    with Session(autoflush=False) as scratch:
        result = type(compile_state).orm_setup_cursor_result(
            scratch, statement, {}, {}, {}, rows
        )
        if compile_state.multi_row_eager_loaders:
            result = result.unique()
        loaded = list(result.scalars().all())
        scratch.expunge_all()
    return loaded


def _fits(compile_state: Any) -> bool:
    entities = getattr(compile_state, "_entities", None)
    if not entities:
        return False
    return (
        len(entities) == 1
        and type(entities[0]) is _MapperEntity
        and not entities[0]._with_polymorphic_mappers
        and not compile_state.compile_options._is_star
        and not compile_state.compile_options._only_load_props
    )


class _Drawing:
    """
    Takes down the instances that a loader made.
    """

    def __init__(self) -> None:
        self.done: dict[int, Blueprint] = {}

    def draw(self, instance: Any) -> Blueprint:
        """
        Take an instance down, and what was loaded with it.
        """
        known = self.done.get(id(instance))
        if known is not None:
            return known
        state: InstanceState[Any] = instance._sa_instance_state
        _check(state)
        blueprint = self.done[id(instance)] = Blueprint(state)
        relations = state.mapper.relationships
        for name, value in state.dict.items():
            if name == "_sa_instance_state":
                continue
            if name in relations:
                self._relate(blueprint, name, value)
            else:
                kept = isolate(value)
                if kept.copier is None:
                    blueprint.values[name] = kept.value
                else:
                    blueprint.mutable.append((name, kept.value, kept.copier))
        blueprint.plain = not (
            blueprint.mutable or blueprint.single or blueprint.collections
        )
        return blueprint

    def _relate(self, blueprint: Blueprint, name: str, value: Any) -> None:
        adapter = getattr(value, "_sa_adapter", None)
        if adapter is not None:
            members = [self.draw(item) for item in adapter]
            blueprint.collections.append((name, members, _factory(blueprint, name, value)))
        else:
            blueprint.single.append((name, None if value is None else self.draw(value)))


def _factory(blueprint: Blueprint, name: str, value: Any) -> Any:
    """
    Give what makes a plain list of instances, which can be filled in one step.
    """
    impl: Any = blueprint.manager[name].impl
    if type(value) is not InstrumentedList or impl.dispatch.init_collection:
        return None
    return impl.collection_factory


def _check(state: InstanceState[Any]) -> None:
    """
    Refuse instances that loading does more to than filling attributes.
    """
    mapper = state.mapper
    odd = (
        mapper.polymorphic_map
        or mapper.inherits is not None
        or state.manager.dispatch.load
        or state.expired_attributes
        or state.__dict__.get("callables")
        or state.modified
        or state.identity_token is not None
    )
    if odd:
        msg = "instances of this shape have no template"
        raise ValueNotStorableError(msg)


def _equal(these: list[Any], those: list[Any]) -> bool:
    """
    Tell whether two lists of instances hold the same, pairwise and throughout.
    """
    pairs = list(zip(these, those, strict=True))
    seen: dict[int, int] = {}
    while pairs:
        this, that = pairs.pop()
        if id(this) in seen:
            if seen[id(this)] != id(that):
                return False
            continue
        seen[id(this)] = id(that)
        if not _same_state(this, that, pairs):
            return False
    return True


def _same_state(this: Any, that: Any, pairs: list[tuple[Any, Any]]) -> bool:
    one, other = this._sa_instance_state, that._sa_instance_state
    if (
        type(this) is not type(that)
        or one.key != other.key
        or one.load_path != other.load_path
        or other.modified
        or one.dict.keys() != other.dict.keys()
    ):
        return False
    relations = one.mapper.relationships
    for name, value in one.dict.items():
        if name == "_sa_instance_state":
            continue
        twin = other.dict[name]
        if name not in relations or value is None or twin is None:
            if type(value) is not type(twin) or value != twin:
                return False
        elif hasattr(value, "_sa_adapter"):
            items, twins = list(value._sa_adapter), list(twin._sa_adapter)
            if type(value) is not type(twin) or len(items) != len(twins):
                return False
            pairs.extend(zip(items, twins, strict=True))
        else:
            pairs.append((value, twin))
    return True
