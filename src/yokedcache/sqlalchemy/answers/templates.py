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

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.orm import Session
from sqlalchemy.orm.collections import InstrumentedList
from sqlalchemy.orm.context import _MapperEntity

from yokedcache.core.values import isolate
from yokedcache.errors import ValueNotStorableError
from yokedcache.sqlalchemy.answers.blueprints import FAMILIAR, Blueprint, Template
from yokedcache.sqlalchemy.answers.stamping import STAMPER, Stamper, stamped

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import CursorResult
    from sqlalchemy.orm import InstanceState, Mapper

_UNFIT: Final = "_yokedcache_no_more_templates"
"""Marks a compiled statement of which no more templates are made; those there are serve."""


def template_of(
    compiled: Any, statement: Any, replayed: Callable[[], CursorResult[Any]]
) -> Template | None:
    """
    Make the template of a recording, or `None` where there can't be one.
    """
    if _UNFIT in compiled.__dict__:
        return None
    if STAMPER not in compiled.__dict__:
        state = getattr(compiled, "compile_state", None)
        if not _fits(state) or _runs_code(compiled):
            compiled.__dict__[_UNFIT] = True
            return None
        compiled.__dict__[STAMPER] = Stamper(state)
    if not all(map(_plain, _mappers(compiled.compile_state))):
        return None  # the app may listen since
    try:
        template = _made(compiled, statement, replayed)
    except Exception:  # noqa: BLE001 - whatever is odd has no template
        template = None
    if template is None:
        compiled.__dict__[_UNFIT] = True
    return template


def _made(
    compiled: Any, statement: Any, replayed: Callable[[], CursorResult[Any]]
) -> Template | None:
    truth = _load(compiled.compile_state, statement, replayed())
    drawing = _Drawing()
    rows = [drawing.draw(instance) for instance in truth]
    template = Template(rows, list(drawing.done.values()))
    again = _load(
        compiled.compile_state, statement, stamped(compiled, template, replayed)
    )
    return template if _equal(truth, again) else None


def _load(compile_state: Any, statement: Any, rows: Any) -> list[Any]:
    """
    Run the loader in a session that has no database.
    """
    with _Scratch(autoflush=False) as scratch:
        result = type(compile_state).orm_setup_cursor_result(
            scratch, statement, {}, {}, {}, rows
        )
        if compile_state.multi_row_eager_loaders:
            result = result.unique()
        loaded = list(result.scalars().all())
        scratch.expunge_all()
    return loaded


class _Scratch(Session):
    """
    A session in which nothing is seen or sent: no listener of the app hears of it.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        dispatch: Any = Session.dispatch
        self.__dict__["dispatch"] = dispatch._for_class(_Unheard)

    def _execute_internal(self, *_: Any, **__: Any) -> Any:
        msg = "loading these instances takes further statements"
        raise ValueNotStorableError(msg)

    def _identity_lookup(self, *_: Any, **__: Any) -> Any:
        msg = "loading these instances depends on what their session holds"
        raise ValueNotStorableError(msg)


class _Unheard:
    """
    A class on which nobody listens.
    """


def _fits(compile_state: Any) -> bool:
    entities = getattr(compile_state, "_entities", None)
    if not entities:
        return False
    return (
        FAMILIAR
        and len(entities) == 1
        and type(entities[0]) is _MapperEntity
        and not entities[0]._with_polymorphic_mappers
        and not compile_state.compile_options._is_star
        and not compile_state.compile_options._only_load_props
        and all(map(_plain, _mappers(compile_state)))
    )


def _runs_code(compiled: Any) -> bool:
    """
    Tell whether a type of the app's makes values: it may do so anew at each load.
    """
    dialect = compiled.dialect
    return any(
        _of_app(column.type.dialect_impl(dialect))
        for column in compiled._result_columns
    )


def _of_app(type_: Any) -> bool:
    methods = (
        getattr(type(type_), name, None)
        for name in ("process_result_value", "result_processor")
    )
    inside = (type_.__dict__.get(name) for name in ("impl", "item_type"))
    return any(
        not method.__module__.startswith("sqlalchemy.") for method in methods if method
    ) or any(_of_app(part) for part in inside if part is not None)


def _mappers(compile_state: Any) -> set[Mapper[Any]]:
    """
    Find whose instances a statement may load, before it loads any.
    """
    found = {compile_state._entities[0].mapper}
    for key in compile_state.attributes:
        where = key[-1] if type(key) is tuple else key
        for step in where if type(where) is tuple else (where,):
            mapper = getattr(step, "mapper", None)
            if mapper is not None:
                found.add(mapper)
    return found


def _plain(mapper: Mapper[Any]) -> bool:
    """
    Tell whether loading an instance runs nothing of the app's, and gives no subclass.
    """
    return not (
        mapper.polymorphic_map
        or mapper.inherits is not None
        or mapper.class_manager.dispatch.load
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
            blueprint.collections.append(
                (name, members, _factory(blueprint, name, value))
            )
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
    odd = (
        not _plain(state.mapper)
        or state.expired_attributes
        or state.__dict__.get("callables")
        or state.__dict__.get("_empty_collections")
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
        or type(one) is not type(other)
        or one.key != other.key
        or one.load_path != other.load_path
        or other.modified
        or _names(one) != _names(other)
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


def _names(state: Any) -> set[str]:
    """
    Name what a state holds, but for what it works out when asked.
    """
    return {*state.__dict__} - _WORKED_OUT


_WORKED_OUT: Final = {"mapper", "_empty_collections"}
