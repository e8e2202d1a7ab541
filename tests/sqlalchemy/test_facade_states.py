"""
The seam in sessions that are closed, failed, nested, bound or otherwise particular.

A session that would refuse a statement refuses it warm as well, with the same words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import (
    DBAPIError,
    IntegrityError,
    InvalidRequestError,
    StatementError,
)
from sqlalchemy.orm import Session, sessionmaker

from tests.sqlalchemy.people import BY_ID, OLDEST, User, warmed
from yokedcache.sqlalchemy.install import install

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from tests.sqlalchemy.remembering import Remembering


def test_an_error_is_the_one_that_uncached_raises(
    engine: Engine, maker: sessionmaker[Session], answerer: Remembering
) -> None:
    broken = select(User).where(User.id == OLDEST)

    def message(session: Session) -> str:
        with session, pytest.raises(StatementError) as raised:
            session.execute(broken)
        return str(raised.value)

    assert message(maker()) == message(Session(engine))
    assert answerer.bypasses == ["unprepared"]


def failed_before_a_savepoint(session: Session) -> None:
    session.add(User(id=1, name="double"))
    with pytest.raises(IntegrityError):
        session.begin_nested()


def lost_connection(session: Session) -> None:
    session.connection().invalidate()


def closed_for_good(session: Session) -> None:
    session.close()


def finished_block(session: Session) -> None:
    session.begin().__enter__()
    session.commit()


STATES = [failed_before_a_savepoint, lost_connection, closed_for_good, finished_block]


@pytest.mark.parametrize("spoil", STATES, ids=lambda state: state.__name__)
def test_a_session_that_would_refuse_refuses(
    engine: Engine, maker: sessionmaker[Session], spoil: Callable[[Session], None]
) -> None:
    warmed(maker)

    def refusal(session: Session) -> Any:
        spoil(session)
        with pytest.raises(InvalidRequestError) as raised:
            session.scalars(BY_ID).one()
        session.close()
        return type(raised.value), str(raised.value)

    assert refusal(maker(close_resets_only=False)) == refusal(
        Session(engine, close_resets_only=False)
    )


def test_a_session_without_autobegin_asks_for_begin(
    maker: sessionmaker[Session],
) -> None:
    warmed(maker)
    with maker(autobegin=False) as session:
        with pytest.raises(InvalidRequestError, match="Autobegin is disabled"):
            session.scalars(BY_ID)
        with session.begin():
            assert session.scalars(BY_ID).one()


def test_savepoints_work_around_hits(
    maker: sessionmaker[Session], checkouts: list[Any]
) -> None:
    warmed(maker)
    checkouts.clear()
    with maker() as session:
        with session.begin_nested() as savepoint:
            assert session.scalars(BY_ID).one().name == "ann"
            assert checkouts == []
            session.add(User(name="new"))
            session.flush()
            savepoint.rollback()
        assert session.scalars(select(User.name)).all() == ["ann", "bob"]
        session.commit()


def test_a_session_on_a_connection_is_answered_and_checks_it(
    engine: Engine, maker: sessionmaker[Session], answerer: Remembering
) -> None:
    warmed(maker)
    connection = engine.connect()
    with maker(bind=connection) as session:
        assert session.scalars(BY_ID).one().name == "ann"
        assert answerer.count["hit"] == 1
        session.expunge_all()
        connection.close()
        with pytest.raises(InvalidRequestError):
            session.scalars(BY_ID).one()


def test_two_phase_sessions_are_left_alone(
    engine: Engine, answerer: Remembering
) -> None:
    maker = sessionmaker(engine, twophase=True)
    install(maker, answerer)
    with maker() as session, pytest.raises(NotImplementedError):
        session.scalars(BY_ID)
    assert answerer.count == {}


def test_executemany_is_refused_as_uncached(maker: sessionmaker[Session]) -> None:
    with maker() as session, pytest.raises((DBAPIError, StatementError)):
        session.execute(
            select(User.__table__).where(User.id == OLDEST),
            [{"oldest": 1}, {"oldest": 2}],
        )
