"""
Listeners may stand on classes, makers and mappers; wherever they stand, they count.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import Pool

from tests.tenants.places import Secret, secret_of, tenant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.tenants.places import Place
    from yokedcache import YokedCache

ORDER = ("a", "a", "b", "b", "a")


@contextmanager
def listening(target: Any, name: str, listener: Any, **options: Any) -> Iterator[None]:
    event.listen(target, name, listener, **options)
    try:
        yield
    finally:
        event.remove(target, name, listener)


def on_checkout(place: Place) -> Callable[..., None]:
    def enter(connection: Any, *_: Any) -> None:
        place.become(connection, tenant.get())

    return enter


def on_begin(place: Place) -> Callable[..., None]:
    def enter(_session: Any, _transaction: Any, connection: Any) -> None:
        place.become(connection._dbapi_connection.dbapi_connection, tenant.get())

    return enter


TARGETS: dict[str, tuple[Any, str, Any]] = {
    "pool class": (Pool, "checkout", on_checkout),
    "session class": (Session, "after_begin", on_begin),
    "engine class": (Engine, "checkout", on_checkout),
}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("target", [*TARGETS, "maker", "engine", "one session"])
def test_hole_04_listeners_count_wherever_they_stand(
    place: Place, cache: YokedCache, target: str, late: bool
) -> None:
    engine = place.engine()
    maker = sessionmaker(engine)
    standing: tuple[Any, str, Any] = {
        **TARGETS,
        "maker": (maker, "after_begin", on_begin),
        "engine": (engine, "checkout", on_checkout),
        "one session": (None, "after_begin", on_begin),
    }[target]
    where, name, make = standing
    cache.attach(maker)
    if late:
        for _ in range(3):
            with maker() as session:
                session.scalar(place.query)
        assert cache.stats().total.hits == 2
    stored = cache.stats().total.hits

    def ask(options: dict[str, Any]) -> Any:
        with maker() as session:
            cache.attach(session, **options)
            if where is None:
                event.listen(session, name, make(place))
            return session.scalar(place.query)

    listener = make(place)
    with listening(where or engine, name if where else "close", listener):
        for options in ({}, {"vary": lambda _: tenant.get()}):
            for who in ORDER:
                tenant.set(who)
                assert ask(options) == secret_of(who)
            counts = cache.stats().total
            assert (counts.hits > stored) is bool(options)
    assert cache.stats().total.bypasses["listeners"] == len(ORDER)


def test_hole_04_events_of_instances_run_for_whoever_asks(
    place: Place, cache: YokedCache
) -> None:
    sessions = cache.attach(sessionmaker(place.engine()))

    def ask() -> str:
        with sessions() as session:
            secret = session.scalars(select(Secret).where(Secret.id == 0)).one()
            return str(getattr(secret, "reader", None))

    assert [ask() for _ in range(3)] == ["None"] * 3

    def note(secret: Any, _context: Any) -> None:
        secret.reader = tenant.get()

    with listening(Secret, "load", note):
        for who in ORDER:
            tenant.set(who)
            assert ask() == who
    assert cache.stats().total.hits > len(ORDER)
