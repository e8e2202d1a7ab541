"""
Ways to read, each a function of a blocking session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.orm import (
    aliased,
    defer,
    joinedload,
    lazyload,
    load_only,
    raiseload,
    selectinload,
    subqueryload,
    undefer,
)

from tests.support.models import Post, User

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

FIRST = select(User).where(User.id == 1)
Other = aliased(User)
ALIASED = select(Other).where(Other.id == 1)
JOINED = select(User).where(User.id < 3).options(joinedload(User.posts))
INNER = select(Post).options(joinedload(Post.author, innerjoin=True)).order_by(Post.id)
SELECTIN = select(User).where(User.id < 3).options(selectinload(User.posts))
SUBQUERY = select(User).where(User.id < 3).options(subqueryload(User.posts))
DEFERRED = select(User).where(User.id == 1).options(defer(User.name))
ONLY = select(User).where(User.id == 1).options(load_only(User.name))
UNDEFERRED = select(User).where(User.id == 1).options(undefer(User.name))
RAISING = select(User).where(User.id == 1).options(raiseload(User.posts))
LAZY = select(User).where(User.id == 1).options(lazyload(User.posts))
PAIRS = select(User, Post).join(User.posts).where(User.id == 1).order_by(Post.id)
COLUMNS = select(User.id, User.name).order_by(User.id)
MIXED = select(User, Post.title).join(User.posts).where(User.id == 1).order_by(Post.id)
COUNT = select(func.count()).select_from(User)


def entity(session: Session) -> Any:
    return session.scalars(FIRST).all()


def entity_built_anew(session: Session) -> Any:
    return session.scalars(select(User).where(User.id == 1)).one()


def entity_scalar(session: Session) -> Any:
    return session.scalar(FIRST)


def entities(session: Session) -> Any:
    return session.scalars(select(User).order_by(User.id)).all()


def rows_of_entities(session: Session) -> Any:
    return list(map(tuple, session.execute(FIRST).all()))


def no_entity(session: Session) -> Any:
    return session.scalars(select(User).where(User.id == 99)).first()


def got(session: Session) -> Any:
    return session.get(User, 1)


def got_nothing(session: Session) -> Any:
    return session.get(User, 99)


def got_with_options(session: Session) -> Any:
    return session.get(User, 1, options=[joinedload(User.posts)])


def queried(session: Session) -> Any:
    return session.query(User).filter_by(id=1).all()


def queried_first(session: Session) -> Any:
    return session.query(User).order_by(User.id).first()


def through_alias(session: Session) -> Any:
    return session.scalars(ALIASED).all()


def joined(session: Session) -> Any:
    return session.scalars(JOINED).unique().all()


def joined_to_one(session: Session) -> Any:
    return session.scalars(INNER).all()


def selectin(session: Session) -> Any:
    return session.scalars(SELECTIN).all()


def subquery(session: Session) -> Any:
    return session.scalars(SUBQUERY).all()


def deferred(session: Session) -> Any:
    return session.scalars(DEFERRED).all()


def only(session: Session) -> Any:
    return session.scalars(ONLY).all()


def undeferred(session: Session) -> Any:
    return session.scalars(UNDEFERRED).all()


def raising(session: Session) -> Any:
    return session.scalars(RAISING).all()


def lazily(session: Session) -> Any:
    return session.scalars(LAZY).all()


def pairs(session: Session) -> Any:
    return list(map(tuple, session.execute(PAIRS).all()))


def mixed(session: Session) -> Any:
    return list(map(tuple, session.execute(MIXED).all()))


def columns(session: Session) -> Any:
    return list(map(tuple, session.execute(COLUMNS).all()))


def count(session: Session) -> Any:
    return session.scalar(COUNT)


def relation(session: Session) -> Any:
    user = session.get_one(User, 1)
    return [user, *user.posts]


def many_to_one(session: Session) -> Any:
    post = session.get_one(Post, 11)
    return [post, post.author]


def twice(session: Session) -> Any:
    return [entity(session), got(session), joined(session)]


READS: list[Callable[[Any], Any]] = [
    entity, entity_built_anew, entity_scalar, entities, rows_of_entities, no_entity,
    got, got_nothing, got_with_options, queried, queried_first, through_alias, joined,
    joined_to_one, selectin, subquery, deferred, only, undeferred, raising, lazily,
    pairs, mixed, columns, count, relation, many_to_one, twice,
]  # fmt: skip
"""Every way to read; each holds what is then in the session."""


TELLING: list[Callable[[Any], Any]] = [
    entity, got, joined, selectin, mixed, relation,
]  # fmt: skip
"""One of each kind."""
