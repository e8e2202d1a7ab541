"""
What a program does before and after it has read, each a function of a blocking session.

Those of an async session run them in its greenlet. What writes is rolled back.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect, update
from sqlalchemy.orm import make_transient

from tests.holes.reads import FIRST, entity, got, joined, selectin
from tests.support.models import Post, User

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session


def first(session: Session) -> Any:
    """
    Give an instance of the session that stays as it is: the user, if there is one.
    """
    held = sorted(session.identity_map.values(), key=repr_of)
    return held[0] if held else session.get_one(User, 2)


def repr_of(instance: Any) -> str:
    return str(inspect(instance).key)


def nothing(_session: Session) -> None:
    pass


def inform(session: Session) -> None:
    session.info["who"] = "me"


def add(session: Session) -> Any:
    fresh = User(id=7, name="new")
    session.add(fresh)
    return fresh


def flush_added(session: Session) -> Any:
    fresh = add(session)
    session.flush()
    return fresh


def load_other(session: Session) -> Any:
    return session.get_one(User, 2)


def make_dirty(session: Session) -> Any:
    user = session.get_one(User, 1)
    user.name = "dirty"
    return user


def make_dirty_unflushed(session: Session) -> Any:
    session.autoflush = False
    return make_dirty(session)


def add_unflushed(session: Session) -> Any:
    session.autoflush = False
    return add(session)


def expire_one(session: Session) -> Any:
    user = session.get_one(User, 1)
    session.expire(user)
    return user


def expire_name(session: Session) -> Any:
    user = session.get_one(User, 1)
    session.expire(user, ["name"])
    return user


def delete(session: Session) -> Any:
    post = session.get_one(Post, 11)
    session.delete(post)
    return post


def savepoint(session: Session) -> None:
    session.begin_nested()


def begin_block(session: Session) -> None:
    session.begin()


def connect(session: Session) -> None:
    session.connection()


def pass_by(session: Session) -> Any:
    """
    Hold the identity that is read, from another session.
    """
    return session.merge(User(id=1, name="merged"), load=False)


BEFORE: list[Callable[[Any], Any]] = [
    nothing, inform, add, flush_added, load_other, make_dirty, make_dirty_unflushed,
    add_unflushed, expire_one, expire_name, delete, savepoint, begin_block, connect,
    pass_by,
]  # fmt: skip
"""What a session may have done before it reads."""


def commit(session: Session) -> None:
    session.commit()


def rollback(session: Session) -> None:
    session.rollback()


def begin(session: Session) -> None:
    session.begin()


def nested_rolled_back(session: Session) -> Any:
    nested = session.begin_nested()
    instance = first(session)
    _change(instance)
    session.flush()
    nested.rollback()
    return instance


def nested_released(session: Session) -> Any:
    # else SQLite's driver has the RELEASE commit (hole 6)
    session.execute(update(User).where(User.id == 99).values(name="nobody"))
    with session.begin_nested():
        instance = first(session)
        _change(instance)
    return instance


def change_and_flush(session: Session) -> Any:
    instance = first(session)
    _change(instance)
    session.flush()
    return instance


def change(session: Session) -> Any:
    instance = first(session)
    _change(instance)
    return instance


def _change(instance: Any) -> None:
    name = "name" if isinstance(instance, User) else "title"
    setattr(instance, name, "changed")


def delete_flushed(session: Session) -> Any:
    post = session.get_one(Post, 12)
    session.delete(post)
    session.flush()
    return post


def refresh(session: Session) -> Any:
    instance = first(session)
    session.refresh(instance)
    return instance


def refresh_some(session: Session) -> Any:
    instance = first(session)
    session.refresh(instance, ["id"])
    return instance


def refresh_locked(session: Session) -> Any:
    instance = first(session)
    session.refresh(instance, with_for_update=True)
    return instance


def overwrite(session: Session) -> Any:
    statement = FIRST.execution_options(populate_existing=True)
    return session.scalars(statement).all()


def lock(session: Session) -> Any:
    return session.get(User, 1, with_for_update=True)


def follow(session: Session) -> Any:
    instance = first(session)
    return list(instance.posts) if isinstance(instance, User) else instance.author


def load_what_is_missing(session: Session) -> Any:
    return [(one, getattr(one, "name", None), one.id) for one in _sorted(session)]


def expire_all(session: Session) -> Any:
    session.expire_all()
    return load_what_is_missing(session)


def expunge(session: Session) -> Any:
    instance = first(session)
    session.expunge(instance)
    return instance


def expunge_and_add(session: Session) -> Any:
    instance = expunge(session)
    session.add(instance)
    return instance


def transient(session: Session) -> Any:
    instance = first(session)
    make_transient(instance)
    return instance


def close(session: Session) -> Any:
    instances = _sorted(session)
    session.close()
    return instances


def close_and_read(session: Session) -> Any:
    return [*close(session), session.get(User, 1)]


def reset(session: Session) -> None:
    session.reset()


def merge(session: Session) -> Any:
    return session.merge(User(id=1, name="merged"))


def merge_pickled(session: Session) -> Any:
    copies = pickle.loads(pickle.dumps(_sorted(session)))
    session.expunge_all()
    return [session.merge(copy, load=False) for copy in copies]


def merge_detached(session: Session) -> Any:
    instances = _sorted(session)
    session.expunge_all()
    return [session.merge(instance) for instance in instances]


def read_again(session: Session) -> Any:
    return [entity(session), got(session), joined(session), selectin(session)]


def _sorted(session: Session) -> list[Any]:
    return sorted(session.identity_map.values(), key=repr_of)


AFTER: list[Callable[[Any], Any]] = [
    commit, rollback, begin, nested_rolled_back, nested_released, change_and_flush,
    change, delete_flushed, refresh, refresh_some, refresh_locked, overwrite, lock,
    follow, load_what_is_missing, expire_all, expunge, expunge_and_add, transient,
    close, close_and_read, reset, merge, merge_pickled, merge_detached, read_again,
]  # fmt: skip
"""What a session may do when it has read."""
