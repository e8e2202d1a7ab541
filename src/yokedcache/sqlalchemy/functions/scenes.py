"""
What a call can reach: the sessions behind its arguments, and what they forbid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from yokedcache.core.snapshots import Opening, Sight
from yokedcache.core.tags import SESSIONS, holds
from yokedcache.machine import machines
from yokedcache.policy import UNSET
from yokedcache.runtime.surroundings import Scene
from yokedcache.sqlalchemy import sharing
from yokedcache.sqlalchemy.answers.fitness import BINDS, established, failed, unusable
from yokedcache.sqlalchemy.attached import attachment_of
from yokedcache.sqlalchemy.contexts.listeners import rewriter
from yokedcache.sqlalchemy.contexts.settings import open_context
from yokedcache.sqlalchemy.databases.database import database_of, databases
from yokedcache.sqlalchemy.functions import sessions
from yokedcache.sqlalchemy.functions.entities import Album, contains_objects
from yokedcache.sqlalchemy.functions.reaching import reach
from yokedcache.sqlalchemy.functions.told import (
    NO_SCHEMAS,
    UNKEYABLE,
    info_of,
    info_told,
    options_told,
    schemas_of,
)
from yokedcache.sqlalchemy.transactions import by_hand, fences
from yokedcache.sqlalchemy.transactions.connections import open_transaction
from yokedcache.sqlalchemy.transactions.floating import float_of, floating
from yokedcache.sqlalchemy.transactions.holders import existing
from yokedcache.sqlalchemy.transactions.snapshots import note_of, opening, unmade

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from yokedcache.core.tags import Vector
    from yokedcache.machine import Machine
    from yokedcache.sqlalchemy.attached import Attachment


class SessionExaminer:
    """
    Shows the decorator what SQLAlchemy knows of a call.
    """

    def __call__(self, values: Iterable[object]) -> Scene:
        """
        Work out what the sessions at hand mean for a call.
        """
        scene = Scene()
        reached = reach(values)
        if reached.detached:
            scene.spoiled = "detached_argument"
        if reached.opaque:
            scene.bypass = "unsearchable_argument"
        handed = dict.fromkeys(reached.means)
        for number, means in enumerate(handed):
            if isinstance(means, Session):
                scene.session = scene.session or means
                _judge(scene, means)
                _take_info(scene, info_of(means), ("info", number))
            else:
                _judge_bind(scene, means)
        for number, maker in enumerate(reached.makers):
            _take_options(scene, maker.kw.get("execution_options") or {})
            _take_info(scene, maker.kw.get("info"), ("maker", number))
        if len(handed) < len(reached.means):
            numbers = {means: number for number, means in enumerate(handed)}
            scene.key = (*scene.key, *(numbers[means] for means in reached.means))
        for session in sessions.in_use():
            if session not in handed:
                _judge_nearby(scene, session)
        return scene

    def open_transaction(self, vector: Vector) -> bool:
        """
        Tell whether an open transaction wrote what an answer depends on, or will.

        Which session a function reaches without being handed it can't be told, so
        changes that any session has in store keep such functions from being answered.
        """
        if open_transaction(vector):
            return True
        outlives = any(tag.name is SESSIONS for tag, _ in vector)
        return outlives and sessions.pending()

    def invalidated(self, machine: Machine, names: Iterable[str]) -> None:
        """
        Have transactions that are open invalidate tags again when they end.
        """
        by_hand.invalidated(machine, names)

    def opened(self, machine: Machine) -> None:
        """
        Put up in a new cache the fences that may stay for long; tell it who is there.
        """
        if machine.store.shares:
            sharing.install()
        for database in databases():
            if database.company is not None:
                machine.store.use(database.company.identity)
        fences.cover(machine.store)

    def begin_noting(self) -> None:
        """
        Doubt what sessions hold: what they have read until now wasn't noted.
        """
        sessions.doubt_all()

    def open_context(self, vector: Vector) -> bool:
        """
        Tell whether somebody set something that an answer may depend on.
        """
        return open_context(vector)

    def take_down(self, value: object) -> Album | None:
        """
        Take a value down that has mapped objects in it.
        """
        return Album(value) if contains_objects(value) else None


examiner: Final = SessionExaminer()


def _judge(scene: Scene, session: Session) -> None:
    attachment = attachment_of(session)
    vary = None if attachment is None else attachment.vary_key(session)
    _take_databases(scene, session, varied=vary is not None)
    if vary is not None:
        scene.key = (*scene.key, "vary", vary)
    if vary:
        scene.varies |= {vary}
    if rewriter(session) is not None:
        scene.contextual = scene.contextual or "listeners"
    scene.bypass = scene.bypass or failed(session._transaction)
    transaction = session.get_transaction()
    held = _held(session)
    if held:
        scene.holds_connection = True
    for connection in held:
        _judge_connection(scene, connection, attachment)
        _see(scene, connection, session)
    if transaction is not None and not transaction.is_active:
        scene.bypass = scene.bypass or "inactive_session"
    if not session.is_active:
        scene.bypass = scene.bypass or "inactive_session"
    _judge_nearby(scene, session)


def _judge_bind(scene: Scene, bind: Engine | Connection) -> None:
    """
    Take in an engine or a connection that a call is handed without a session.
    """
    engine = bind.engine
    database = database_of(engine.dialect)
    scene.key = (*scene.key, "database", *database.key(engine))
    _take_options(scene, bind.get_execution_options())
    scene.contextual = scene.contextual or database.unfit(engine, None)
    if isinstance(bind, Connection):
        scene.holds_connection = True
        _judge_connection(scene, bind, None)
        _see(scene, bind)


def _judge_nearby(scene: Scene, session: Session) -> None:
    """
    Take in what a session that may be used holds: pending changes, old instances.
    """
    if session.new or session.dirty or session.deleted:
        scene.bypass = scene.bypass or "pending_changes"
    _see_nearby(scene, session)
    for machine in machines():
        vector = sessions.vector_of(session, machine.store)
        if vector is None or not holds(vector):
            scene.spoiled = scene.spoiled or "warm_session"
        elif vector:
            scene.vector = (*scene.vector, *vector)


def _see_nearby(scene: Scene, session: Session) -> None:
    """
    Take in what a session sees that the call may use, though it isn't handed it.
    """
    if session._transaction is None:
        return
    for connection in _held(session):
        if connection.closed or connection.invalidated:
            continue
        state = existing(connection.connection)
        if state is None or state.outlook.sight is Sight.STATEMENT:
            continue
        if state.outlook.sight is Sight.CHECKED:
            scene.bypass = scene.bypass or "serializable"
        elif state.outlook.sight is Sight.SNAPSHOT and state.outlook.note is not None:
            scene.notes.append(state.outlook.note)
    kept = float_of(session)
    if kept is not None:
        scene.notes.append(kept.note)
        scene.floats.append(kept)


def _judge_connection(
    scene: Scene, connection: Connection, attachment: Attachment | None
) -> None:
    if connection.closed or connection.invalidated:
        scene.bypass = scene.bypass or "inactive_session"
        return
    scene.bypass = scene.bypass or unusable(connection)
    state = existing(connection.connection)
    if state is None or state.dirty:
        scene.bypass = scene.bypass or "dirty"
    elif state.contextual is not None:
        scene.bypass = scene.bypass or state.contextual
    if state is not None:
        vary = UNSET if attachment is None else attachment.vary
        scene.contextual = scene.contextual or state.settings.reason(vary)


def _see(scene: Scene, connection: Connection, session: Session | None = None) -> None:
    """
    Take in what a connection, a session's or one handed by itself, sees (rule 6).
    """
    if connection.closed or connection.invalidated:
        return
    state = existing(connection.connection)
    if state is None:
        return
    if unmade(connection, state):
        if session is None:
            scene.private = scene.anew = True
        else:
            options = connection.get_execution_options()
            _open(scene, session, connection.engine, options, connection)
        return
    note = note_of(connection, state)
    if note is not None:
        scene.notes.append(note)
        scene.private = True
    elif state.outlook.sight is Sight.CHECKED:
        scene.bypass = scene.bypass or "serializable"


def _open(
    scene: Scene,
    session: Session,
    engine: Engine,
    options: Any,
    connection: Connection | None = None,
) -> None:
    """
    Take in what a session that has sent nothing yet may be served.
    """
    how = opening(engine, options, connection)
    if how is Opening.FREE:
        return
    scene.private = True
    if how is Opening.STRICT:
        scene.anew = True
        return
    kept = floating(session)
    scene.notes.append(kept.note)
    scene.floats.append(kept)


def _take_databases(scene: Scene, session: Session, *, varied: bool) -> None:
    """
    Take in the databases that a session asks, and the options under which it does.
    """
    held = dict.fromkeys(_held(session))
    through = set()
    for bind in _binds(scene, session):
        engine = bind.engine
        database = database_of(engine.dialect)
        scene.key = (*scene.key, "database", *database.key(engine))
        unfit = None if varied else database.unfit(engine, session)
        scene.contextual = scene.contextual or unfit
        connection = established(session, bind)
        if connection is not None:
            held.pop(connection, None)
        options = (connection or bind).get_execution_options()
        through.add(_take_options(scene, options, session))
        if connection is None:
            _open(scene, session, engine, options)
    for connection in held:
        through.add(_take_options(scene, connection.get_execution_options(), session))
    seen = sessions.schemas_seen(session) if session.identity_map else None
    if seen is not None and seen not in through:
        scene.spoiled = scene.spoiled or "warm_session"


def _take_options(
    scene: Scene, options: Mapping[str, Any], session: Session | None = None
) -> bytes:
    """
    Take in execution options, a session's own on top; give their map of schemas.
    """
    # Sessions have execution options of their own from 2.1 on.
    own = getattr(session, "execution_options", None)
    if own:
        options = {**options, **own}
    told = options_told(options)
    if told is None:
        return NO_SCHEMAS
    scene.key = (*scene.key, "options", *told.parts)
    if not told.complete:
        scene.contextual = scene.contextual or "unkeyable_options"
    schemas = schemas_of(options)
    if schemas and schemas != UNKEYABLE:
        scene.schemas |= {schemas}
    return schemas


def _take_info(
    scene: Scene, info: Mapping[Any, Any] | None, whose: tuple[str, int]
) -> None:
    told = info_told(info)
    if told is None:
        return
    scene.info = (*scene.info, *whose, *told.parts)
    if not told.complete:
        scene.contextual = scene.contextual or "unkeyable_info"


def _binds(scene: Scene, session: Session) -> list[Engine | Connection]:
    binds: dict[Any, None] = {}
    if session.bind is not None:
        binds[session.bind] = None
    for bind in getattr(session, BINDS, {}).values():
        binds[bind] = None
    routed = _is_routed(session)
    if routed or not binds:
        try:
            binds[session.get_bind()] = None
        except Exception as error:  # noqa: BLE001 - an app's own may want more to go by
            if routed or not isinstance(error, SQLAlchemyError):
                scene.bypass = scene.bypass or "unknown_database"
    return list(binds)


def _is_routed(session: Session) -> bool:
    """
    Tell whether the app itself chooses the database, maybe by who asks.
    """
    return (
        type(session).get_bind is not Session.get_bind or "get_bind" in session.__dict__
    )


def _held(session: Session) -> list[Connection]:
    transaction: Any = session.get_nested_transaction() or session.get_transaction()
    held: dict[Connection, None] = {}
    while transaction is not None:
        for key in transaction._connections:
            if isinstance(key, Connection):
                held[key] = None
        transaction = transaction._parent
    return list(held)
