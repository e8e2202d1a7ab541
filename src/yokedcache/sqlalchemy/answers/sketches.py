"""
Sketches: what tells one plain `select()` from another, taken at a glance.

SQLAlchemy's cache key of a statement walks it down to its leaves, which takes
longer than the rest of a hit. But what an app writes, `select(User).where(User.id
== x).limit(10)`, is a few fresh objects around lasting ones: the entity's table
and its columns are the same objects each time. So a sketch names the lasting ones
by identity, and notes of the fresh ones all that the cache key would.

Two statements with one sketch have one cache key. The reverse doesn't hold and
needn't: what is fresh in another way, or of another kind, goes by its cache key.
Whoever remembers a sketch keeps a statement that has it, so that none of the
identities is ever another object's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Column, MetaData, Table
from sqlalchemy.sql.elements import BinaryExpression, BindParameter, UnaryExpression
from sqlalchemy.sql.selectable import _OffsetLimitParam

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

_NUMBERS: Final = frozenset({"_limit_clause", "_offset_clause"})

_annotated: Any = Table("_", MetaData(), Column("_"))
_LASTING: Final = frozenset({
    Table,
    Column,
    type(_annotated._annotate({"_": 1})),
    type(_annotated.c[0]._annotate({"_": 1})),
})  # fmt: skip
"""Classes whose instances stay as they are, and have no binds in them."""


def sketch(statement: Any) -> tuple[Hashable, list[Any]] | None:  # noqa: C901, PLR0912 - runs at each hit, in one frame
    """
    Give the sketch of a `select()`, and its binds; `None` for what isn't plain.
    """
    own = statement.__dict__
    marks: list[Any] = [*own]
    binds: list[Any] = []
    for name, part in own.items():
        if name == "_where_criteria":
            for criterion in part:
                if criterion.__class__ is not BinaryExpression or criterion.modifiers:
                    return None
                bind = criterion.right
                if bind.__class__ is not BindParameter:
                    return None
                binds.append(bind)
                marks += (id(criterion.left), criterion.operator, id(criterion.type))
            marks.append(None)
        elif name == "_raw_columns":
            marks += map(id, part)
            marks.append(None)
        elif name == "_propagate_attrs":
            marks.append(id(part.get("plugin_subject")))
        elif part is None or name == "_label_style":
            marks.append(part)
        elif name == "_order_by_clauses":
            for clause in part:
                if clause.__class__ is UnaryExpression:
                    marks += (UnaryExpression, clause.operator, clause.modifier)
                    marks.append(id(clause.element))
                else:
                    marks.append(id(clause))
            marks.append(None)
        elif name in _NUMBERS and part.__class__ is _OffsetLimitParam:
            binds.append(part)
        else:
            return None
    for bind in binds:
        key = bind._orig_key
        if (
            not bind.unique
            or bind.callable is not None
            or bind.expanding
            or bind.literal_execute
            or key.__class__ is not str
        ):
            return None
        marks += (key, id(bind.type))
    if len(binds) > 1 and len({bind.key for bind in binds}) < len(binds):
        return None  # the cache key would tell that they are one
    return tuple(marks), binds


def lasting(statement: Any, binds: Sequence[Any], key_binds: Sequence[Any]) -> bool:
    """
    Tell whether a statement's sketch is worth remembering, and may stand for its key.

    Args:
        binds: Those of the sketch.
        key_binds: Those of the cache key, which must be the same ones.
    """
    parts = [*statement._raw_columns]
    parts += [criterion.left for criterion in statement._where_criteria]
    parts += [
        clause.element if clause.__class__ is UnaryExpression else clause
        for clause in statement._order_by_clauses
    ]
    return all(part.__class__ in _LASTING for part in parts) and {*map(id, binds)} == {
        *map(id, key_binds)
    }
