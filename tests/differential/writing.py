"""
Steps that write: attributes, collections, new and deleted instances, statements.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tests.differential.kinds import ALL
from tests.differential.reading import some
from tests.differential.schemas import ROWS, key_of, kind_of, plain_names, values
from tests.differential.sides import plain
from tests.differential.statements import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.differential.programs import Step
    from tests.differential.sides import Side


def _narrowed(cls: Any, number: int) -> list[Any]:
    key = key_of(cls, number)
    parts = key if isinstance(key, tuple) else (key,)
    mapper = sa.inspect(cls)
    return [
        getattr(cls, mapper.get_property_by_column(column).key) == part
        for column, part in zip(mapper.primary_key, parts, strict=True)
    ]


def _assignment(step: Step, cls: Any) -> dict[str, Any]:
    names = plain_names(cls)
    if not names:
        return {"touched": step.dice.randrange(100)}
    name = step.dice.choice(names)
    offered = (*kind_of(cls, name).values, None)
    return {name: copy.deepcopy(step.dice.choice(offered))}


def _change(step: Step) -> None:
    cls = step.dice.choice(step.schema.classes)
    pick = some(step, cls)
    ((name, value),) = _assignment(step, cls).items()
    step.text = f"{cls.__name__}.{name} = {value!r}"

    def act(side: Side) -> None:
        instance = pick(side)
        if instance is not None:
            setattr(instance, name, copy.deepcopy(value))

    step.act = act


def _mutate(step: Step) -> None:
    """
    Change a value in place, which nobody hears of: it must stay the caller's own.
    """
    cls = step.dice.choice(step.schema.classes)
    pick = some(step, cls)
    step.text = f"mutate values of a {cls.__name__} in place"

    def act(side: Side) -> None:
        instance = pick(side)
        for value in [] if instance is None else list(instance.__dict__.values()):
            if type(value) is list:
                value.append(99)
            elif type(value) is dict:
                value["mutated"] = True

    step.act = act


def _relate(step: Step) -> None:
    cls = step.dice.choice(step.schema.classes)
    relations = sorted(prop.key for prop in sa.inspect(cls).relationships)
    if not relations:
        return
    name = step.dice.choice(relations)
    prop = sa.inspect(cls).attrs[name]
    pick, other = some(step, cls), some(step, prop.mapper.class_)
    removes = step.dice.random() < 0.3
    step.text = f"{'un' * removes}relate {cls.__name__}.{name}"

    def act(side: Side) -> Any:
        instance, target = pick(side), other(side)
        if instance is None or (target is None and not removes):
            return
        if not prop.uselist:
            setattr(instance, name, None if removes else target)
            return
        collection = getattr(instance, name)
        if removes and collection:
            collection.pop()
        elif not removes and target not in collection:
            collection.append(target)

    step.act = act


def _add(step: Step) -> None:
    cls = step.dice.choice(step.schema.classes)
    given = values(step.dice, cls, 100 + step.number)
    if step.dice.random() < 0.15:
        given |= values(step.dice, cls, step.dice.randint(1, ROWS))
    step.text = f"add {cls.__name__}({given!r})"

    def act(side: Side) -> None:
        side.sessions[step.which].add(cls(**copy.deepcopy(given)))

    step.act = act


def _delete(step: Step) -> None:
    cls = step.dice.choice(step.schema.classes)
    pick = some(step, cls)
    step.text = f"delete a {cls.__name__}"

    def act(side: Side) -> None:
        instance = pick(side)
        if instance is not None:
            side.sessions[step.which].delete(instance)

    step.act = act


def _merge(step: Step) -> None:
    cls = step.dice.choice(step.schema.classes)
    given = values(step.dice, cls, step.dice.choice([1, 2, 100 + step.number]))
    step.text = f"merge {cls.__name__}({given!r})"

    def act(side: Side) -> Any:
        merged = side.sessions[step.which].merge(cls(**copy.deepcopy(given)))
        side.held[step.which].append(merged)
        return plain(merged)

    step.act = act


def _statement(step: Step) -> tuple[Any, str]:
    """
    Draw a statement that writes, and say its values.
    """
    dice = step.dice
    cls = dice.choice(step.schema.classes)
    mapper = sa.inspect(cls)
    if mapper.inherits is not None and not mapper.single:
        return _on_own_table(step, mapper.local_table)
    chosen = _narrowed(cls, dice.randint(1, ROWS))
    changed = _assignment(step, cls)
    given = values(dice, cls, 200 + step.number)
    name = mapper.local_table.name
    offered: list[tuple[Any, str]] = [
        (sa.update(cls).where(*chosen).values(changed), f"{changed}"),
        (sa.update(cls).values(changed), f"{changed}"),
        (sa.delete(cls).where(*chosen), ""),
        (sa.insert(cls).values(given), f"{given}"),
        (sa.text(f"UPDATE {name} SET touched = {step.number}"), ""),
    ]
    return dice.choice(offered)


def _on_own_table(step: Step, table: Any) -> tuple[Any, str]:
    """
    Write to the table of a joined subclass alone, past the ORM.
    """
    column = next(column for column in table.c if "kind" in column.info)
    value = step.dice.choice(ALL[column.info["kind"]].values)
    return sa.update(table).values({column: value}), f"{value!r}"


def _bulk(step: Step) -> None:
    statement, said = _statement(step)
    step.text = lambda: f"execute {shown(statement)} {said}"

    def act(side: Side) -> None:
        side.sessions[step.which].execute(statement)

    step.act = act


def _elsewhere(step: Step) -> None:
    """
    Write over another connection, and commit.
    """
    statement, said = _statement(step)
    keeps = step.dice.random() < 0.85
    end = "commit" if keeps else "roll back"
    step.text = lambda: f"elsewhere {shown(statement)} {said}, {end}"

    def act(side: Side) -> None:
        with side.engine.connect() as connection:
            connection.execute(statement)
            (connection.commit if keeps else connection.rollback)()

    step.act = act


STEPS: dict[str, tuple[Callable[[Step], None], int]] = {
    "elsewhere": (_elsewhere, 5),
    "change": (_change, 3),
    "mutate": (_mutate, 1),
    "relate": (_relate, 2),
    "add": (_add, 2),
    "delete": (_delete, 1),
    "merge": (_merge, 1),
    "bulk": (_bulk, 2),
}
