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

from sqlalchemy.orm.context import _MapperEntity
from sqlalchemy.orm.identity import _killed

from yokedcache.sqlalchemy.blueprints import Stamp

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.orm import Session

    from yokedcache.sqlalchemy.blueprints import Template

_FIRST: Final = operator.itemgetter(0)
STAMPER: Final = "_yokedcache_stamper"
"""Where a compiled statement keeps its `Stamper`."""


class TemplateCursor:
    """
    Stands where the loader expects a result of rows; its rows are instances.

    They are stamped when the loader gets ready, not when they are fetched: from
    then on the session has them, whatever else it loads before.
    """

    closed = False
    _is_server_side = False

    def __init__(self, compiled: Any, template: Template) -> None:
        self.compiled = compiled
        self._template = template
        self._left: Sequence[tuple[Any]] = ()
        self._present: Any = None

    @property
    def context(self) -> TemplateCursor:
        """
        Stand for the execution context, too: the loader asks it for little.
        """
        return self

    def stamp(self, stamp: Stamp) -> None:
        """
        Make the instances.
        """
        self._left = [(instance,) for instance in stamp.instances(self._template)]
        self._present = stamp.present

    def _raw_all_rows(self) -> Sequence[tuple[Any]]:
        left, self._left = self._left, ()
        if left:
            check_open(self._present, left[0][0])
        return left

    _raw_all_tuples = _raw_all_rows

    def fetchmany(self, size: int) -> Sequence[tuple[Any]]:
        """
        Give the next rows.
        """
        head, self._left = self._left[:size], self._left[size:]
        if head:
            check_open(self._present, head[0][0])
        return head

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
        options = context.propagated_loader_options
        result.stamp(Stamp(context.session, options, context.runid))
        return _FIRST, self._label_name, self._extra_entities


class Stamper:
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


def check_open(present: Any, instance: Any) -> None:
    """
    Raise what the loader raises for rows that are fetched after their session closed.
    """
    if present._add_unpresent is _killed:
        state = instance._sa_instance_state
        _killed(state, state.key)


def while_open(present: Any, instances: list[Any]) -> Iterator[Any]:
    """
    Give instances, if their session is still open when the first is fetched.
    """
    if instances:
        check_open(present, instances[0])
    yield from instances


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
    for manager in template.managers:
        if manager.dispatch.load:
            return False
    present: Any = session.identity_map
    return not template.keys or present._dict.keys().isdisjoint(template.keys)


def stamped(compiled: Any, template: Template) -> TemplateCursor:
    """
    Give what the loader takes for the rows of a result.
    """
    return TemplateCursor(compiled.__dict__[STAMPER], template)
