"""
What MariaDB's catalogue says of tables and writes, and what it hides from whom.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from yokedcache.sqlalchemy.databases.bodies_mysql import effects_of_trigger
from yokedcache.sqlalchemy.databases.catalogue import (
    Catalogue,
    CatalogueUnknown,
    read_catalogue,
)
from yokedcache.sqlalchemy.statements.text import analyse_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services import MariaDBDatabase

SCHEMA = """
CREATE TABLE Users (id int PRIMARY KEY);
CREATE TABLE posts (id int PRIMARY KEY, author int,
    FOREIGN KEY (author) REFERENCES Users (id) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE comments (post int,
    FOREIGN KEY (post) REFERENCES posts (id) ON DELETE SET NULL);
CREATE TABLE notes (user int, FOREIGN KEY (user) REFERENCES Users (id));
CREATE TABLE logged (id int);
CREATE TRIGGER t AFTER INSERT ON logged FOR EACH ROW DELETE FROM notes;
CREATE TABLE counted (id int);
CREATE TRIGGER c AFTER UPDATE ON counted FOR EACH ROW
    IF NEW.id > 1 THEN DELETE FROM notes WHERE user = NEW.id; END IF;
CREATE TABLE stamped (id int, at datetime);
CREATE TRIGGER s BEFORE INSERT ON stamped FOR EACH ROW SET NEW.at = NOW();
CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 2;
CREATE TABLE isam (id int) ENGINE MyISAM;
CREATE TABLE crash (id int) ENGINE Aria;
CREATE TABLE lost (id int) ENGINE MEMORY;
CREATE TABLE merged (id int) ENGINE MERGE UNION (isam);
CREATE TABLE history (id int) WITH SYSTEM VERSIONING;
CREATE SEQUENCE numbers;
CREATE VIEW v AS SELECT u.*, p.id AS post FROM Users u JOIN posts p ON u.id = p.author;
CREATE TABLE aging (id int, age int AS (year(now())) VIRTUAL);
CREATE TABLE asked (id int, who varchar(90) AS (current_user()) VIRTUAL);
CREATE TABLE doubled (id int, twice int AS (id * 2) VIRTUAL, more int AS (id + 1) STORED);
CREATE VIEW ages AS SELECT age FROM aging;
CREATE FUNCTION noisy() RETURNS int RETURN 1;
CREATE FUNCTION any_value(x int) RETURNS int RETURN x;
CREATE VIEW deep AS SELECT id FROM v WHERE id > 3;
CREATE VIEW dated AS SELECT id, NOW() AS now FROM Users;
CREATE VIEW calling AS SELECT id, noisy() FROM Users;
CREATE PROCEDURE done() SELECT 1
"""


@pytest.fixture
def filled(mariadb_database: MariaDBDatabase) -> MariaDBDatabase:
    statements = SCHEMA.split(";\n")
    mariadb_database.server.say(*statements, database=mariadb_database.name)
    return mariadb_database


def learnt(url: str) -> Catalogue:
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            return read_catalogue(connection.connection.dbapi_connection, "mariadb")
    finally:
        engine.dispose()


@pytest.fixture
def catalogue(filled: MariaDBDatabase) -> Catalogue:
    return learnt(filled.url("pymysql"))


def test_tables_are_told_from_the_rest(catalogue: Catalogue) -> None:
    assert catalogue.tables == {
        "users", "posts", "comments", "notes", "logged", "parted", "isam", "crash",
        "counted", "stamped", "doubled",
    }  # fmt: skip
    assert catalogue.opaque == {
        "dated", "calling", "lost", "merged", "history", "numbers", "aging", "asked", "ages",
    }  # fmt: skip
    assert catalogue.triggers == {"counted"}
    assert catalogue.immediate == {"isam", "crash"}
    assert catalogue.volatile_functions == {"noisy", "any_value"}
    assert catalogue.readable({"users", "parted", "v", "deep"}) is None
    assert catalogue.readable({"dated"}) == "view:dated"
    assert catalogue.readable({"history"}) == "view:history"
    assert catalogue.readable({"aging"}) == "volatile_column:aging"
    assert catalogue.readable({"asked"}) == "volatile_column:asked"
    assert catalogue.readable({"ages"}) == "view:ages"
    assert catalogue.readable({"doubled"}) is None
    assert catalogue.read_behind(frozenset({"deep"})) == {"users", "posts"}
    own = analyse_text("SELECT any_value(id) FROM users", "mariadb")
    assert own.uncacheable is None
    assert catalogue.unreadable(own) == "unknown_function:any_value"


@pytest.mark.parametrize(
    ("write", "tables", "unknown"),
    [
        ("delete:users", "users posts comments", False),
        ("update:users", "users posts", False),
        ("insert:users", "users", False),
        ("insert:parted", "parted", False),
        ("insert:logged", "logged notes", False),
        ("update:counted", "counted", True),
        ("insert:stamped", "stamped", False),
        ("insert:v", "v users posts", False),
        ("insert:deep", "deep v users posts", False),
        ("insert:merged", "merged", True),
        ("insert:lost", "lost", False),
        ("insert:aging", "aging", False),
        ("insert:ages", "ages aging", False),
        ("insert:history", "history", False),
        ("insert:nowhere", "nowhere", True),
    ],
)
def test_writes_spread(
    catalogue: Catalogue, write: str, tables: str, unknown: bool
) -> None:
    verb, _, table = write.partition(":")
    assert catalogue.spread([(verb, table)]) == (frozenset(tables.split()), unknown)


def test_what_is_written_at_once(catalogue: Catalogue) -> None:
    assert catalogue.written_at_once([("insert", "isam")])
    assert catalogue.written_at_once([("update", "counted")])  # its trigger may
    assert not catalogue.written_at_once([("insert", "logged")])
    assert not catalogue.written_at_once([("delete", "users")])


async def test_async_drivers_read_the_same(
    filled: MariaDBDatabase, catalogue: Catalogue
) -> None:
    def read(connection: sa.Connection) -> Catalogue:
        return read_catalogue(connection.connection.dbapi_connection, "mariadb")

    for driver in ("asyncmy", "aiomysql"):
        engine = create_async_engine(filled.url(driver))
        async with engine.connect() as connection:
            assert await connection.run_sync(read) == catalogue
        await engine.dispose()


def test_a_key_of_another_schema_makes_writes_unknown(
    filled: MariaDBDatabase,
) -> None:
    other = filled.server.create_database()
    filled.server.say(
        "CREATE TABLE far (p int, FOREIGN KEY (p)"
        f" REFERENCES {filled.name}.Users (id) ON DELETE CASCADE)",
        database=other.name,
    )
    try:
        assert learnt(filled.url("pymysql")).spread([("delete", "users")])[1]
    finally:
        filled.server.drop_database(other)


@pytest.fixture
def limited(filled: MariaDBDatabase) -> Iterator[str]:
    """
    Give the URL of a user who may read and write, and see no trigger.
    """
    user = f"{filled.name}_app"
    filled.server.say(
        f"CREATE USER {user} IDENTIFIED BY 'app'",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {filled.name}.* TO {user}",
    )
    yield filled.url("pymysql").replace("root@", f"{user}:app@")
    filled.server.say(f"DROP USER {user}")


def test_who_may_not_see_triggers_takes_every_write_for_unknown(
    filled: MariaDBDatabase, limited: str
) -> None:
    catalogue = learnt(limited)
    assert catalogue.readable({"users", "logged"}) is None
    assert catalogue.spread([("insert", "logged")])[1]
    assert catalogue.spread([("insert", "users")])[1]
    assert catalogue.readable({"v"}) == "view:v"  # whose query isn't shown either
    user = f"{filled.name}_app"
    filled.server.say(f"GRANT TRIGGER ON {filled.name}.* TO {user}")
    catalogue = learnt(limited)
    assert catalogue.spread([("insert", "logged")]) == ({"logged", "notes"}, False)
    assert not catalogue.spread([("insert", "users")])[1]


@pytest.fixture
def scheduled(filled: MariaDBDatabase) -> Iterator[MariaDBDatabase]:
    filled.server.say("SET GLOBAL event_scheduler = ON")
    yield filled
    filled.server.say("SET GLOBAL event_scheduler = OFF")


def test_what_an_event_writes_is_not_cached(scheduled: MariaDBDatabase) -> None:
    event = "CREATE EVENT e ON SCHEDULE EVERY 1 YEAR STARTS '2037-01-01' DO "
    scheduled.server.say(
        f"{event} UPDATE posts SET author = 1", database=scheduled.name
    )
    catalogue = learnt(scheduled.url("pymysql"))
    assert catalogue.readable({"users"}) is None
    assert catalogue.readable({"posts"}) == "view:posts"
    assert catalogue.spread([("update", "posts")]) == ({"posts"}, False)
    scheduled.server.say(
        "DROP EVENT e", f"{event} CALL done()", database=scheduled.name
    )
    with pytest.raises(CatalogueUnknown, match="event e"):
        learnt(scheduled.url("pymysql"))
    scheduled.server.say("SET GLOBAL event_scheduler = OFF")
    assert learnt(scheduled.url("pymysql")).readable({"posts"}) is None


@pytest.mark.parametrize(
    ("body", "effects"),
    [
        ("UPDATE users SET n = n + 1 WHERE id = NEW.author", "update:users"),
        ("BEGIN DELETE FROM a; INSERT INTO shop.b VALUES (OLD.id); END",
         "delete:a insert:b"),
        ("begin\n  # a; DELETE FROM c\n  SET NEW.x = UPPER(NEW.x), NEW.y = 1;\nend", ""),
        ("UPDATE a JOIN b ON 1 SET b.x = 'it\\'s; END'", "update:a update:b"),
        ("SET NEW.x = 1", ""),
        ("BEGIN /*! DELETE FROM a; */ SET NEW.x = 1; END", "delete:a"),
        ("SET NEW.x = f()", None),
        ("SET NEW.x = any_value(1)", None),
        ("SET @x = 1", None),
        ("CALL p()", None),
        ("INSERT INTO other.b VALUES (1)", None),
        ("IF NEW.x THEN DELETE FROM a; END IF", None),
        ("BEGIN IF NEW.x THEN DELETE FROM a; END IF; END", None),
        ("BEGIN DECLARE x int; SET x = 1; END", None),
        ("BEGIN BEGIN DELETE FROM a; END; END", None),
        ("SIGNAL SQLSTATE '45000'", None),
    ],
)  # fmt: skip
def test_what_triggers_write(body: str, effects: str | None) -> None:
    found = effects_of_trigger(body, "shop", {"any_value"})
    if effects is None:
        assert found is None
    else:
        assert found == {tuple(one.split(":")) for one in effects.split()}
