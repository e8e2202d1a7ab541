"""
Hole 9: a transaction that sees a snapshot goes on seeing it, and publishes none of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, func, select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from tests.holes.renaming import TITLES, is_served, reasons, stays_one_state
from tests.support.databases import Blog, Statements, blog_at
from tests.support.looking import NAME, name, rename
from tests.support.models import Post, User

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services.postgres import PostgresDatabase
    from yokedcache import YokedCache

REPEATABLE = "ISOLATION LEVEL REPEATABLE READ"


@pytest.fixture
def server(postgres_database: PostgresDatabase) -> Iterator[Blog]:
    with blog_at(postgres_database.url("psycopg")) as made:
        yield made


def sessions(cache: YokedCache, engine: Any, **options: Any) -> sessionmaker[Session]:
    maker = sessionmaker(engine)
    cache.attach(maker, **options)
    return maker


def at(blog: Blog, cache: YokedCache, level: str, **options: Any) -> Any:
    return sessions(
        cache, blog.engine.execution_options(isolation_level=level, **options)
    )


def deferrable(blog: Blog, cache: YokedCache) -> Any:
    modes = {"postgresql_readonly": True, "postgresql_deferrable": True}
    return at(blog, cache, "SERIALIZABLE", **modes)


def test_hole_09_repeatable_read_goes_on_seeing_its_snapshot(
    server: Blog, cache: YokedCache
) -> None:
    stays_one_state(server, cache, at(server, cache, "REPEATABLE READ"))


def test_hole_09_repeatable_read_is_served_and_stores(
    server: Blog, cache: YokedCache
) -> None:
    maker = at(server, cache, "REPEATABLE READ")
    is_served(cache, maker)
    with server.counted() as sent:
        assert name(server.attached(cache)) == "ann"
    assert not sent


def test_hole_09_what_a_snapshot_read_is_not_stored_under_later_versions(
    server: Blog, cache: YokedCache
) -> None:
    with at(server, cache, "REPEATABLE READ")() as session:
        session.scalars(TITLES).all()
        rename(server)
        assert session.scalars(NAME).one() == "ann"  # nothing is stored: a miss
    assert name(server.attached(cache)) == "new"
    assert reasons(cache)["snapshot"] == 1


def test_hole_09_a_tag_unknown_at_the_note_may_have_been_bumped(
    server: Blog, cache: YokedCache
) -> None:
    with at(server, cache, "REPEATABLE READ")() as session:
        session.execute(text("SELECT 1"))  # makes the snapshot, reads no table
        rename(server)  # bumps what nobody knows
        assert session.scalars(NAME).one() == "ann"
        assert name(server.attached(cache)) == "new"


def test_hole_09_the_first_read_goes_to_the_database(
    server: Blog, cache: YokedCache
) -> None:
    maker = at(server, cache, "REPEATABLE READ")
    assert name(server.attached(cache)) == "ann"
    for _ in range(2):
        with server.counted() as sent:
            assert name(maker) == "ann"
        assert len(sent) == 1


def test_hole_09_an_update_after_a_read_can_still_fail(
    server: Blog, cache: YokedCache
) -> None:
    maker = at(server, cache, "REPEATABLE READ")
    assert name(maker) == "ann"
    with maker() as session:
        ann = session.get_one(User, 1)
        rename(server)
        ann.name += "!"
        with pytest.raises(OperationalError, match="could not serialize"):
            session.commit()
    assert name(maker) == "new"


def test_hole_09_serializable_is_neither_served_nor_stored(
    server: Blog, cache: YokedCache
) -> None:
    maker = at(server, cache, "SERIALIZABLE")
    stays_one_state(server, cache, maker)
    assert reasons(cache)["serializable"] > 0
    with maker() as session, server.counted() as sent:
        session.scalars(NAME).one()
        session.scalars(NAME).one()
    assert len(sent) == 2


def test_hole_09_serializable_is_checked_by_the_database(
    server: Blog, cache: YokedCache
) -> None:
    """
    Each turns off another user, having seen that somebody is left.
    """
    count = select(func.count()).where(User.active)
    maker = at(server, cache, "SERIALIZABLE")
    with server.attached(cache)() as session:
        assert session.scalars(count).one() == 3
    with maker() as one, maker() as other:
        for number, session in ((1, one), (2, other)):
            session.scalars(TITLES).all()
            assert session.scalars(count).one() == 3
            session.execute(update(User).where(User.id == number).values(active=False))
        one.commit()
        with pytest.raises(OperationalError, match="could not serialize"):
            other.commit()


def test_hole_09_serializable_read_only_deferrable_is_a_snapshot(
    server: Blog, cache: YokedCache
) -> None:
    stays_one_state(server, cache, deferrable(server, cache))


def test_hole_09_serializable_read_only_deferrable_is_served(
    server: Blog, cache: YokedCache
) -> None:
    is_served(cache, deferrable(server, cache))


def test_hole_09_read_uncommitted_is_served_and_never_stores(
    blog: Blog, cache: YokedCache
) -> None:
    engine = create_engine(blog.engine.url, isolation_level="READ UNCOMMITTED")
    maker, statements = sessions(cache, engine), Statements(engine)
    for _ in range(2):
        with statements.counted() as sent:
            assert name(maker) == "ann"
        assert len(sent) == 1
    assert reasons(cache) == {"read_uncommitted": 2}
    assert name(blog.attached(cache)) == "ann"
    with statements.counted() as sent:
        assert name(maker) == "ann"
    assert not sent
    rename(blog)
    assert name(maker) == "new"
    engine.dispose()


@pytest.mark.parametrize("how", ["options", "engine", "connection", "text", "session"])
def test_hole_09_however_the_level_is_set(
    server: Blog, cache: YokedCache, how: str
) -> None:
    def by_connection(session: Session) -> None:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})

    def by_text(session: Session) -> None:
        session.execute(text(f"SET TRANSACTION {REPEATABLE}"))

    def by_session(session: Session) -> None:
        modes = f"AS TRANSACTION {REPEATABLE}"
        session.execute(text(f"SET SESSION CHARACTERISTICS {modes}"))
        session.commit()

    begin: Any = {
        "connection": by_connection,
        "text": by_text,
        "session": by_session,
    }.get(how, lambda session: None)
    engine = server.engine
    if how == "options":
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    if how == "engine":
        engine = create_engine(engine.url, isolation_level="REPEATABLE READ")
    maker = sessions(cache, engine)
    is_served(cache, maker, begin)
    stays_one_state(server, cache, maker, begin)
    assert "context" not in reasons(cache)
    engine.dispose()


@pytest.mark.parametrize("default", ["repeatable read", "serializable"])
@pytest.mark.parametrize("where", ["options", "database", "database later"])
def test_hole_09_a_level_that_the_server_knows(
    server: Blog, cache: YokedCache, default: str, where: str
) -> None:
    setting, arguments = "default_transaction_isolation", {}
    engine = server.engine
    if where == "options":
        value = default.replace(" ", "\\ ")
        arguments["options"] = f"-c {setting}={value}"
        engine = create_engine(engine.url, connect_args=arguments)
    else:
        if where == "database":
            engine = create_engine(engine.url)
        place = f"DATABASE {engine.url.database} SET {setting}"
        with server.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.exec_driver_sql(f"ALTER {place} = '{default}'")
        # connections made from now on have it
        engine.dispose()
    maker = sessions(cache, engine)
    if where == "database later":
        assert engine.dialect.default_isolation_level == "READ COMMITTED"
    with maker() as session:
        session.scalars(TITLES).all()
        rename(server)
        assert session.scalars(NAME).one() == "ann"
    with sessionmaker(engine)() as session:
        assert session.scalars(NAME).one() == "new"
    assert name(maker) == "new"
    engine.dispose()


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE", ""])
def test_hole_09_begin_by_hand_on_an_autocommit_engine(
    server: Blog, cache: YokedCache, level: str
) -> None:
    engine = server.engine.execution_options(isolation_level="AUTOCOMMIT")
    plain, own = server.attached(cache), sessions(cache, engine)
    assert name(plain) == "ann"
    with own() as session:
        session.execute(text(f"BEGIN {level and 'ISOLATION LEVEL '}{level}"))
        session.scalars(TITLES).all()
        rename(server)
        assert name(plain) == "new"
        assert session.scalars(NAME).one() == ("ann" if level else "new")
        session.execute(text("COMMIT"))
        assert session.scalars(NAME).one() == "new"
    assert name(plain) == "new"


def test_hole_09_a_text_that_ends_one_transaction_and_begins_another(
    server: Blog, cache: YokedCache
) -> None:
    maker, plain = at(server, cache, "REPEATABLE READ"), server.attached(cache)
    with maker() as session:
        session.scalars(TITLES).all()
        session.execute(text("COMMIT AND CHAIN"))
        session.scalars(TITLES).all()
        rename(server)
        assert name(plain) == "new"
        assert session.scalars(NAME).one() == "ann"
        session.commit()
        assert session.scalars(NAME).one() == "new"


def test_hole_09_a_catalogue_is_not_learnt_from_an_old_snapshot(
    server: Blog, cache: YokedCache
) -> None:
    plain = server.attached(cache)
    with at(server, cache, "REPEATABLE READ")() as session:
        session.scalars(TITLES).all()
        with server.engine.begin() as connection:
            connection.exec_driver_sql(
                "CREATE FUNCTION sign() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                "UPDATE users SET name = 'new' WHERE id = 1; RETURN NEW; END $$"
            )
            connection.exec_driver_sql(
                "CREATE TRIGGER signs AFTER UPDATE ON posts "
                "FOR EACH ROW EXECUTE FUNCTION sign()"
            )
        session.scalars(select(Post.id)).all()
        session.scalars(select(User.id)).all()
    assert name(plain) == "ann"
    with server.sessions.begin() as session:
        session.execute(update(Post).where(Post.id == 11).values(title="signed"))
    assert name(plain) == "new"


def test_hole_09_an_imported_snapshot_is_left_alone(
    server: Blog, cache: YokedCache
) -> None:
    maker = sessions(cache, server.engine, vary=None)
    with server.engine.connect() as exporter, maker() as session:
        exporter.exec_driver_sql(f"SET TRANSACTION {REPEATABLE}")
        ident = exporter.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
        rename(server)
        session.execute(text(f"SET TRANSACTION {REPEATABLE}"))
        session.execute(text(f"SET TRANSACTION SNAPSHOT '{ident}'"))
        assert session.scalars(NAME).one() == "ann"
        assert name(maker) == "new"


@pytest.mark.parametrize("where", ["session", "database"])
def test_hole_09_a_level_that_later_transactions_have_makes_their_first_read_a_snapshot(
    server: Blog, cache: YokedCache, where: str
) -> None:
    maker = server.attached(cache)
    assert name(maker) == "ann"
    setting = f"AS TRANSACTION {REPEATABLE}"
    with maker() as session:
        if where == "session":
            session.execute(text(f"SET SESSION CHARACTERISTICS {setting}"))
            session.commit()
        else:
            place = f"DATABASE {server.engine.url.database}"
            level = "default_transaction_isolation = 'repeatable read'"
            with Session(server.engine) as other:
                other.execute(text(f"ALTER {place} SET {level}"))
                other.commit()
            server.engine.dispose()
            session.scalars(TITLES).all()  # over a connection made since
            session.commit()
        with server.counted() as sent:
            session.scalars(NAME).one()
        assert len(sent) == 1


def test_hole_09_a_level_set_over_a_raw_connection_is_asked_for(
    server: Blog, cache: YokedCache
) -> None:
    maker = sessions(cache, server.engine, vary=None)
    assert name(maker) == "ann"
    raw: Any = server.engine.raw_connection()
    raw.cursor().execute(f"SET SESSION CHARACTERISTICS AS TRANSACTION {REPEATABLE}")
    raw.commit()
    raw.close()
    with maker() as session:
        session.scalars(TITLES).all()
        rename(server)
        assert session.scalars(NAME).one() == "ann"
    assert name(maker) == "new"


def test_hole_09_a_level_that_a_function_set_is_asked_for(
    server: Blog, cache: YokedCache
) -> None:
    with server.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE FUNCTION raised() RETURNS text LANGUAGE sql AS "
            "$$ SELECT set_config('default_transaction_isolation', 'repeatable read', "
            "false) $$"
        )
    maker = sessions(cache, server.engine, vary=None)
    with maker.begin() as session:
        session.scalars(NAME).one()
        session.execute(text("SELECT raised()"))
    with maker() as session:
        session.scalars(TITLES).all()
        rename(server)
        assert session.scalars(NAME).one() == "ann"
    assert name(maker) == "new"
