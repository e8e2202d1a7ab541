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

from yokedcache.sqlalchemy.catalogue import (
    Catalogue,
    CatalogueUnknown,
    read_catalogue,
)

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
CREATE VIEW v AS SELECT * FROM users;
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
        "users", "posts", "comments", "notes", "logged", "searching",
    }  # fmt: skip
    assert {"v", "search", "search_data", "scratch"} <= catalogue.opaque
    assert catalogue.triggers == {"logged"}
    assert catalogue.readable({"users", "posts"}) is None
    assert catalogue.readable({"users", "v"}) == "view:v"
    assert catalogue.readable({"sqlite_master"}) == "unknown_table:sqlite_master"


def test_sqlite_writes_spread(sqlite_connection: Any) -> None:
    spread = read_catalogue(sqlite_connection, "sqlite").spread
    assert spread([("delete", "users")]) == ({"users", "posts", "comments"}, False)
    assert spread([("update", "users")]) == ({"users", "posts"}, False)
    assert spread([("insert", "users")]) == ({"users"}, False)
    assert spread([("insert", "logged")]) == ({"logged"}, True)
    assert spread([("insert", "v")]) == ({"v"}, True)
    assert spread([("insert", "nowhere")]) == ({"nowhere"}, True)
    assert spread([]) == (frozenset(), False)


def test_sqlite_names_of_attached_databases_are_opaque(sqlite_connection: Any) -> None:
    sqlite_connection.execute("ATTACH ':memory:' AS other")
    sqlite_connection.execute("CREATE TABLE other.users (id)")
    catalogue = read_catalogue(sqlite_connection, "sqlite")
    assert catalogue.readable({"users"}) == "view:users"


def test_other_databases_are_not_read_yet() -> None:
    with pytest.raises(CatalogueUnknown):
        read_catalogue(None, "mysql")


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
        "marks",
    }  # fmt: skip
    own = {name for name in catalogue.opaque if not name.startswith("pg_")}
    assert own == {
        "doubled", "events", "events_1", "queue", "queue_1", "parent", "child",
        "guarded", "summary", "scratch",
    }  # fmt: skip
    assert "pg_class" in catalogue.opaque
    assert catalogue.volatile_functions == {"noisy", "fired"}
    assert catalogue.triggers == {
        "fills", "checks", "ruled", "logged", "queue", "queue_1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("write", "tables", "unknown"),
    [
        ("delete:users", "users posts comments", False),
        ("update:users", "users posts", False),
        ("insert:plain", "plain", False),
        ("insert:doubled", "doubled", True),
        ("insert:logged", "logged", True),
        ("insert:ruled", "ruled", True),
        ("insert:fills", "fills", True),
        ("insert:queue", "queue", True),
        ("delete:events", "events marks", False),
        ("delete:events_1", "events_1 marks", False),
        ("insert:parent", "parent", True),
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
