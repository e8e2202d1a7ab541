"""
The short way to a hit: for statements that the long way has served before.

Most of a hit is SQLAlchemy getting ready to execute: options, listeners, binds,
compiled forms. A plain ORM `select()` in a plain session needs none of that
again once its shape (SQLAlchemy's own cache key of the statement) was served
from a template. Then the parameters make the key, and the template the answer.

Nothing is decided here that the long way decides otherwise: whatever isn't
plain (listeners, options, pending changes, several binds, a connection in use)
and every miss takes the long way, from the beginning.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.engine import Engine
from sqlalchemy.orm import Mapper, Session
from sqlalchemy.orm.base import _inspect_mapped_class
from sqlalchemy.orm.interfaces import UserDefinedOption
from sqlalchemy.orm.loading import _new_runid
from sqlalchemy.sql.selectable import Select
from sqlalchemy.util import immutabledict

from yokedcache.errors import KeyArgumentError
from yokedcache.sqlalchemy.answers.beginning import listeners_of, ready
from yokedcache.sqlalchemy.answers.blueprints import Stamp
from yokedcache.sqlalchemy.answers.fitness import BINDS
from yokedcache.sqlalchemy.answers.offline import (
    connection_options,
    is_plain,
    plain_parameters,
    prepare,
)
from yokedcache.sqlalchemy.answers.rows import replay
from yokedcache.sqlalchemy.answers.shapes import Getter, Shape, values_of
from yokedcache.sqlalchemy.answers.sketches import lasting, sketch
from yokedcache.sqlalchemy.answers.stamping import usable

if TYPE_CHECKING:
    from collections.abc import Hashable

    from sqlalchemy.engine import CursorResult

    from yokedcache.core.entry import Entry
    from yokedcache.sqlalchemy.answers.answering import SessionAnswerer
    from yokedcache.sqlalchemy.answers.blueprints import Template
    from yokedcache.sqlalchemy.answers.statement_calls import StatementCall

_MOST: Final = 2000
"""Shapes that one answerer remembers."""

_MOST_SKETCHES: Final = 4
"""Sketches of one shape: more come of what is built otherwise each time."""

_LOAD: Final = "_sa_orm_load_options"
_NOTHING: Final[Any] = immutabledict()
_REPLAYING: Final[Any] = immutabledict({"_result_disable_adapt_to_context": True})
"""What the session tells a connection whose rows its loader will read."""
_SIMPLE: Final = frozenset({int, str})
GETTING: Final = "_yokedcache_getting"
"""Where a session notes the mapper of a `get` under way."""
WAITED: Final = "_yokedcache_waited"
"""Where one notes the ticket and the allowance of a statement that waited in vain."""

MISSED: Final = object()
"""Says that the short way doesn't lead to an answer."""

HOT: Final = object()
"""Says that no way does for now: the table is hot."""


class Quick:
    """
    The shapes that one answerer has served from templates.
    """

    def __init__(self, answerer: SessionAnswerer) -> None:
        self._answerer = answerer
        self._shapes: dict[Hashable, Shape] = {}
        self._sketched: dict[Hashable, tuple[Shape, list[Getter], Any]] = {}
        """Shapes by sketch, with the statement whose identities the sketch names."""
        self._gets: dict[Hashable, weakref.ref[Any]] = {}

    def learn(self, call: StatementCall) -> None:
        """
        Remember the shape of a statement that was served from a template.
        """
        compiled = call.prepared.compiled
        if call.statement.__class__ is not Select or not is_plain(compiled):
            return
        if len(self._shapes) + len(self._gets) > _MOST:
            self._shapes.clear()
            self._sketched.clear()
            self._gets.clear()
        dialect = call.engine.dialect
        if call.parameters:
            mapper = call.session.__dict__.get(GETTING)
            if mapper is not None and _gets(call, mapper):
                self._gets[dialect, mapper] = weakref.ref(compiled)
        else:
            key = call.statement._generate_cache_key()
            if key is not None and not getattr(key, "params", None):
                self._shapes[dialect, key.key] = Shape(compiled)

    def select(self, session: Session, statement: Any, options: Any) -> Any:
        """
        Give the result of a statement, `MISSED` or `HOT`.
        """
        engine = _engine(session)
        load = options.get(_LOAD)
        flushes = _pending(session) and (load is None or load._autoflush)
        if engine is None or flushes or _odd(statement, options):
            return MISSED
        hot = self._answerer.hot
        if hot.until and hot.first_of(engine, statement):
            return HOT
        drawn = sketch(statement)
        known = drawn and self._sketched.get((engine.dialect, drawn[0]))
        if drawn is None or known is None:
            return self._by_key(session, engine, statement, options, drawn)
        shape, getters, _ = known
        compiled: Any = shape.compiled()
        if compiled is None:
            return MISSED
        values = values_of(getters, drawn[1])
        served = self._served(session, engine, compiled, values, options)
        if served is None:
            return MISSED
        return self._result(session, statement, options, shape, served)

    def _by_key(
        self, session: Session, engine: Engine, statement: Any, options: Any, drawn: Any
    ) -> Any:
        cache_key = statement._generate_cache_key()
        if cache_key is None:
            return MISSED
        shape = self._shapes.get((engine.dialect, cache_key.key))
        compiled: Any = None if shape is None else shape.compiled()
        if shape is None or compiled is None:
            return MISSED
        values = shape.values(cache_key.bindparams)
        served = self._served(session, engine, compiled, values, options)
        if served is None:
            return MISSED
        if drawn is not None and shape.sketches < _MOST_SKETCHES:
            self._note_sketch(engine.dialect, statement, drawn, cache_key, shape)
        return self._result(session, statement, options, shape, served)

    def _result(
        self,
        session: Session,
        statement: Any,
        options: Any,
        shape: Shape,
        served: tuple[Entry, Template],
    ) -> Any:
        engine: Any = session.bind
        entry, template = served
        self._answerer.served(session, engine, entry)

        def replayed() -> CursorResult[Any]:
            prepared = prepare(
                statement, None, engine, connection_options(engine, {}), _REPLAYING
            )
            return replay(prepared, entry.value.recording)

        return shape.result(session, statement, options, template, replayed)

    def _note_sketch(
        self, dialect: Any, statement: Any, drawn: Any, cache_key: Any, shape: Shape
    ) -> None:
        """
        Remember the sketch of a statement that its cache key has led to an answer.
        """
        marks, binds = drawn
        shape.sketches += 1
        if lasting(statement, binds, cache_key.bindparams):
            getters = shape.getters_for(cache_key.bindparams, binds)
            self._sketched[dialect, marks] = shape, getters, statement

    def get(self, session: Session, entity: Any, identity: Any) -> Any:
        """
        Give the instance of an identity, `None` if there is none, `MISSED` or `HOT`.
        """
        engine = _engine(session)
        mapper: Any = (
            _inspect_mapped_class(entity) if isinstance(entity, type) else None
        )
        if engine is None or not _gettable(session, mapper, identity):
            return MISSED
        hot = self._answerer.hot
        if hot.until and hot.entity(engine, mapper):
            return HOT
        reference = self._gets.get((engine.dialect, mapper))
        compiled: Any = None if reference is None else reference()
        if compiled is None:
            return MISSED
        (parameter,) = mapper._get_clause[1].values()
        facts = (engine, None, None, ({parameter.key: identity},), None, (None,), None)
        values = plain_parameters(compiled, facts)
        served = self._served(session, engine, compiled, values, _NOTHING)
        if served is None:
            return MISSED
        entry, template = served
        stamp = Stamp(session, (), _new_runid())
        if not stamp.fits(template):
            return MISSED
        self._answerer.served(session, engine, entry)
        return stamp.stamp(template.rows[0]) if template.rows else None

    def _served(
        self, session: Session, engine: Engine, compiled: Any, values: Any, options: Any
    ) -> tuple[Entry, Template] | None:
        try:
            served = self._answerer.serve(session, engine, compiled, values)
        except KeyArgumentError:
            return None
        if served is None:
            return None
        if not usable(served[1], session, options) or not ready(session):
            return None
        return served


def _engine(session: Any) -> Engine | None:
    """
    Give the one engine of a plain session that holds no connection.
    """
    bind = session.bind
    if (
        bind.__class__ is not Engine
        or getattr(session, BINDS, None)
        or session.__class__.get_bind is not Session.get_bind
        or "get_bind" in session.__dict__
        or listeners_of(session).do_orm_execute
        or session.twophase
        or bind._execution_options
        or getattr(session, "execution_options", None)
    ):
        return None
    transaction = session._transaction
    if transaction is None:
        return bind if session.autobegin else None
    if transaction._connections or transaction._parent is not None:
        return None
    return bind


def _pending(session: Any) -> bool:
    return bool(session._new or session._deleted or session.identity_map._modified)


def _gettable(session: Any, mapper: Any, identity: Any) -> bool:
    """
    Tell whether a `get` asks plainly for what the session hasn't got.

    For what it has it asks nobody, and begins nothing.
    """
    return (
        mapper is not None
        and identity.__class__ in _SIMPLE
        and not mapper.always_refresh
        and not _pending(session)
        and (mapper._identity_class, (identity,), None)
        not in session.identity_map._dict
    )


def _odd(statement: Any, options: Any) -> bool:
    if (
        statement._execution_options
        or statement._propagate_attrs.get("compile_state_plugin") != "orm"
        or statement._for_update_arg is not None
    ):
        return True
    for option in statement._with_options:
        if isinstance(option, UserDefinedOption):
            return True
    if not options:
        return False
    load = options.get(_LOAD)
    return (
        load is None
        or len(options) > 1
        or load._populate_existing
        or load._yield_per
        or load._refresh_state is not None
    )


def _gets(call: StatementCall, mapper: Mapper[Any]) -> bool:
    """
    Tell whether a call is the plain load of one identity by `Session.get`.
    """
    names = {parameter.key for parameter in mapper._get_clause[1].values()}
    return (
        len(names) == 1
        and call.parameters.keys() == names
        and call.statement._propagate_attrs.get("plugin_subject") is mapper
        and not call.statement._with_options
        and getattr(call.statement, "_for_update_arg", None) is None
    )
