"""
Random triggers: a write to one table counts rows of another up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

    from tests.differential.schemas import Schema

_SQLITE = (
    "CREATE TRIGGER {name} AFTER {event} ON {source} BEGIN "
    "UPDATE {target} SET touched = coalesce(touched, 0) + 1; END"
)
_FUNCTION = (
    "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "UPDATE {target} SET touched = coalesce(touched, 0) + 1; RETURN NULL; END $$"
)
_POSTGRESQL = (
    "CREATE TRIGGER {name} AFTER {event} ON {source} "
    "FOR EACH ROW EXECUTE FUNCTION {name}()"
)


def triggers(dice: random.Random, schema: Schema, roots: list[Any]) -> None:
    """
    Add triggers, each from a table to a later one, so that they don't go round.
    """
    for number in range(dice.choice([0, 0, 1, 2])):
        index = dice.randrange(len(roots) - 1)
        source, target = roots[index], dice.choice(roots[index + 1 :])
        if "version" in target.__table__.c:
            continue
        parts = {
            "name": f"trigger_{number}",
            "event": dice.choice(["INSERT", "UPDATE", "DELETE"]),
            "source": source.__tablename__,
            "target": target.__tablename__,
        }
        texts = (
            [_FUNCTION, _POSTGRESQL] if schema.database == "postgresql" else [_SQLITE]
        )
        schema.ddl += [text.format(**parts) for text in texts]
        schema.said.append(
            "{event} ON {source}: a trigger updates {target}".format(**parts)
        )
