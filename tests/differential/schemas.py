"""
Random schemas: mapped classes over tables, with what the database adds by itself.

A schema follows from its number and the kind of database alone. What is drawn is
noted in `info` of tables and columns, so that nothing has to be kept beside them.
"""

from __future__ import annotations

import random
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import orm

from tests.differential.kinds import ALL, KEYS, kinds
from tests.differential.relations import relate
from tests.differential.triggers import triggers

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = 4
"""How many rows a table begins with."""


@dataclass
class Schema:
    """
    Mapped classes, and statements that complete their tables.
    """

    number: int
    database: str
    base: Any
    classes: list[Any] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    """What was drawn, for people."""
    ddl: list[str] = field(default_factory=list)
    enforces: bool = True
    """Whether SQLite minds foreign keys."""

    def instance(self, cls: Any, number: int) -> dict[str, Any]:
        """
        Give the values of a first row, by attribute; the same for a number always.
        """
        dice = random.Random(f"{self.number}/{cls.__name__}/{number}")
        return values(dice, cls, number)

    def fill(self, session: orm.Session) -> None:
        """
        Put the first rows into empty tables.
        """
        for cls in self.classes:
            for number in numbers(cls):
                session.add(cls(**self.instance(cls, number)))
            session.flush()
        session.commit()

    def dispose(self) -> None:
        """
        Take the classes' mapping off.
        """
        self.base.registry.dispose()


def draw(number: int, database: str) -> Schema:
    """
    Draw the schema of a number.
    """
    dice = random.Random(f"schema {number} {database}")
    base = orm.declarative_base()
    schema = Schema(number, database, base, enforces=dice.random() < 0.7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sa.exc.SAWarning)
        for index in range(dice.randint(2, 4)):
            _draw_class(dice, schema, index)
        roots = [cls for cls in schema.classes if cls.__base__ is base]
        relate(dice, schema, roots)
        triggers(dice, schema, roots)
        base.registry.configure()
    return schema


def _draw_class(dice: random.Random, schema: Schema, index: int) -> None:
    name = f"E{index}"
    styles = ["int"] if dice.random() < 0.6 else [dice.choice(list(KEYS))]
    if dice.random() < 0.25:
        styles.append(dice.choice(["int", "string"]))
    body: dict[str, Any] = {"__tablename__": f"t{index}", "__mapper_args__": {}}
    for place, style in enumerate(styles):
        body[f"id{place or ''}"] = orm.mapped_column(
            KEYS[style][0](),
            primary_key=True,
            autoincrement="auto" if len(styles) == 1 else False,
            info={"key": style, "place": place},
        )
    body["touched"] = orm.mapped_column(sa.Integer, server_default="0")
    _columns(dice, schema, body, "c", dice.randint(1, 4))
    if dice.random() < 0.15:
        version = body["version"] = orm.mapped_column(sa.Integer, nullable=False)
        body["__mapper_args__"] = {"version_id_col": version.column}
    way = dice.choice(["", "", "", "", "joined", "single"])
    if way:
        body["kind"] = orm.mapped_column(sa.String(10))
        body["__mapper_args__"] |= {
            "polymorphic_on": "kind",
            "polymorphic_identity": name,
        }
    cls = type(name, (schema.base,), body)
    schema.classes.append(cls)
    schema.said.append(f"{name}: keys {styles}, columns {_drawn(body)}")
    if way:
        _inherit(dice, schema, cls, styles, way)


def _columns(
    dice: random.Random, schema: Schema, body: dict[str, Any], prefix: str, count: int
) -> None:
    offered = kinds(schema.database)
    for place in range(count):
        kind = dice.choice(list(offered))
        name = f"{prefix}{place}"
        options: dict[str, Any] = {}
        if dice.random() < 0.15:
            options["deferred"] = True
        if dice.random() < 0.1:
            options["default"] = offered[kind].values[0]
        if dice.random() < 0.1 and kind in {"integer", "string"}:
            options["onupdate"] = offered[kind].values[-1]
        body[name] = orm.mapped_column(
            offered[kind].make(f"x{len(schema.classes)}{name}"),
            nullable=True,
            info={"kind": kind},
            **options,
        )


def _drawn(body: dict[str, Any]) -> str:
    made = [
        f"{name} {column.column.info['kind']}{' deferred' * (column.deferred is True)}"
        for name, column in body.items()
        if isinstance(column, orm.MappedColumn) and "kind" in column.column.info
    ]
    return ", ".join(made)


def _inherit(
    dice: random.Random, schema: Schema, cls: Any, styles: list[str], way: str
) -> None:
    """
    Give a class a subclass, in a table of its own ("joined") or in its class's.
    """
    body: dict[str, Any] = {
        "__mapper_args__": {"polymorphic_identity": f"{cls.__name__}S"}
    }
    if way == "joined":
        names = [f"id{place or ''}" for place in range(len(styles))]
        body["__tablename__"] = f"{cls.__tablename__}s"
        body["__table_args__"] = (
            sa.ForeignKeyConstraint(
                names, [f"{cls.__tablename__}.{name}" for name in names]
            ),
        )
        for name, style in zip(names, styles, strict=True):
            body[name] = orm.mapped_column(KEYS[style][0](), primary_key=True)
    _columns(dice, schema, body, "s", dice.randint(1, 2))
    heir = type(f"{cls.__name__}S", (cls,), body)
    schema.classes.append(heir)
    schema.said.append(f"{heir.__name__}: {way} subclass, columns {_drawn(body)}")


def numbers(cls: Any) -> Iterator[int]:
    """
    Give the numbers of a class's first rows; those of subclasses come after.
    """
    depth = len(list(sa.inspect(cls).iterate_to_root())) - 1
    yield from range(1 + depth * ROWS, 1 + (depth + 1) * ROWS - 2 * depth)


def key_of(cls: Any, number: int) -> Any:
    """
    Give the primary key that goes with a number.
    """
    parts = []
    for column in sa.inspect(cls).primary_key:
        value = KEYS[column.info["key"]][1]
        place = column.info["place"]
        parts.append(value(number if not place else number % 2))
    return parts[0] if len(parts) == 1 else tuple(parts)


def kind_of(cls: Any, name: str) -> Any:
    """
    Give the kind of a plain column attribute, or `None`.
    """
    columns = sa.inspect(cls).attrs[name].columns
    return ALL.get(columns[0].info.get("kind"))


def plain_names(cls: Any) -> list[str]:
    """
    Name the plain column attributes of a class.
    """
    mapper = sa.inspect(cls)
    return sorted(
        prop.key
        for prop in mapper.column_attrs
        if getattr(prop.columns[0], "info", {}).get("kind") in ALL
    )


def values(dice: random.Random, cls: Any, number: int) -> dict[str, Any]:
    """
    Draw the values of a new instance.
    """
    mapper = sa.inspect(cls)
    found: dict[str, Any] = {}
    key = key_of(cls, number)
    for column, part in zip(
        mapper.primary_key, key if isinstance(key, tuple) else (key,), strict=True
    ):
        found[mapper.get_property_by_column(column).key] = part
    for name in plain_names(cls):
        kind = kind_of(cls, name)
        if dice.random() < 0.8:
            found[name] = dice.choice(kind.values)
    for prop in mapper.relationships:
        if prop.direction is orm.MANYTOONE:
            found |= _foreign(dice, prop, number)
    return found


def _foreign(dice: random.Random, prop: Any, number: int) -> dict[str, Any]:
    target = prop.mapper.class_
    pairs = prop.local_remote_pairs
    nullable = all(local.nullable for local, _ in pairs)
    chosen = dice.choice(range(1, ROWS + 1))
    if prop.mapper.isa(prop.parent) or prop.parent.isa(prop.mapper):
        chosen = min(chosen, number - 1)
    if (nullable and dice.random() < 0.2) or chosen < 1:
        return {}
    key = key_of(target, chosen)
    parts = dict(
        zip(
            prop.mapper.primary_key,
            key if isinstance(key, tuple) else (key,),
            strict=True,
        )
    )
    return {
        prop.parent.get_property_by_column(local).key: parts[remote]
        for local, remote in pairs
    }
