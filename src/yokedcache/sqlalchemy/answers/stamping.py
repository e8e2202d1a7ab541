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

from yokedcache.sqlalchemy.answers.blueprints import Stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.engine import CursorResult
    from sqlalchemy.orm import Session

    from yokedcache.sqlalchemy.answers.blueprints import Template

_FIRST: Final = operator.itemgetter(0)
STAMPER: Final = "_yokedcache_stamper"
"""Where a compiled statement keeps its `Stamper`."""


class TemplateCursor:
    """
    Stands where the loader expects a result of rows; its rows are instances.

    They are made when they are fetched, as the loader makes them: a result that is
    closed unread leaves nothing in its session. The loader itself does the work, over
    the rows, if by then the session holds one of them, or if they are fetched in parts.
    """

    closed = False
    _is_server_side = False

    def __init__(
        self,
        compiled: Any,
        template: Template,
        replayed: Callable[[], CursorResult[Any]],
    ) -> None:
        self.compiled = compiled
        self._template = template
        self._replayed = replayed
        self._context: Any = None
        self._stamp: Stamp | None = None
        self._rows: Any = None
        self._make: Any = None

    @property
    def context(self) -> TemplateCursor:
        """
        Stand for the execution context, too: the loader asks it for little.
        """
        return self

    def ready(self, context: Any) -> None:
        """
        Learn what the rows will be loaded for.
        """
        self._context = context
        options = context.propagated_loader_options
        self._stamp = Stamp(context.session, options, context.runid)

    def _raw_all_rows(self) -> Sequence[tuple[Any]]:
        return self._all("_raw_all_rows")

    def _raw_all_tuples(self) -> Sequence[tuple[Any]]:  # its name in 2.1
        return self._all("_raw_all_tuples")

    def _all(self, asked: str) -> Sequence[tuple[Any]]:
        stamp = self._stamp
        if stamp is not None and stamp.fits(self._template):
            self._stamp = None
            return [(instance,) for instance in stamp.instances(self._template)]
        return self._made(getattr(self._by_loader(), asked)())

    def fetchmany(self, size: int) -> Sequence[tuple[Any]]:
        """
        Give the next rows.
        """
        if self._stamp is not None and self._stamp.killed:
            return self._all("")
        return self._made(self._by_loader().fetchmany(size))

    def _by_loader(self) -> Any:
        if self._rows is None:
            self._stamp = None
            self._rows = self._replayed()
            state = self._context.compile_state = self.compiled.original
            make, *_ = state._entities[0].row_processor(self._context, self._rows)
            self._make = make
        return self._rows

    def _made(self, rows: Sequence[Any]) -> Sequence[tuple[Any]]:
        make = self._make
        return [(make(row),) for row in rows]

    def close(self) -> None:
        """
        Give no more rows.
        """
        self._soft_close(hard=True)

    def _soft_close(self, hard: bool = False, **_: Any) -> None:  # noqa: FBT001, FBT002
        if self._rows is not None:
            self._rows._soft_close(hard=hard)
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
        result.ready(context)
        return _FIRST, self._label_name, self._extra_entities


class Stamper:
    """
    Stands for a compiled statement whose entity stamps blueprints.
    """

    __slots__ = ("compile_state", "original")

    def __init__(self, compile_state: Any) -> None:
        self.original = compile_state
        state = copy.copy(compile_state)
        entity = copy.copy(compile_state._entities[0])
        entity.__class__ = _StampingEntity
        state._entities = [entity]
        self.compile_state = state


def usable(template: Template, session: Session, options: Any) -> bool:
    """
    Tell whether a session may be given instances of a template.
    """
    if options:
        load = options.get("_sa_orm_load_options")
        if load is not None and (
            load._refresh_state is not None
            or load._version_check
            or load._identity_token
        ):
            return False
        if options.get("prebuffer_rows"):
            return False
    for manager in template.managers:
        if manager.dispatch.load:
            return False
    return not session.dispatch.loaded_as_persistent


def stamped(
    compiled: Any, template: Template, replayed: Callable[[], CursorResult[Any]]
) -> TemplateCursor:
    """
    Give what the loader takes for the rows of a result.
    """
    return TemplateCursor(compiled.__dict__[STAMPER], template, replayed)
