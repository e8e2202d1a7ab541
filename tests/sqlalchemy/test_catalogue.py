"""
What the catalogues of real databases say of tables and writes.
"""

from __future__ import annotations

import sqlite3
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import create_async_engine

from yokedcache.sqlalchemy.databases.catalogue import (
    Catalogue,
    CatalogueUnknown,
    read_catalogue,
)
from yokedcache.sqlalchemy.statements.text import analyse_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services.postgres import PostgresDatabase

SQLITE = """
CREATE TABLE Users (id INTEGER PRIMARY KEY);
CREATE TABLE posts (id INTEGER PRIMARY KEY,
    author REFERENCES users ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE comments (post REFERENCES POSTS ON DELETE SET NULL);
CREATE TABLE notes (user REFERENCES users);
CREATE TABLE logged (id);
CREATE TRIGGER t AFTER INSERT ON logged BEGIN DELETE FROM notes; END;
CREATE TABLE odd (id);
CREATE VIEW v AS SELECT * FROM users;
CREATE VIEW "W" (a, b) AS SELECT v.id, n.user FROM v, notes n;
CREATE VIEW late AS SELECT date('now') FROM users;
CREATE VIEW upon AS SELECT * FROM late;
CREATE TRIGGER w INSTEAD OF UPDATE ON "W" BEGIN UPDATE logged SET id = new.a; END;
CREATE VIRTUAL TABLE search USING fts5(x);
CREATE TABLE searching (id);
CREATE TEMP TABLE scratch (id);
"""


@pytest.fixture
def sqlite_connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    connection.executescript(SQLITE)
    yield connection
    connection.close()


def test_sqlite_tells_tables_from_the_rest(sqlite_connection: Any) -> None:
    catalogue = read_catalogue(sqlite_connection, "sqlite")
    assert not sqlite_connection.in_transaction
    assert catalogue.tables == {
        "users", "posts", "comments", "notes", "logged", "searching", "odd",
    }  # fmt: skip
    assert {"late", "upon", "search", "search_data", "scratch"} <= catalogue.opaque
    assert catalogue.triggers == set()
    assert catalogue.readable({"users", "posts"}) is None
    assert catalogue.readable({"users", "v", "w"}) is None
    assert catalogue.read_behind(frozenset({"posts", "w"})) == {
        "posts", "users", "notes",
    }  # fmt: skip
    assert catalogue.readable({"users", "upon"}) == "view:upon"
    assert catalogue.readable({"sqlite_master"}) == "unknown_table:sqlite_master"


def test_sqlite_writes_spread(sqlite_connection: Any) -> None:
    spread = read_catalogue(sqlite_connection, "sqlite").spread
    assert spread([("delete", "users")]) == ({"users", "posts", "comments"}, False)
    assert spread([("update", "users")]) == ({"users", "posts"}, False)
    assert spread([("insert", "users")]) == ({"users"}, False)
    assert spread([("insert", "logged")]) == ({"logged", "notes"}, False)
    assert spread([("delete", "v")]) == ({"v", "users", "posts", "comments"}, False)
    assert spread([("update", "w")]) == (
        {"w", "v", "users", "posts", "notes", "logged"},
        False,
    )
    assert spread([("insert", "nowhere")]) == ({"nowhere"}, True)
    assert spread([]) == (frozenset(), False)


def test_sqlite_names_of_attached_databases_are_opaque(sqlite_connection: Any) -> None:
    sqlite_connection.execute("ATTACH ':memory:' AS other")
    sqlite_connection.execute("CREATE TABLE other.users (id)")
    catalogue = read_catalogue(sqlite_connection, "sqlite")
    assert catalogue.readable({"users"}) == "view:users"


def test_other_databases_are_not_read_yet() -> None:
    with pytest.raises(CatalogueUnknown):
        read_catalogue(None, "oracle")


def test_a_failing_connection_is_an_unknown_catalogue() -> None:
    connection = sqlite3.connect(":memory:")
    cursorless = connection
    cursorless.execute("CREATE TABLE a (b)")
    connection.set_authorizer(lambda *_: sqlite3.SQLITE_DENY)
    with pytest.raises(CatalogueUnknown):
        read_catalogue(connection, "sqlite")
    connection.close()


POSTGRESQL = """
CREATE SCHEMA other;
CREATE FUNCTION noisy() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$;
CREATE FUNCTION quiet() RETURNS int IMMUTABLE LANGUAGE sql AS $$ SELECT 1 $$;
CREATE FUNCTION fired() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN RETURN new; END $$;
CREATE TABLE "Users" (id int PRIMARY KEY);
CREATE TABLE posts (id int PRIMARY KEY,
    author int REFERENCES "Users" ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE other.comments (post int REFERENCES posts ON DELETE SET NULL);
CREATE TABLE plain (id int DEFAULT quiet());
CREATE TABLE other.plain (id int);
CREATE TABLE doubled (id int);
CREATE VIEW other.doubled AS SELECT 1;
CREATE TABLE fills (id int DEFAULT noisy());
CREATE TABLE checks (id int CHECK (noisy() = 1));
CREATE TABLE ruled (id int);
CREATE RULE r AS ON INSERT TO ruled DO ALSO INSERT INTO plain VALUES (1);
CREATE TABLE logged (id int);
CREATE TRIGGER t BEFORE INSERT ON logged FOR EACH ROW EXECUTE FUNCTION fired();
CREATE TABLE counted (id int);
CREATE FUNCTION counting() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        -- EXECUTE 'nothing';
        UPDATE "Users" SET id = id + 1 WHERE id = NEW.id;
        INSERT INTO other.comments (post) VALUES (coalesce(NEW.id, 0));
        RETURN NEW;
    END $$;
CREATE TRIGGER t AFTER INSERT ON counted FOR EACH ROW EXECUTE FUNCTION counting();
CREATE FUNCTION obscure() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN EXECUTE 'DELETE FROM posts'; RETURN new; END $$;
CREATE TABLE odd (id int);
CREATE TRIGGER t AFTER INSERT ON odd FOR EACH ROW EXECUTE FUNCTION obscure();
CREATE VIEW seen AS SELECT p.id, u.id AS user_id FROM posts p, "Users" u;
CREATE VIEW over AS SELECT id FROM seen WHERE id > 1;
CREATE VIEW dated AS SELECT now() FROM posts;
CREATE VIEW calling AS SELECT noisy() FROM posts;
CREATE FUNCTION lower(int) RETURNS int STABLE LANGUAGE sql
    AS $$ SELECT max(id) FROM posts $$;
CREATE FUNCTION lowering() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN new.id := lower(new.id); RETURN new; END $$;
CREATE TABLE low (id int);
CREATE TRIGGER t BEFORE INSERT ON low FOR EACH ROW EXECUTE FUNCTION lowering();
CREATE VIEW lowered AS SELECT lower(id) FROM plain;
CREATE TABLE events (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (10);
CREATE TABLE marks (event int REFERENCES events ON DELETE CASCADE);
CREATE TABLE queue (id int) PARTITION BY RANGE (id);
CREATE TABLE queue_1 PARTITION OF queue FOR VALUES FROM (0) TO (10);
CREATE TRIGGER t AFTER INSERT ON queue_1 FOR EACH ROW EXECUTE FUNCTION fired();
CREATE TABLE parent (id int);
CREATE TABLE child () INHERITS (parent);
CREATE TABLE guarded (id int);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE MATERIALIZED VIEW summary AS SELECT 1;
CREATE TEMP TABLE scratch (id int);
"""


@pytest.fixture
def postgresql_catalogue(postgres_database: PostgresDatabase) -> Catalogue:
    engine = sa.create_engine(postgres_database.url("psycopg"))
    with engine.begin() as connection:
        connection.exec_driver_sql(POSTGRESQL)
        raw = connection.connection.dbapi_connection
        catalogue = read_catalogue(raw, "postgresql")
    engine.dispose()
    return catalogue


def test_postgresql_tells_tables_from_the_rest(postgresql_catalogue: Catalogue) -> None:
    catalogue = postgresql_catalogue
    assert catalogue.tables == {
        "users", "posts", "comments", "plain", "fills", "checks", "ruled", "logged",
        "marks", "counted", "odd", "events", "events_1", "queue", "queue_1", "parent",
        "child", "summary", "doubled", "low",
    }  # fmt: skip
    own = {name for name in catalogue.opaque if not name.startswith("pg_")}
    assert own == {"scratch", "dated", "calling", "lowered"}
    assert catalogue.guarded == {"guarded"}
    assert catalogue.readable({"guarded"}) == "row_security:guarded"
    assert catalogue.readable({"guarded"}, varied=True) is None
    assert "pg_class" in catalogue.opaque
    assert catalogue.volatile_functions == {
        "noisy", "fired", "counting", "obscure", "lowering",
    }  # fmt: skip
    assert catalogue.triggers == {"fills", "checks", "ruled", "odd", "low"}
    assert catalogue.shadowing == {"lower"}
    assert catalogue.implicit is None


@pytest.mark.parametrize(
    ("name", "tables"),
    [
        ("posts", "posts"),
        ("seen", "posts users"),
        ("over", "posts users"),
        ("doubled", "doubled"),
        ("events_1", "events"),
        ("events", "events"),
        ("child", "parent"),
        ("summary", "summary"),
    ],
)
def test_postgresql_tells_what_lies_behind_a_name(
    postgresql_catalogue: Catalogue, name: str, tables: str
) -> None:
    assert postgresql_catalogue.readable({name}) is None
    behind = postgresql_catalogue.read_behind(frozenset({name}))
    assert behind == frozenset(tables.split())


@pytest.mark.parametrize(
    ("query", "reason", "called"),
    [
        ("SELECT lower(id) FROM posts", "unknown_function:lower", {"lower"}),
        ("SELECT upper('a') FROM posts", None, set()),
        ("SELECT * FROM calling", "view:calling", {"noisy"}),
        ("SELECT * FROM lowered", "view:lowered", {"lower"}),
        ("SELECT * FROM dated", "view:dated", set()),
    ],
)
def test_postgresql_tells_functions_of_the_app(
    postgresql_catalogue: Catalogue, query: str, reason: str | None, called: set[str]
) -> None:
    analysis = analyse_text(query, "postgresql")
    assert postgresql_catalogue.unreadable(analysis) == reason
    assert postgresql_catalogue.called_by(analysis) == called


@pytest.mark.parametrize(
    ("write", "tables", "unknown"),
    [
        ("delete:users", "users posts comments", False),
        ("update:users", "users posts", False),
        ("insert:plain", "plain", False),
        ("insert:doubled", "doubled", False),
        ("insert:logged", "logged", False),
        ("insert:counted", "counted users posts comments", False),
        ("insert:odd", "odd", True),
        ("update:over", "over seen posts users", False),
        ("insert:ruled", "ruled", True),
        ("insert:fills", "fills", True),
        ("insert:queue", "queue", False),
        ("delete:events", "events marks", False),
        ("delete:events_1", "events_1 events marks", False),
        ("insert:parent", "parent", False),
        ("insert:child", "parent child", False),
        ("insert:guarded", "guarded", False),
        ("insert:summary", "summary", False),
        ("insert:scratch", "scratch", True),
        ("insert:pg_class", "pg_class", True),
    ],
)
def test_postgresql_writes_spread(
    postgresql_catalogue: Catalogue, write: str, tables: str, unknown: bool
) -> None:
    verb, _, table = write.partition(":")
    spread = postgresql_catalogue.spread([(verb, table)])
    assert spread == (frozenset(tables.split()), unknown)


def test_temporary_tables_of_others_are_not_there(
    postgres_database: PostgresDatabase,
) -> None:
    engine = sa.create_engine(postgres_database.url("psycopg"))
    with engine.connect() as one, engine.connect() as other:
        one.exec_driver_sql("CREATE TEMP TABLE scratch (id int)")
        one.commit()
        raw = other.connection.dbapi_connection
        assert "scratch" not in read_catalogue(raw, "postgresql").opaque
    engine.dispose()


async def test_asyncpg_reads_the_same_catalogue(
    postgres_database: PostgresDatabase, postgresql_catalogue: Catalogue
) -> None:
    engine = create_async_engine(postgres_database.url("asyncpg"))

    def read(connection: sa.Connection) -> Catalogue:
        return read_catalogue(connection.connection.dbapi_connection, "postgresql")

    async with engine.connect() as connection:
        catalogue = await connection.run_sync(read)
    await engine.dispose()
    assert catalogue.tables == postgresql_catalogue.tables
    assert catalogue.cascades == postgresql_catalogue.cascades
    assert catalogue.triggers == postgresql_catalogue.triggers


NAMES = st.sampled_from("abcde")
VERBS = st.sampled_from(["insert", "update", "delete"])
EFFECTS = st.tuples(
    st.sampled_from(["update", "delete"]), st.sampled_from(["update", "delete"]), NAMES
)


@given(
    st.dictionaries(NAMES, st.frozensets(EFFECTS)),
    st.sets(st.tuples(VERBS, NAMES)),
    st.sets(st.tuples(VERBS, NAMES)),
)
def test_spreading_is_closed_and_grows_with_the_writes(
    cascades: dict[str, frozenset[tuple[str, str, str]]],
    some: set[tuple[str, str]],
    more: set[tuple[str, str]],
) -> None:
    catalogue = Catalogue(
        tables=frozenset("abcde"), cascades=MappingProxyType(cascades)
    )
    tables, unknown = catalogue.spread(some)
    both, _ = catalogue.spread(some | more)
    assert not unknown
    assert {table for _, table in some} <= tables <= both
    assert both == tables | catalogue.spread(more)[0]
