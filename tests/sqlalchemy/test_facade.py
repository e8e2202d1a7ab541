"""
The seam: a hit gives what the statement gave, without a connection.

What is shown cold (executed) and warm (answered) has to be the same; footguns
1, 3, 7 and 17 are here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import (
    Connection,
    func,
    insert,
    lambda_stmt,
    literal,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import (
    Session,
    joinedload,
    selectinload,
    sessionmaker,
    subqueryload,
)

from tests.sqlalchemy.people import (
    BY_ID,
    OLDEST,
    Post,
    User,
    users,
    warmed,
    with_posts,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from tests.sqlalchemy.remembering import Remembering

READS: dict[str, Callable[[Session], Any]] = {
    "scalars": lambda s: users(s.scalars(select(User))),
    "scalar": lambda s: s.scalar(BY_ID).name,
    "execute": lambda s: s.execute(select(User.id, User.name)).all(),
    "get": lambda s: s.get_one(User, 1).about,
    "query": lambda s: users(s.query(User).filter_by(name="ann")),
    "query first": lambda s: s.query(User.name).order_by(User.id).first(),
    "count": lambda s: s.query(User).count(),
    "core": lambda s: s.execute(select(User.__table__.c.name)).scalars().all(),
    "core scalar": lambda s: s.scalar(select(func.count()).select_from(User.__table__)),
    "in": lambda s: users(s.scalars(select(User).where(User.id.in_([1, 2, 3])))),
    "parameter": lambda s: users(
        s.scalars(select(User).where(User.id <= OLDEST), {"oldest": 1})
    ),
    "joined": lambda s: with_posts(
        s.scalars(select(User).options(joinedload(User.posts))).unique()
    ),
    "selectin": lambda s: with_posts(
        s.scalars(select(User).options(selectinload(User.posts)))
    ),
    "subquery": lambda s: with_posts(
        s.scalars(select(User).options(subqueryload(User.posts)))
    ),
    "lazy": lambda s: with_posts(s.scalars(select(User))),
    "many to one": lambda s: s.get_one(Post, 3).author.name,
    "text": lambda s: s.execute(text("SELECT name FROM users WHERE id = 1")).all(),
    "from text": lambda s: users(
        s.scalars(select(User).from_statement(text("SELECT * FROM users")))
    ),
    "textual columns": lambda s: s.execute(
        text("SELECT id, name FROM users").columns(User.id, User.name)
    ).all(),
    "union": lambda s: s.execute(
        union_all(select(User.name), select(Post.title)).order_by("name")
    ).all(),
    "lambda": lambda s: users(s.scalars(lambda_stmt(lambda: select(User)))),
    "cte": lambda s: s.execute(select(select(User.id).cte())).all(),
    "literal": lambda s: s.execute(select(literal(1), literal("a"))).all(),
    "nothing": lambda s: s.scalars(select(User).where(User.id == 99)).all(),
    "mappings": lambda s: s.execute(select(User.id, User.name)).mappings().all(),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_hit_gives_what_the_database_gave_and_takes_no_connection(
    engine: Engine,
    maker: sessionmaker[Session],
    answerer: Remembering,
    checkouts: list[Any],
    read: Callable[[Session], Any],
) -> None:
    with Session(engine) as session:
        uncached = read(session)
    with maker() as session:
        assert read(session) == uncached
    misses = answerer.count["miss"]
    assert misses
    assert (answerer.bypasses, answerer.abandoned) == ([], [])
    checkouts.clear()
    with maker() as session:
        assert read(session) == uncached
    assert answerer.count == {"miss": misses, "hit": misses}
    assert checkouts == []


def test_a_hit_begins_the_sessions_transaction(maker: sessionmaker[Session]) -> None:
    warmed(maker)
    with maker() as session:
        session.scalars(BY_ID).one()
        assert session.in_transaction()
        with pytest.raises(InvalidRequestError, match="already begun"):
            session.begin()
        session.commit()
        assert not session.in_transaction()


def test_footgun_1_a_hit_overwrites_no_dirty_attribute(
    engine: Engine, maker: sessionmaker[Session]
) -> None:
    warmed(maker)
    with maker(autoflush=False) as session:
        user = session.get_one(User, 1)
        user.name = "changed"
        assert session.scalars(BY_ID).one() is user
        assert user.name == "changed"
        session.commit()
    with Session(engine) as session:
        assert session.get_one(User, 1).name == "changed"


def test_footgun_3_and_17_a_hit_gives_objects_of_the_session(
    maker: sessionmaker[Session],
) -> None:
    warmed(maker)
    with maker() as first, maker() as second:
        mine, yours = first.scalars(BY_ID).one(), second.scalars(BY_ID).one()
        assert mine in first
        assert yours in second
        assert mine is not yours
        assert len(mine.posts) == 2


def test_footgun_7_query_objects_are_answered(
    maker: sessionmaker[Session], answerer: Remembering
) -> None:
    for _ in range(2):
        with maker() as session:
            assert session.query(User).filter(User.id == 1).one().name == "ann"
    assert answerer.count["hit"] == 1


def test_a_hit_flushes_first(maker: sessionmaker[Session]) -> None:
    warmed(maker)
    with maker() as session:
        new = User(name="new")
        session.add(new)
        session.scalars(BY_ID).one()
        assert new.id is not None
        session.rollback()


def test_an_object_that_expired_is_loaded_again(
    engine: Engine, maker: sessionmaker[Session], answerer: Remembering
) -> None:
    with maker() as session:
        user = session.get_one(User, 1)
        session.commit()
        assert user.name == "ann"
        with Session(engine) as other:
            other.execute(update(User).where(User.id == 1).values(name="new"))
            other.commit()
        session.refresh(user)
        assert user.name == "new"
    assert "refresh" in answerer.bypasses


def test_changing_a_loaded_value_changes_no_answer(
    maker: sessionmaker[Session],
) -> None:
    warmed(maker)
    with maker() as session:
        session.scalars(BY_ID).one().about["likes"].append("more")
        session.rollback()
    with maker() as session:
        assert session.scalars(BY_ID).one().about == {"likes": ["ann"]}


BYPASSES: dict[str, tuple[str, Callable[[Session], Any]]] = {
    "refresh": ("refresh", lambda s: s.refresh(s.get_one(User, 1))),
    "populate existing": (
        "populate_existing",
        lambda s: s.get(User, 1, populate_existing=True),
    ),
    "for update": ("for_update", lambda s: s.scalars(BY_ID.with_for_update()).one()),
    "stream": (
        "streams",
        lambda s: s.scalars(BY_ID, execution_options={"stream_results": True}).one(),
    ),
    "yield per": (
        "streams",
        lambda s: s.scalars(BY_ID.execution_options(yield_per=1)).one(),
    ),
    "no compiled cache": (
        "compiled_cache_off",
        lambda s: s.scalars(BY_ID, execution_options={"compiled_cache": None}).one(),
    ),
}


@pytest.mark.parametrize(("reason", "read"), BYPASSES.values(), ids=BYPASSES)
def test_what_must_reach_the_database_does(
    maker: sessionmaker[Session],
    answerer: Remembering,
    reason: str,
    read: Callable[[Session], Any],
) -> None:
    for _ in range(2):
        with maker() as session:
            read(session)
    assert answerer.bypasses == [reason] * 2


def test_writes_and_connections_are_the_sessions_own(
    maker: sessionmaker[Session], answerer: Remembering
) -> None:
    with maker() as session:
        assert type(session.connection()) is Connection
        session.execute(insert(User), [{"name": "x"}, {"name": "y"}])
        session.execute(update(User).where(User.name == "x").values(name="z"))
        new = session.scalars(insert(User).values(name="w").returning(User)).one()
        assert new.name == "w"
        session.bulk_save_objects([User(name="v")])
        session.delete(new)
        session.flush()
        session.execute(text("DELETE FROM users WHERE name = 'y'"))
        assert session.scalars(select(User.name).order_by(User.name)).all() == [
            "ann",
            "bob",
            "v",
            "z",
        ]
        session.rollback()
    assert answerer.count == {"miss": 3}, "the select, the posts of `new`, the text"
    assert answerer.abandoned == ["no_rows"]
