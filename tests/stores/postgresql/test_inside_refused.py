"""
Commits that can't announce themselves, though the store may be in their database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from tests.services.processes import wait_until
from tests.support.postgres_inside import LATER, SCHEMA, is_told_as_ever, is_told_inside
from yokedcache.sqlalchemy.transactions import carrying

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from tests.services import PostgresDatabase
    from tests.support.postgres_inside import App

ROLE = "outsider_inside"


def by_text(connection: Connection) -> None:
    connection.execute(text(LATER))
    connection.execute(text("COMMIT"))


def in_a_pipeline(connection: Connection) -> None:
    connection.execute(text(LATER))
    driver: Any = connection.connection.driver_connection
    with driver.pipeline():
        connection.commit()


def at_once(connection: Connection) -> None:
    connection.execution_options(isolation_level="AUTOCOMMIT").execute(text(LATER))


@pytest.mark.parametrize("change", [by_text, at_once, in_a_pipeline])
def test_a_commit_that_can_not_is_announced_as_ever(
    app: App, change: Callable[[Connection], None]
) -> None:
    def changed() -> None:
        with app.engine.connect() as connection:
            change(connection)

    is_told_as_ever(app, changed)
    is_told_inside(app, app.change)


def test_a_commit_in_two_phases_is_announced_as_ever(
    opened: Callable[..., App],
) -> None:
    app = opened("psycopg2")

    def changed() -> None:
        with app.engine.connect() as connection:
            transaction = connection.begin_twophase()
            connection.execute(text(LATER))
            transaction.prepare()
            transaction.commit()

    is_told_as_ever(app, changed)


def without_function(app: App) -> None:
    app.store.say(f"DROP FUNCTION {SCHEMA}.say")


def without_right(app: App) -> None:
    app.store.say(f"CREATE ROLE {ROLE} LOGIN")
    app.store.say(f"GRANT ALL ON users TO {ROLE}")
    app.store.say(f"REVOKE ALL ON SCHEMA {SCHEMA} FROM PUBLIC")
    app.role = ROLE


def of_another_incarnation(app: App) -> None:
    app.cache.machine.store._mirror.mark = b"anything"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "damage", [without_function, without_right, of_another_incarnation]
)
def test_where_it_is_refused_it_is_announced_as_ever(
    app: App, damage: Callable[[App], None]
) -> None:
    damage(app)
    is_told_as_ever(app, app.change)
    with app.engine.connect() as connection:
        assert connection.scalar(text("SELECT name FROM users")) == "later"


def test_a_transaction_that_may_not_write_is_announced_as_ever(app: App) -> None:
    with app.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE FUNCTION unknown() RETURNS int LANGUAGE plpgsql VOLATILE AS"
            " $$BEGIN EXECUTE 'SELECT 1'; RETURN 1; END$$"
        )
    wait_until(lambda: app.fill("x") is None)

    def changed() -> None:
        with app.engine.connect() as connection:
            connection.execute(text("SET TRANSACTION READ ONLY"))
            connection.execute(text("SELECT unknown()"))
            connection.commit()

    is_told_as_ever(app, changed)
    # that was no place's fault
    is_told_inside(app, app.change)


def test_a_store_of_another_database_is_not_asked_for_again(
    opened: Callable[..., App],
    postgres_module_database: PostgresDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = opened(store=postgres_module_database)
    sent: list[str] = []
    say = carrying.Carrier._say

    def noted(carrier: Any, sql: str) -> None:
        sent.append(sql)
        say(carrier, sql)

    monkeypatch.setattr(carrying.Carrier, "_say", noted)
    carrying._resting.clear()
    is_told_as_ever(app, app.change)
    assert len(sent) == 2
    is_told_as_ever(app, app.change)
    assert len(sent) == 2
    monkeypatch.setattr(carrying, "monotonic", lambda: 1e12)
    is_told_as_ever(app, app.change)
    assert len(sent) == 4
