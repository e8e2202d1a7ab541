"""
Steps that read: statements, gets, attributes, cached functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tests.differential.functions import FUNCTIONS
from tests.differential.schemas import ROWS, key_of
from tests.differential.sides import plain, state_of
from tests.differential.statements import CONSUMERS, Query, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.differential.programs import Step
    from tests.differential.sides import Side


def _drawn(step: Step) -> Callable[[], Any]:
    """
    Choose a statement: one of the program's favourites most of the time.
    """
    seed = f"{step.program.seed}/{step.number}"
    if step.dice.random() < 0.85:
        seed = step.dice.choice(step.program.favourites)
    return lambda: Query(step.schema, seed).statement


def _query(step: Step) -> None:
    make = _drawn(step)
    name = step.dice.choice(step.program.consumers)
    keep = step.dice.random() < 0.5
    step.text = lambda: f"{name} of {shown(make())}{', kept' * keep}"

    def act(side: Side) -> Any:
        found = CONSUMERS[name](side.sessions[step.which].execute(make()))
        if keep:
            side.held[step.which].append(found)
        return plain(found)

    step.act = act


def _again(step: Step) -> None:
    """
    Ask the same in several sessions of their own: what makes hits short.

    A session may have got an instance before, or between statement and fetch.
    """
    make, dice = _drawn(step), step.dice
    name = dice.choice(step.program.consumers)
    times = dice.randint(2, 5)
    gets = dice.choice(["", "", "before", "between"])
    cls, number = _class_of(step, make()), dice.randint(1, ROWS)
    step.text = lambda: (
        f"{times} new sessions: {name} of {shown(make())}"
        + f", get({cls.__name__}, {number}) {gets}" * bool(gets)
    )

    def ask(session: Any, statement: Any) -> Any:
        held = session.get(cls, key_of(cls, number)) if gets == "before" else None
        result = session.execute(statement)
        if gets == "between":
            held = session.get(cls, key_of(cls, number))
        found = CONSUMERS[name](result)
        return plain(held), plain(found), state_of(session)

    def act(side: Side) -> Any:
        statement = make()
        return [
            _asked(side, lambda session: ask(session, statement)) for _ in range(times)
        ]

    step.act = act


def _asked(side: Side, ask: Callable[[Any], Any]) -> Any:
    session = side.make()
    try:
        return ask(session)
    finally:
        session.close()


def _class_of(step: Step, statement: Any) -> Any:
    """
    Choose a class, one that a statement gives if it gives any.
    """
    for column in getattr(statement, "column_descriptions", ()):
        if column["entity"] is not None and sa.inspect(column["entity"]).is_mapper:
            return column["entity"]
    return step.dice.choice(step.schema.classes)


def _get(step: Step) -> None:
    dice = step.dice
    cls = dice.choice(step.schema.classes)
    key = key_of(cls, dice.randint(1, ROWS + 2))
    options = dice.choice(
        [{}, {}, {}, {}, {"populate_existing": True}, {"with_for_update": True}]
    )
    keep, times = dice.random() < 0.7, dice.choice([0, 0, 4])
    where = f"{times} new sessions: " * bool(times)
    step.text = f"{where}get({cls.__name__}, {key!r}, {options}){', kept' * keep}"

    def ask(session: Any) -> Any:
        found = session.get(cls, key, **options)
        return plain(found), state_of(session)

    def act(side: Side) -> Any:
        seen = [_asked(side, ask) for _ in range(times)]
        if not times:
            found = side.sessions[step.which].get(cls, key, **options)
            seen.append(plain(found))
            if keep:
                side.held[step.which].append(found)
        return seen

    step.act = act


def some(step: Step, cls: Any) -> Callable[[Side], Any]:
    """
    Choose an instance that a session holds: what it picks depends on what is there.
    """
    chosen = step.dice.randrange(6)

    def pick(side: Side) -> Any:
        present = [
            instance
            for instance in side.sessions[step.which].identity_map.values()
            if isinstance(instance, cls)
        ]
        present.sort(key=lambda instance: repr(sa.inspect(instance).key))
        return present[chosen % len(present)] if present else None

    return pick


def _read(step: Step) -> None:
    cls = step.dice.choice(step.schema.classes)
    pick = some(step, cls)
    mapper = sa.inspect(cls)
    names = sorted(prop.key for prop in mapper.attrs)
    related = sorted(prop.key for prop in mapper.relationships)
    name = step.dice.choice(related + names)
    step.text = f"read {cls.__name__}.{name}"

    def act(side: Side) -> Any:
        instance = pick(side)
        return None if instance is None else plain(getattr(instance, name))

    step.act = act


def _legacy(step: Step) -> None:
    cls = step.dice.choice(step.schema.classes)
    key = key_of(cls, step.dice.randint(1, ROWS))
    keys = [
        getattr(cls, sa.inspect(cls).get_property_by_column(column).key)
        for column in sa.inspect(cls).primary_key
    ]
    parts = key if isinstance(key, tuple) else (key,)
    narrow = [column == part for column, part in zip(keys, parts, strict=True)]
    ways: dict[str, Callable[[Any], Any]] = {
        "filter.all": lambda query: query.filter(*narrow).all(),
        "filter.first": lambda query: query.filter(*narrow).first(),
        "filter.one": lambda query: query.filter(*narrow).one(),
        "get": lambda query: query.get(key),
        "count": lambda query: query.count(),
        "order_by.all": lambda query: query.order_by(*keys).all(),
        "yield_per": lambda query: list(query.order_by(*keys).yield_per(2)),
        "slice": lambda query: query.order_by(*keys)[1:3],
    }
    way = step.dice.choice(list(ways))
    step.text = f"query({cls.__name__}).{way}, key {key!r}"
    step.act = lambda side: plain(ways[way](side.sessions[step.which].query(cls)))


def _function(step: Step) -> None:
    """
    Call a cached function with a session of its own, or with one that then closes.
    """
    name = step.dice.choice(list(FUNCTIONS))
    cls = step.dice.choice(step.schema.classes)
    number = step.dice.randint(1, 2)
    own = step.dice.random() < 0.7
    times = step.dice.choice([1, 3])
    whose = "a new session" if own else "the session, then close it"
    step.text = f"{times} x {name}({cls.__name__}, {number}) with {whose}"

    def act(side: Side) -> Any:
        seen = []
        for _ in range(times):
            session = side.make() if own else side.sessions[step.which]
            try:
                blocking = getattr(session, "sync_session", session)
                side.warm = side.warm or bool(blocking.identity_map)
                found = side.functions[name](blocking, step.schema.number, cls, number)
                seen.append(_with_columns(found, every=side.warm))
            finally:
                if not own:
                    side.nested[step.which].clear()
                session.close()
        return seen

    step.act = act


def _with_columns(found: Any, *, every: bool) -> Any:
    """
    Show what a function gave; of an instance also its loaded columns.

    Args:
        every: Load the others, too. An answer is kept as it was given: if an instance
            that the session held had more loaded than the function loads, so have hits.
    """
    if hasattr(found, "_sa_instance_state"):
        names = [prop.key for prop in sa.inspect(type(found)).column_attrs]
        shown = {
            name: getattr(found, name)
            for name in names
            if every or name in found.__dict__
        }
        return (type(found).__name__, sa.inspect(found).identity, shown)
    if isinstance(found, list):
        return [_with_columns(one, every=every) for one in found]
    return plain(found)


STEPS: dict[str, tuple[Callable[[Step], None], int]] = {
    "query": (_query, 30),
    "again": (_again, 14),
    "get": (_get, 15),
    "read": (_read, 12),
    "legacy": (_legacy, 4),
    "function": (_function, 7),
}
