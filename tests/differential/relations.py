"""
Random relationships between the classes of a schema, and what deletes carry on.

A cascade may be declared in the models, in the tables, in both, or be known to the
database alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import orm

if TYPE_CHECKING:
    import random

    from tests.differential.schemas import Schema

LAZY = ["select"] * 6 + ["selectin", "joined", "subquery", "raise_on_sql"]


def relate(dice: random.Random, schema: Schema, roots: list[Any]) -> None:
    """
    Relate the classes to earlier ones, to themselves, and many to many.
    """
    for index, cls in enumerate(roots):
        for target in roots[: index + 1]:
            if dice.random() < (0.2 if target is cls else 0.6):
                _refer(dice, schema, cls, target)
    if dice.random() < 0.5:
        _associate(dice, schema, dice.choice(roots), dice.choice(roots))


def _keys(cls: Any) -> list[Any]:
    return list(sa.inspect(cls).local_table.primary_key.columns)


def _refer(dice: random.Random, schema: Schema, cls: Any, target: Any) -> None:
    table, remote = cls.__table__, _keys(target)
    one = f"to_{target.__name__}"
    many = f"of_{cls.__name__}"
    local = [
        sa.Column(
            f"{one}_{column.name}", column.type, nullable=True, info={"foreign": one}
        )
        for column in remote
    ]
    for column in local:
        table.append_column(column)
        sa.inspect(cls).add_property(column.name, column)
    action = dice.choice([None, None, "CASCADE", "SET NULL"])
    undeclared = action is not None and dice.random() < 0.4
    name = f"fk_{table.name}_{one}"
    table.append_constraint(
        sa.ForeignKeyConstraint(
            local,
            remote,
            name=name,
            ondelete=None if undeclared else action,
            info={"ondelete": action} if undeclared else {},
        )
    )
    cascade = dice.choice(["save-update, merge"] * 2 + ["all", "all, delete-orphan"])
    options: dict[str, Any] = {"foreign_keys": local}
    passive = dice.choice([False, False, True])
    cls_one = orm.relationship(
        target,
        back_populates=many,
        lazy=dice.choice(LAZY),
        remote_side=remote,
        **options,
    )
    target_many = orm.relationship(
        cls,
        back_populates=one,
        lazy=dice.choice(LAZY),
        cascade=cascade,
        passive_deletes=passive,
        order_by=_keys(cls),
        **options,
    )
    setattr(cls, one, cls_one)
    setattr(target, many, target_many)
    _count(dice, schema, cls, target, local)
    schema.said.append(
        f"{cls.__name__}.{one} ({cls_one.lazy}) / {target.__name__}.{many} "
        f"({target_many.lazy}, cascade={cascade!r}), ON DELETE {action}"
        f"{' that only the database knows' * undeclared}"
    )


def _count(
    dice: random.Random, schema: Schema, cls: Any, target: Any, local: list[Any]
) -> None:
    """
    Count the members of a collection in a column property of its owner.
    """
    if cls is target or dice.random() > 0.25:
        return
    where = [
        column == remote for column, remote in zip(local, _keys(target), strict=True)
    ]
    counted = (
        sa.select(sa.func.count())
        .select_from(cls.__table__)
        .where(*where)
        .correlate_except(cls.__table__)
        .scalar_subquery()
    )
    name = f"count_{cls.__name__}"
    deferred = dice.random() < 0.3
    setattr(target, name, orm.column_property(counted, deferred=deferred))
    schema.said.append(f"{target.__name__}.{name}: a subquery")


def _associate(dice: random.Random, schema: Schema, left: Any, right: Any) -> None:
    ends = {"l": left, "r": right}
    columns: dict[str, list[sa.Column[Any]]] = {}
    constraints: list[Any] = []
    for side, cls in ends.items():
        keys = _keys(cls)
        columns[side] = [
            sa.Column(f"{side}_{key.name}", key.type, primary_key=True) for key in keys
        ]
        constraints.append(
            sa.ForeignKeyConstraint(
                columns[side], keys, ondelete=dice.choice([None, "CASCADE"])
            )
        )
    table = sa.Table(
        "pairs", schema.base.metadata, *columns["l"], *columns["r"], *constraints
    )
    for side, other in (("l", "r"), ("r", "l")):
        joins = {
            name: sa.and_(
                *[
                    column == key
                    for column, key in zip(columns[end], _keys(ends[end]), strict=True)
                ]
            )
            for name, end in (("primaryjoin", side), ("secondaryjoin", other))
        }
        made = orm.relationship(
            ends[other],
            secondary=table,
            back_populates=f"pairs_{side}",
            lazy=dice.choice(LAZY),
            order_by=_keys(ends[other]),
            **joins,
        )
        setattr(ends[side], f"pairs_{other}", made)
    schema.said.append(f"{left.__name__}.pairs_r / {right.__name__}.pairs_l: pairs")
