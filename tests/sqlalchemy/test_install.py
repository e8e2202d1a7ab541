"""
Attaching an answerer to everything that makes sessions, and detaching it.
"""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import (
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session, scoped_session, selectinload, sessionmaker

from tests.sqlalchemy.people import BY_ID, Base, User
from tests.sqlalchemy.remembering import Remembering
from yokedcache.errors import DeclarationError
from yokedcache.sqlalchemy.install import install, uninstall

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine


class Own(Session):
    pass


class AsyncOwn(AsyncSession):
    sync_session_class = Own


def test_every_maker_of_sessions_can_be_attached_and_detached(
    engine: Engine, answerer: Remembering
) -> None:
    class Attached(Session):
        pass

    one = Session(engine)
    registry = scoped_session(sessionmaker(engine))
    targets: list[tuple[Any, Callable[[], Any]]] = [
        (Attached, lambda: Attached(engine)),
        (one, lambda: one),
        (registry, registry),
        (made := sessionmaker(engine, class_=Own), made),
    ]
    for target, make in targets:
        kind = type(make())
        install(target, answerer)
        answerer.count.clear()
        session = make()
        assert type(session) is kind
        session.scalars(BY_ID).one()
        session.expunge_all()
        uninstall(target)
        uninstall(target)
        assert sum(answerer.count.values()) == 1
        with make() as another:
            another.scalars(BY_ID).one()
        assert sum(answerer.count.values()) == 1
        session.close()
    with Own(engine) as untouched:
        untouched.scalars(BY_ID).one()
    assert sum(answerer.count.values()) == 1


def test_the_inner_attachment_wins(engine: Engine, answerer: Remembering) -> None:
    class Outer(Session):
        pass

    other = Remembering()
    install(Outer, other)
    with Outer(engine) as session:
        install(session, answerer)
        session.scalars(BY_ID).one()
        uninstall(session)
        session.expunge_all()
        session.scalars(BY_ID).one()
    assert (answerer.count, other.count) == ({"miss": 1}, {"miss": 1})


@pytest.mark.parametrize("target", [42, Base, User, "sessions", create_engine])
def test_what_makes_no_sessions_is_refused(target: Any) -> None:
    with pytest.raises(DeclarationError) as raised:
        install(target, Remembering())
    assert repr(target) in str(raised.value)


def test_an_attached_session_is_not_kept_alive(
    engine: Engine, answerer: Remembering
) -> None:
    session = Session(engine)
    install(session, answerer)
    session.scalars(BY_ID).one()
    session.close()
    gone = weakref.ref(session)
    del session
    gc.collect()
    assert gone() is None


async def test_async_sessions_are_answered(
    engine: Engine, answerer: Remembering
) -> None:
    async_engine = create_async_engine(f"sqlite+aiosqlite:///{engine.url.database}")
    plain = async_sessionmaker(async_engine, expire_on_commit=False)
    own = async_sessionmaker(async_engine, class_=AsyncOwn)
    scoped = async_scoped_session(plain, scopefunc=lambda: 1)
    try:
        for target in (plain, own, scoped):
            install(target, answerer)
            answerer.count.clear()
            for _ in range(2):
                async with target() as session:
                    assert isinstance(session.sync_session, Session)
                    assert (await session.scalars(BY_ID)).one().name == "ann"
                    assert (await session.get_one(User, 1)).about["likes"]
                    statement = BY_ID.options(selectinload(User.posts))
                    user = (await session.scalars(statement)).one()
                    assert len(user.posts) == 2
                    streamed = await session.stream_scalars(BY_ID)
                    assert len(await streamed.all()) == 1
                    await session.commit()
            assert answerer.count["hit"] >= 3
            uninstall(target)
            answerer.count.clear()
            async with target() as session:
                await session.scalars(BY_ID)
            assert answerer.count == {}
            answerer.kept.clear()
        assert set(answerer.bypasses) == {"streams"}
        install(AsyncOwn, answerer)
        async with AsyncOwn(async_engine) as session:
            await session.scalars(BY_ID)
            assert isinstance(session.sync_session, Own)
        assert answerer.count == {"miss": 1}
        uninstall(AsyncOwn)
        assert AsyncOwn.sync_session_class is Own
    finally:
        await async_engine.dispose()
