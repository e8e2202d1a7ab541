"""
The ways in which an application makes answers depend on who asks, each installed.

A mechanism takes a place and gives a maker of engines: for the tenant of the moment,
where engines are one a tenant, or the one engine of all.
"""

from __future__ import annotations

import sqlite3
from functools import cache
from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import NullPool, QueuePool, event, literal
from sqlalchemy.engine import make_url

from tests.tenants.places import TENANTS, Place, secret_of, tenant

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    Engines = Callable[[], Engine]


def connect_listener(place: Place) -> Engines:
    """
    Engines of one tenant each, told apart by nothing but their listener.
    """

    @cache
    def engine_of(name: str) -> Engine:
        engine = place.engine()

        @event.listens_for(engine, "connect")
        def enter(connection: Any, record: Any) -> None:
            place.become(connection, name)
            connection.commit()

        return engine

    return lambda: engine_of(tenant.get())


def creator(place: Place) -> Engines:
    """
    Engines of one tenant each, whose connections the app makes itself.
    """

    @cache
    def engine_of(name: str) -> Engine:
        def make() -> Any:
            made: Any
            if place.sqlite:
                made = sqlite3.connect(make_url(place.url).database or "")
            else:
                made = psycopg.connect(place.url.replace("+psycopg", ""))
            place.become(made, name)
            made.commit()
            return made

        return place.engine(creator=make)

    return lambda: engine_of(tenant.get())


def on_pool(event_name: str, **options: Any) -> Callable[[Place], Engines]:
    """
    One engine, with a listener on its pool that asks who is asking.
    """

    def install(place: Place) -> Engines:
        engine = place.engine(**options)

        @event.listens_for(engine, event_name)
        def enter(connection: Any, *_: Any) -> None:
            place.become(connection, tenant.get())

        return lambda: engine

    return install


def on_the_one_connection(event_name: str) -> Callable[[Place], Engines]:
    """
    Engines of one tenant and one connection each.

    A listener sets it up as it is made, or whenever it is given back.
    """

    def install(place: Place) -> Engines:
        @cache
        def engine_of(name: str) -> Engine:
            engine = place.engine(poolclass=QueuePool, pool_size=1, max_overflow=0)

            @event.listens_for(engine, event_name)
            def enter(connection: Any, *_: Any) -> None:
                place.become(connection, name)
                connection.commit()

            with engine.connect():
                pass
            return engine

        def engine_of_the_moment() -> Engine:
            # all before any session is at work: until `vary` is said, what a listener may
            # have written drops what is kept, and a held connection is waited for
            return {name: engine_of(name) for name in TENANTS}[tenant.get()]

        return engine_of_the_moment

    return install


def on_connection(event_name: str) -> Callable[[Place], Engines]:
    """
    One engine, with a listener that is given a `Connection`.
    """

    def install(place: Place) -> Engines:
        engine = place.engine()

        @event.listens_for(engine, event_name)
        def enter(connection: Any) -> None:
            driver = connection._dbapi_connection.dbapi_connection
            place.become(driver, tenant.get())

        return lambda: engine

    return install


def do_connect(place: Place) -> Engines:
    """
    One engine without a pool, each connection of which is made for who asks.
    """
    engine = place.engine(poolclass=NullPool)

    @event.listens_for(engine, "do_connect")
    def enter(dialect: Any, record: Any, args: Any, parameters: Any) -> Any:
        made = dialect.connect(*args, **parameters)
        place.become(made, tenant.get())
        made.commit()
        return made

    return lambda: engine


def do_execute(place: Place) -> Engines:
    """
    One engine that sends another statement than it was given.
    """
    engine = place.engine()

    @event.listens_for(engine, "do_execute")
    def replace(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        if "secrets" not in statement:
            return False
        cursor.execute(f"SELECT '{secret_of(tenant.get())}' AS content")
        return True

    return lambda: engine


def cursor_listener(place: Place) -> Engines:
    """
    One engine, with a listener that sets the tenant over each statement's cursor.
    """
    engine = place.engine()

    @event.listens_for(engine, "before_cursor_execute")
    def enter(connection: Any, cursor: Any, *_: Any) -> None:
        # cursors of async drivers don't tell
        held = connection._dbapi_connection.dbapi_connection
        place.become(getattr(cursor, "connection", held), tenant.get())

    return lambda: engine


def rewritten(place: Place) -> Engines:
    """
    One engine, with a listener that adds a condition to the SQL.
    """
    engine = place.engine()

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def add(_c: Any, _k: Any, sql: str, values: Any, *_: Any) -> tuple[str, Any]:
        if "FROM secrets" not in sql:
            return sql, values
        return f"SELECT '{secret_of(tenant.get())}' FROM secrets WHERE id = 0", ()

    return lambda: engine


def replaced(place: Place) -> Engines:
    """
    One engine, with a listener that executes another construct.
    """
    engine = place.engine()

    @event.listens_for(engine, "before_execute", retval=True)
    def other(_c: Any, clause: Any, many: Any, params: Any, _o: Any) -> Any:
        if "secrets" not in str(clause):
            return clause, many, params
        own = literal(secret_of(tenant.get()))
        return clause.with_only_columns(own), many, params

    return lambda: engine


MECHANISMS: dict[str, Callable[[Place], Engines]] = {
    "connect": connect_listener,
    "first_connect": on_the_one_connection("first_connect"),
    "checkin": on_the_one_connection("checkin"),
    "reset": on_the_one_connection("reset"),
    "creator": creator,
    "checkout": on_pool("checkout"),
    "connect_for_each": on_pool("connect", poolclass=NullPool),
    "engine_connect": on_connection("engine_connect"),
    "begin": on_connection("begin"),
    "do_connect": do_connect,
    "do_execute": do_execute,
    "cursor": cursor_listener,
    "before_cursor_execute": rewritten,
    "before_execute": replaced,
}
