"""
Hole 4: context that a connection carries, set by statements or left by somebody.

`tests/tenants` has the ways of listeners; here are those of SQL on PostgreSQL, what
stays on a pooled connection, and a `vary` value that changes under a session.
"""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import MetaData, create_engine, event, select, text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

from tests.support.databases import blog_at
from tests.support.models import User
from yokedcache import cached

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from tests.services.postgres import PostgresDatabase
    from tests.support.databases import Blog
    from yokedcache import YokedCache

tenant = contextvars.ContextVar("tenant", default="a")
NAMES = select(User.name).order_by(User.id)
ALL = ["ann", "bob", "eve"]
OTHERS = ["other"]


@pytest.fixture
def pg(postgres_database: PostgresDatabase) -> Iterator[Blog]:
    """
    Give a blog on PostgreSQL, with another in a schema and a role that sees that.
    """
    with blog_at(postgres_database.url("psycopg"), pool_size=1, max_overflow=0) as blog:
        with blog.engine.begin() as connection:
            connection.execute(text("CREATE SCHEMA b"))
            copy = MetaData()
            for table in User.metadata.sorted_tables:
                table.to_metadata(copy, schema="b")
            copy.create_all(connection)
            connection.execute(
                text("INSERT INTO b.users (id, name, active) VALUES (1, 'other', true)")
            )
            connection.execute(
                text(
                    "CREATE FUNCTION enter(name text) RETURNS void LANGUAGE plpgsql AS"
                    " $$ BEGIN PERFORM set_config('search_path', name, false); END $$"
                )
            )
        yield blog


SETTING = {
    "set": "SET search_path = b",
    "set_session": "SET SESSION search_path TO b",
    "set_local": "SET LOCAL search_path = b",
    "set_config": "SELECT set_config('search_path', 'b', false)",
    "set_config_local": "SELECT set_config('search_path', 'b', true)",
    "hidden": "SELECT public.enter('b')",
    "commented": "/* of a tenant */ SET search_path = b",
    "after_harmless": "SET statement_timeout = 0; SET search_path = b",
    "after_reset": "RESET search_path; SET search_path = b",
    "in_a_block": "DO $$ BEGIN SET search_path = b; END $$",
}


def names(session: Session) -> list[str]:
    return list(session.scalars(NAMES))


@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("way", SETTING)
def test_hole_04_what_a_statement_sets_keeps_its_connection_from_the_cache(
    pg: Blog, cache: YokedCache, way: str, committed: bool
) -> None:
    sessions = pg.attached(cache)
    function = cached(cache=cache)(names)
    with sessions() as session:
        assert names(session) == function(session) == ALL
        assert names(session) == ALL
    with sessions() as session:
        session.execute(text(SETTING[way]))
        if committed:
            session.commit()
        stays = not committed or not way.endswith("local")
        for _ in range(3):
            assert names(session) == (OTHERS if stays else ALL)
            assert function(session) == (OTHERS if stays else ALL)
    for _ in range(2):
        with sessions() as session:  # the one connection of the pool, as it was left
            session.execute(text("SELECT 1"))
            left = names(session)
            assert left == (OTHERS if stays and committed else ALL)
    with pg.sessions() as session:
        session.execute(text("RESET ALL"))
        session.commit()
    with sessions() as session:
        session.execute(text("SELECT 1"))
        assert names(session) == ALL


def test_hole_04_a_connection_that_was_left_clean_is_cached_again(
    pg: Blog, cache: YokedCache, said: pytest.LogCaptureFixture
) -> None:
    sessions = pg.attached(cache)
    with sessions() as session:
        session.execute(text("SET LOCAL search_path = b"))
        assert names(session) == OTHERS
    assert "search_path" in said.text
    assert "vary=" in said.text
    for _ in range(2):
        with pg.counted() as sent, sessions() as session:
            assert names(session) == ALL
    assert sent == []
    assert cache.stats().total.bypasses["context"] == 1


def test_hole_04_a_function_isnt_answered_plainly_where_somebody_set_something(
    pg: Blog, cache: YokedCache
) -> None:
    registry = sessionmaker(pg.engine)
    current: list[Session] = []

    @cached(cache=cache)
    def everybody() -> list[str]:
        return names(current[0])

    with registry() as session:
        current[:] = [session]
        assert everybody() == ALL
    with registry() as session:
        current[:] = [session]
        session.execute(text("SET LOCAL search_path = b"))
        assert everybody() == everybody() == OTHERS
    with registry() as session:
        current[:] = [session]
        with pg.counted() as sent:
            assert everybody() == ALL
        assert sent == []


def test_hole_04_what_was_set_is_covered_by_vary_for_whoever_set_it(
    pg: Blog, cache: YokedCache
) -> None:
    sessions = pg.attached(cache, vary=lambda session: session.info["path"])

    def ask(path: str) -> list[str]:
        with sessions(info={"path": path}) as session:
            session.execute(text(f"SET LOCAL search_path = {path}"))
            return names(session)

    for path in ("public", "b", "b", "public"):
        assert ask(path) == (OTHERS if path == "b" else ALL)
    assert cache.stats().total.hits == 2


def test_hole_04_what_somebody_else_left_is_not_covered_by_vary(
    pg: Blog, cache: YokedCache
) -> None:
    sessions = pg.attached(cache, vary=lambda session: session.info["path"])
    with pg.sessions() as session:
        session.execute(text("SET search_path = b"))
        session.commit()
    with sessions(info={"path": "public"}) as session:
        assert names(session) == OTHERS  # as without a cache
    with pg.sessions() as session:
        session.execute(text("RESET search_path"))
        session.commit()
    with sessions(info={"path": "public"}) as session:
        assert names(session) == ALL


@pytest.mark.parametrize("how", ["raw", "handed"])
def test_hole_04_what_an_app_set_with_the_connection_in_its_hands(
    pg: Blog, cache: YokedCache, how: str
) -> None:
    sessions = pg.attached(cache)

    def handle(statement: str) -> None:
        if how == "raw":
            raw = pg.engine.raw_connection()
            raw.cursor().execute(statement)
            raw.commit()
            raw.close()
            return
        with pg.engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            driver.cursor().execute(statement)
            driver.commit()

    handle("SET search_path = b")
    with sessions() as session:
        assert names(session) == OTHERS
    pg.engine.dispose()
    handle("SET statement_timeout = 0")
    for _ in range(2):
        with pg.counted() as sent, sessions() as session:
            assert names(session) == ALL
    assert sent == []


def test_hole_04_settings_that_change_no_answer_are_harmless(
    pg: Blog, cache: YokedCache
) -> None:
    sessions = pg.attached(cache)
    for _ in range(2):
        with sessions() as session:
            session.execute(text("SET LOCAL statement_timeout = '5s'"))
            session.execute(text("SET application_name = 'shop'"))
            assert names(session) == ALL
    assert cache.stats().total.hits == 1


@pytest.mark.parametrize(
    ("setting", "shown"),
    [("TIME ZONE 'Asia/Tokyo'", "09:00"), ("DateStyle = 'German'", "01.01.2000")],
)
def test_hole_04_how_values_are_written_is_context(
    pg: Blog, cache: YokedCache, setting: str, shown: str
) -> None:
    sessions = pg.attached(cache)
    query = text(
        "SELECT (timestamptz '2000-01-01 00:00+00' + id * interval '0')::text"
        " FROM users WHERE id = 1"
    )
    with pg.engine.begin() as connection:
        connection.execute(text("ALTER ROLE CURRENT_USER RESET ALL"))
    with sessions() as session:
        session.execute(text("SET LOCAL TIME ZONE 'UTC'"))
        session.scalar(query)
    with sessions() as session:
        before = session.scalar(query)
    with sessions() as session:
        session.execute(text(f"SET LOCAL {setting}"))
        assert shown in (session.scalar(query) or "")
    with sessions() as session:
        assert session.scalar(query) == before


def test_hole_04_schemas_are_told_apart_by_their_translation(
    pg: Blog, cache: YokedCache
) -> None:
    sessions = pg.attached(cache)

    def ask(schema: str | None) -> list[str]:
        with sessions() as session:
            options = {"schema_translate_map": {None: schema}} if schema else {}
            return list(session.scalars(NAMES, execution_options=options))

    def ask_connection(schema: str) -> list[str]:
        with sessions() as session:
            session.connection(
                execution_options={"schema_translate_map": {None: schema}}
            )
            return names(session)

    for _ in range(2):
        assert ask(None) == ALL
        assert ask("b") == ask_connection("b") == OTHERS
        assert ask_connection("public") == ALL
    assert cache.stats().total.hits


def role_engine(blog: Blog, role: str) -> Engine:
    with blog.engine.begin() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD 'x'"))
        connection.execute(
            text(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        )
    url = blog.engine.url.set(username=role, password="x")
    return create_engine(url, pool_size=1, max_overflow=0)


POLICY = """
    CREATE POLICY own ON users USING (name = current_setting('app.name', true)
    AND EXISTS (SELECT 1 FROM posts WHERE posts.author_id = users.id))
"""


@pytest.fixture
def guarded(pg: Blog) -> Iterator[Engine]:
    """
    Give an engine of a role that sees the users that its setting and a table allow.
    """
    role = f"clerk_{abs(hash(str(pg.engine.url.database))) % 10**8}"
    engine = role_engine(pg, role)
    with pg.engine.begin() as connection:
        connection.execute(text("ALTER TABLE users ENABLE ROW LEVEL SECURITY"))
        connection.execute(text(POLICY))
    yield engine
    engine.dispose()
    with pg.engine.begin() as connection:
        connection.execute(text(f"DROP OWNED BY {role}"))
        connection.execute(text(f"DROP ROLE {role}"))


def test_hole_04_tables_with_row_level_security_need_vary(
    guarded: Engine, cache: YokedCache
) -> None:
    sessions = cache.attach(sessionmaker(guarded))
    for name in ("ann", "bob", "ann"):
        with guarded.connect() as connection:
            connection.execute(text(f"SET app.name = '{name}'"))
            connection.commit()
        with sessions() as session:
            assert names(session) == [name]
    assert cache.stats().total.hits == 0
    guarded.dispose()
    with sessions() as session:
        assert names(session) == []
    assert cache.stats().total.refusals["row_security:users"] == 1


def test_hole_04_row_level_security_is_served_under_vary_and_its_policies_count(
    pg: Blog, guarded: Engine, cache: YokedCache
) -> None:
    sessions = cache.attach(
        sessionmaker(guarded), vary=lambda session: session.info["name"]
    )

    def ask(name: str) -> list[str]:
        with sessions(info={"name": name}) as session:
            session.execute(text(f"SET LOCAL app.name = '{name}'"))
            return names(session)

    for name in ("ann", "bob", "ann", "bob"):
        assert ask(name) == [name]
    assert cache.stats().total.hits == 2
    with pg.sessions.begin() as session:  # what the policy reads
        session.execute(text("DELETE FROM posts WHERE author_id = 1"))
    assert ask("ann") == []
    assert ask("bob") == ["bob"]


def test_hole_04_a_role_is_context(
    pg: Blog, guarded: Engine, cache: YokedCache
) -> None:
    sessions = pg.attached(cache)
    role = guarded.url.username
    query = text("SELECT count(*) FROM posts")
    with pg.engine.begin() as connection:
        connection.execute(text("ALTER TABLE users DISABLE ROW LEVEL SECURITY"))
    with sessions() as session:
        assert names(session) == ALL
    for setting in (f"SET ROLE {role}", f"SET SESSION AUTHORIZATION {role}"):
        with sessions() as session:
            session.execute(text(setting))
            assert names(session) == ALL
            assert session.scalar(query) == 6
    assert cache.stats().total.bypasses["context"] == 4


def test_hole_04_a_vary_value_that_changes_under_a_session(
    pg: Blog, cache: YokedCache
) -> None:
    @event.listens_for(pg.engine, "checkout")
    def enter(connection: Any, *_: Any) -> None:
        path = "b" if tenant.get() == "b" else "public"
        connection.cursor().execute(f"SET search_path = {path}")

    sessions = pg.attached(cache, vary=lambda _: tenant.get())
    tenant.set("a")
    with sessions() as session:
        session.execute(text("SELECT 1"))  # takes a connection, for a
        tenant.set("b")
        assert names(session) == ALL  # as without a cache: a's connection
    with sessions() as session:
        assert names(session) == OTHERS
    with pg.engine.connect() as connection:  # for b
        tenant.set("a")
        with sessions(bind=connection) as session:
            assert names(session) == OTHERS
    with sessions() as session:
        assert names(session) == ALL
    assert cache.stats().total.bypasses["vary_changed"] == 2


async def test_hole_04_what_a_statement_sets_on_the_event_loop(
    pg: Blog, cache: YokedCache
) -> None:
    engine = create_async_engine(pg.engine.url.set(drivername="postgresql+asyncpg"))
    sessions = cache.attach(async_sessionmaker(engine))
    for path, expected in (("public", ALL), ("b", OTHERS), ("public", ALL)):
        async with sessions() as session:
            await session.execute(text(f"SET search_path = {path}"))
            await session.commit()
            for _ in range(2):
                assert list(await session.scalars(NAMES)) == expected
    assert cache.stats().total.hits == 0
    await engine.dispose()
