"""
Random statements over a schema, and the ways to take their results.

A statement is drawn anew, from the same seed, each time that it is executed: apps
build theirs anew as well.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import orm

from tests.differential.schemas import ROWS, key_of, kind_of, plain_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.differential.schemas import Schema


def shown(statement: Any) -> str:
    """
    Show a statement on one line, as far as it can be shown without a database.
    """
    try:
        return " ".join(str(statement).split())
    except sa.exc.SQLAlchemyError as error:
        return f"a statement that is wrong: {error}"


class Query:
    """
    A statement being drawn.
    """

    def __init__(self, schema: Schema, seed: str) -> None:
        self.dice = dice = random.Random(seed)
        self.cls = dice.choice(schema.classes)
        self.mapper = sa.inspect(self.cls)
        self.entity: Any = self.cls
        if dice.random() < 0.1:
            self.entity = orm.aliased(self.cls)
        self.keys = [
            getattr(self.entity, self.mapper.get_property_by_column(column).key)
            for column in self.mapper.primary_key
        ]
        self.statement: Any = None
        form = dice.choices(list(FORMS), weights=[w for _, w in FORMS.values()])[0]
        FORMS[form][0](self)

    def attribute(self) -> Any:
        """
        Choose a plain column.
        """
        names = plain_names(self.cls)
        return getattr(self.entity, self.dice.choice(names)) if names else self.keys[0]

    def where(self, statement: Any) -> Any:
        """
        Narrow a statement.
        """
        dice = self.dice
        way = dice.randrange(8)
        number = dice.randint(1, ROWS + 1)
        wanted = key_of(self.cls, number)
        parts = wanted if isinstance(wanted, tuple) else (wanted,)
        if way < 3:
            return statement.where(
                *[column == part for column, part in zip(self.keys, parts, strict=True)]
            )
        if way == 3:
            return statement.where(self.keys[0] <= parts[0])
        if way == 4:
            several = [key_of(self.cls, n) for n in range(1, number)]
            firsts = [one[0] if isinstance(one, tuple) else one for one in several]
            return statement.where(self.keys[0].in_(firsts))
        if way == 5:
            return statement.where(self._compared())
        return statement

    def _compared(self) -> Any:
        attribute = self.attribute()
        kind = kind_of(self.cls, attribute.key) if attribute not in self.keys else None
        if kind is None or not kind.compares:
            return attribute.is_not(None)
        value = self.dice.choice(kind.values)
        return self.dice.choice([attribute == value, attribute.is_(None)])

    def relation(self) -> Any:
        """
        Choose a relationship, or none.
        """
        found = sorted(prop.key for prop in self.mapper.relationships)
        return getattr(self.entity, self.dice.choice(found)) if found else None

    def ordered(self, statement: Any) -> Any:
        """
        Put rows in an order.
        """
        return statement.order_by(*self.keys)


def _entities(query: Query) -> None:
    statement = query.ordered(query.where(sa.select(query.entity)))
    dice = query.dice
    for _ in range(dice.choice([0, 0, 1, 2])):
        option = dice.choice(_OPTIONS)(query)
        if option is not None:
            statement = statement.options(option)
    if dice.random() < 0.15:
        statement = statement.limit(dice.randint(1, 3)).offset(dice.randint(0, 1))
    if dice.random() < 0.1:
        statement = statement.execution_options(
            **dice.choice(
                [{"populate_existing": True}, {"yield_per": 2}, {"autoflush": False}]
            )
        )
    if dice.random() < 0.05:
        statement = statement.with_for_update()
    query.statement = statement


def _eager(query: Query) -> Any:
    relation = query.relation()
    if relation is None:
        return None
    dice = query.dice
    loads = [
        orm.joinedload, orm.selectinload, orm.subqueryload, orm.lazyload,
        orm.raiseload, orm.noload, orm.immediateload,
    ]  # fmt: skip
    made = dice.choice(loads)(relation)
    further = sorted(prop.key for prop in relation.property.mapper.relationships)
    if further and dice.random() < 0.4:
        second = getattr(relation.property.mapper.class_, dice.choice(further))
        made = getattr(made, dice.choice(["joinedload", "selectinload", "lazyload"]))(
            second
        )
    return made


def _eager_some(query: Query) -> Any:
    relation = query.relation()
    if relation is None:
        return None
    target = relation.property.mapper.class_
    column = getattr(target, sa.inspect(target).primary_key[0].key)
    key = key_of(target, 2)
    first = key[0] if isinstance(key, tuple) else key
    return orm.joinedload(relation.and_(column >= first))


def _columns_loaded(query: Query) -> Any:
    way = query.dice.choice([orm.defer, orm.undefer, orm.load_only])
    return way(query.attribute())


def _criteria(query: Query) -> Any:
    key = key_of(query.cls, 2)
    first = key[0] if isinstance(key, tuple) else key
    name = query.mapper.primary_key[0].key
    return orm.with_loader_criteria(query.cls, getattr(query.cls, name) >= first)


_OPTIONS = [_eager, _eager, _eager, _eager_some, _columns_loaded, _criteria]


def _columns(query: Query) -> None:
    columns = [*query.keys, query.attribute().label("one")]
    query.statement = query.ordered(query.where(sa.select(*columns)))


def _entity_and_column(query: Query) -> None:
    statement = sa.select(query.entity, query.attribute().label("one"))
    query.statement = query.ordered(query.where(statement))


def _count(query: Query) -> None:
    counted = sa.select(sa.func.count()).select_from(query.entity)
    query.statement = query.where(counted)


def _aggregate(query: Query) -> None:
    grouped = sa.select(query.keys[0], sa.func.count()).group_by(query.keys[0])
    query.statement = query.where(grouped).order_by(query.keys[0])


def _join(query: Query) -> None:
    relation = query.relation()
    if relation is None:
        _entities(query)
        return
    other = orm.aliased(relation.property.mapper.class_)
    keys = [
        getattr(other, relation.property.mapper.get_property_by_column(column).key)
        for column in relation.property.mapper.primary_key
    ]
    dice = query.dice
    shown = dice.choice([(query.entity,), (query.entity, other), (other,)])
    statement = sa.select(*shown).select_from(query.entity)
    statement = statement.join(
        relation.of_type(other), isouter=dice.random() < 0.5, full=False
    )
    if len(shown) == 1 and shown[0] is query.entity and dice.random() < 0.5:
        statement = statement.options(orm.contains_eager(relation.of_type(other)))
    query.statement = query.where(statement).order_by(*query.keys, *keys)


def _exists(query: Query) -> None:
    relation = query.relation()
    if relation is None:
        _count(query)
        return
    some = relation.any() if relation.property.uselist else relation.has()
    if query.dice.random() < 0.3:
        some = ~some
    query.statement = query.ordered(sa.select(query.entity).where(some))


def _union(query: Query) -> None:
    one = query.where(sa.select(*query.keys))
    other = query.where(sa.select(*query.keys))
    query.statement = sa.union_all(one, other).order_by(sa.text("1"))


def _cte(query: Query) -> None:
    inner = query.where(sa.select(query.keys[0].label("k"))).cte("some")
    statement = sa.select(query.entity).where(query.keys[0].in_(sa.select(inner.c.k)))
    query.statement = query.ordered(statement)


def _subquery(query: Query) -> None:
    inner = query.where(sa.select(sa.func.max(query.keys[0]))).scalar_subquery()
    query.statement = sa.select(inner)


def _from_subquery(query: Query) -> None:
    inner = query.where(sa.select(query.cls)).subquery()
    other = orm.aliased(query.cls, inner)
    key = query.mapper.get_property_by_column(query.mapper.primary_key[0]).key
    query.statement = sa.select(other).order_by(getattr(other, key))


def _text(query: Query) -> None:
    table = query.mapper.local_table.name
    key = query.mapper.local_table.primary_key.columns.keys()[0]
    text = f"SELECT * FROM {table} ORDER BY {key}"
    if query.mapper.single or query.mapper.inherits or query.dice.random() < 0.5:
        query.statement = sa.text(text)
    else:
        query.statement = sa.select(query.cls).from_statement(sa.text(text))


FORMS: dict[str, tuple[Callable[[Query], None], int]] = {
    "entities": (_entities, 50),
    "columns": (_columns, 8),
    "entity and column": (_entity_and_column, 5),
    "count": (_count, 5),
    "aggregate": (_aggregate, 3),
    "join": (_join, 12),
    "exists": (_exists, 6),
    "union": (_union, 3),
    "cte": (_cte, 3),
    "subquery": (_subquery, 3),
    "from subquery": (_from_subquery, 3),
    "text": (_text, 5),
}


CONSUMERS: dict[str, Callable[[Any], Any]] = {
    "all": lambda result: result.unique().all(),
    "not_unique": lambda result: result.all(),
    "scalars": lambda result: result.unique().scalars().all(),
    "scalars_unique": lambda result: result.scalars().unique().all(),
    "first": lambda result: result.unique().first(),
    "one": lambda result: result.unique().one(),
    "one_or_none": lambda result: result.unique().one_or_none(),
    "scalar": lambda result: result.unique().scalar(),
    "scalar_one": lambda result: result.unique().scalar_one(),
    "mappings": lambda result: [dict(row) for row in result.unique().mappings()],
    "partitions": lambda result: [list(part) for part in result.unique().partitions(2)],
    "parts": lambda result: list(result.yield_per(2).partitions()),
    "fetchmany": lambda result: [result.unique().fetchmany(1), result.fetchmany(5)],
    "keys": lambda result: [list(result.keys()), result.unique().all()],
    "frozen": lambda result: [result.freeze()().unique().all()],
    "iterated": lambda result: list(result.unique()),
    "closed": lambda result: result.close(),
    "twice": lambda result: [result.unique().all(), result.all()],
}
