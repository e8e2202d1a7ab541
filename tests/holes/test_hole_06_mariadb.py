"""
Holes 6 and 8 on MariaDB: every route by which a row changes, however it is committed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pymysql.constants import CLIENT
from sqlalchemy import String, event, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tests.support.databases import STATEMENT_LEVEL, Blog, blog_at
from tests.support.models import Post, User
from yokedcache import cached

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.services import MariaDBDatabase
    from yokedcache import YokedCache

RENAMING = "UPDATE users SET name = 'new' WHERE id = 1"
BACK = {
    "": "UPDATE users SET name = 'ann' WHERE id = 1",
    "cascade": "UPDATE names SET name = 'ann' WHERE name = 'new'",
}
PREPARE = (
    f"CREATE FUNCTION chg() RETURNS int BEGIN {RENAMING}; RETURN 1; END",
    f"CREATE PROCEDURE prc() {RENAMING}",
    f"CREATE PROCEDURE ends() BEGIN {RENAMING}; COMMIT; END",
    "CREATE VIEW people AS SELECT id, name AS called FROM users",
    "CREATE TABLE fires (x int)",
    f"CREATE TRIGGER t BEFORE INSERT ON fires FOR EACH ROW {RENAMING}",
    "CREATE TABLE names (name varchar(50) PRIMARY KEY)",
    "INSERT INTO names VALUES ('ann'), ('bob'), ('eve')",
    "ALTER TABLE users ADD FOREIGN KEY (name) REFERENCES names (name) ON UPDATE CASCADE",
    "ALTER TABLE users ALTER name SET DEFAULT 'none', ALTER active SET DEFAULT 1",
    "CREATE TABLE other (id int PRIMARY KEY, x varchar(50))",
    "INSERT INTO other VALUES (1, 'new')",
)
ROUTES = {
    "plain": (RENAMING,),
    "replace": ("REPLACE INTO users (id, name, active) VALUES (1, 'new', 1)",),
    "upsert": ("INSERT users (id) VALUES (1) ON DUPLICATE KEY UPDATE name = 'new'",),
    "joined": ("UPDATE other JOIN users USING (id) SET users.name = other.x",),
    "listed": ("UPDATE other, users u SET u.name = x WHERE u.id = other.id",),
    "nested": (
        "UPDATE other o JOIN (users JOIN other p USING (id)) ON 1 SET name = 'new'",
    ),
    "urgent": ("UPDATE LOW_PRIORITY IGNORE users SET name = 'new' WHERE id = 1",),
    "analyzed": (f"ANALYZE FORMAT=JSON {RENAMING}",),
    "commented": (f"/*!50000 {RENAMING} */",),
    "minus": ("UPDATE other, users SET name = 'new' WHERE users.id = 0--1",),
    "function": ("SELECT chg()",),
    "into": ("SELECT chg() INTO @x",),
    "assigned": ("SET @x = chg()",),
    "done": ("DO chg()",),
    "procedure": ("CALL prc()",),
    "committing": ("CALL ends()",),
    "prepared": (f'PREPARE x FROM "{RENAMING}"', "EXECUTE x"),
    "immediate": (f'EXECUTE IMMEDIATE "{RENAMING}"',),
    "compound": (f"BEGIN NOT ATOMIC {RENAMING}; END",),
    "set_statement": (f"SET STATEMENT max_statement_time = 9 FOR {RENAMING}",),
    "view": ("UPDATE people SET called = 'new' WHERE id = 1",),
    "trigger": ("INSERT INTO fires VALUES (1)",),
    "cascade": ("UPDATE names SET name = 'new' WHERE name = 'ann'",),
    "qualified": ("UPDATE {schema}.users SET name = 'new' WHERE id = 1",),
    "several": (f"SELECT 1; {RENAMING}",),
    "tables": ("CREATE TABLE later AS SELECT id, 'new' AS name, active FROM users",
               "RENAME TABLE users TO gone, later TO users"),
}  # fmt: skip
PRECISE = {
    "plain", "replace", "upsert", "joined", "listed", "nested", "urgent", "analyzed",
    "commented", "minus", "cascade", "qualified",
}  # fmt: skip
"""Routes after which what was read from other tables is still served."""


@pytest.fixture
def prepared(mariadb_database: MariaDBDatabase) -> Iterator[Blog]:
    options: dict[str, Any] = {
        "connect_args": {"client_flag": CLIENT.MULTI_STATEMENTS},
        **STATEMENT_LEVEL,
    }
    with blog_at(mariadb_database.url("pymysql"), **options) as blog:
        with blog.engine.begin() as connection:
            connection.exec_driver_sql(
                "ALTER TABLE posts DROP FOREIGN KEY posts_ibfk_1"
            )
            for statement in PREPARE:
                connection.exec_driver_sql(statement)
        yield blog


def name(maker: Callable[[], Session]) -> str | None:
    with maker() as session:
        return session.scalar(select(User.name).where(User.id == 1))


def posts(maker: Callable[[], Session]) -> int | None:
    with maker() as session:
        return session.scalar(select(func.count()).select_from(Post))


def _free_names(blog: Blog, *more: str) -> None:
    """
    Take the key away that only one route is about: names may be anything.
    """
    with blog.engine.begin() as connection:
        for statement in ("ALTER TABLE users DROP FOREIGN KEY users_ibfk_1", *more):
            connection.exec_driver_sql(statement)


def _sent(session: Session, route: str, end: str) -> None:
    if end == "AUTOCOMMIT":
        session.connection(execution_options={"isolation_level": end})
    connection = session.connection()
    schema = connection.dialect.default_schema_name
    for statement in (*ROUTES[route], *(("COMMIT",) if end == "text" else ())):
        connection.exec_driver_sql(statement.format(schema=schema)).close()
    if end == "commit":
        session.commit()


@pytest.mark.parametrize("route", ROUTES)
def test_hole_06_every_route_is_seen(
    prepared: Blog, cache: YokedCache, route: str
) -> None:
    if route != "cascade":
        _free_names(prepared)
    maker = prepared.attached(cache)

    @cached(cache=cache)
    def called() -> str | None:
        return name(prepared.sessions)

    for end in ("commit", "text", "AUTOCOMMIT"):
        assert [name(maker), called(), name(maker), called()] == ["ann"] * 4
        assert posts(maker) == 6
        with Session(prepared.engine) as session:
            _sent(session, route, end)
            assert name(maker) == called() == "new"
        with prepared.counted() as sent:
            assert posts(maker) == 6
        if route in PRECISE:
            assert sent == []
        assert name(maker) == called() == "new"
        if route == "tables":
            break  # can be done once
        with prepared.engine.begin() as connection:
            connection.exec_driver_sql(BACK.get(route, BACK[""]))


IMPLICIT = [
    "START TRANSACTION", "BEGIN", "SET autocommit = 1", "LOCK TABLES other WRITE",
    "CREATE TABLE made (x int)", "ALTER TABLE other ADD y int", "DROP TABLE other",
    "TRUNCATE TABLE other", "RENAME TABLE other TO others", "FLUSH TABLES",
    "CREATE INDEX i ON other (x)", "ANALYZE TABLE other", "OPTIMIZE TABLE other",
    "GRANT SELECT ON *.* TO root@localhost", "CREATE VIEW seen AS SELECT 1",
    "COMMIT AND CHAIN", "CALL ends()",
]  # fmt: skip


@pytest.mark.parametrize("statement", IMPLICIT)
def test_hole_06_what_commits_on_its_way(
    prepared: Blog, cache: YokedCache, statement: str
) -> None:
    _free_names(prepared)
    maker = prepared.attached(cache)
    assert [name(maker), name(maker)] == ["ann", "ann"]
    with prepared.engine.connect() as connection:
        connection.exec_driver_sql(RENAMING)
        assert name(maker) == "ann"
        connection.exec_driver_sql(statement)
        assert name(maker) == "new"
        connection.rollback()
        assert name(maker) == "new"
        connection.exec_driver_sql("UNLOCK TABLES")
        connection.exec_driver_sql("SET autocommit = 0")


def test_hole_06_a_temporary_table_commits_nothing_and_shadows(
    prepared: Blog, cache: YokedCache
) -> None:
    maker = prepared.attached(cache)
    assert [name(maker), posts(maker)] == ["ann", 6]
    with maker() as session:
        session.execute(text("CREATE TEMPORARY TABLE users (id int, name varchar(9))"))
        session.execute(text("INSERT INTO users VALUES (1, 'shadow')"))
        query = select(User.name).where(User.id == 1)
        assert session.scalar(query) == session.scalar(query) == "shadow"
        assert name(maker) == "ann"
        session.execute(text("DROP TEMPORARY TABLE users"))
        assert session.scalar(query) == "ann"
        session.commit()
    with prepared.counted() as sent:
        assert posts(maker) == 6
    assert sent == []


@pytest.mark.parametrize("engine", ["MyISAM", "Aria"])
@pytest.mark.parametrize("end", ["commit", "rollback", "error"])
def test_hole_06_tables_without_transactions_are_written_at_once(
    prepared: Blog, cache: YokedCache, engine: str, end: str
) -> None:
    _free_names(prepared, f"ALTER TABLE users ENGINE {engine}")
    maker = prepared.attached(cache)
    assert [name(maker), name(maker)] == ["ann", "ann"]
    with prepared.counted() as sent:
        assert name(maker) == "ann"
    assert sent == []
    with prepared.engine.connect() as connection:
        if end == "error":
            failing = (
                "INSERT INTO users (id, name, active) VALUES (1, 'new', 1), (2, '', 1)"
                " ON DUPLICATE KEY UPDATE name = VALUES(name),"
                " id = IF(VALUES(id) = 2, 3, 1)"
            )
            with pytest.raises(DBAPIError):
                connection.exec_driver_sql(failing)
        else:
            connection.exec_driver_sql(RENAMING)
        assert [name(maker), name(maker)] == ["new", "new"]
        if end == "commit":
            connection.commit()
        else:
            connection.rollback()
    assert name(maker) == "new"


def test_hole_06_a_trigger_may_write_a_table_without_transactions(
    prepared: Blog, cache: YokedCache
) -> None:
    _free_names(prepared, "ALTER TABLE users ENGINE MyISAM")
    maker = prepared.attached(cache)
    assert [name(maker), name(maker)] == ["ann", "ann"]
    with prepared.engine.connect() as connection:
        connection.exec_driver_sql("INSERT INTO fires VALUES (1)")
        assert name(maker) == "new"


def test_hole_06_the_rows_of_a_flush_are_written_at_once_each(
    prepared: Blog, cache: YokedCache
) -> None:
    class Base(DeclarativeBase):
        pass

    class Mark(Base):
        __tablename__ = "marks"
        __table_args__ = {"mariadb_engine": "MyISAM"}  # noqa: RUF012 - SQLAlchemy's way
        id: Mapped[str] = mapped_column(
            String(36), primary_key=True, server_default=text("uuid()")
        )
        word: Mapped[str] = mapped_column(String(9))

    Base.metadata.create_all(prepared.engine)
    maker = prepared.attached(cache)
    engine = prepared.engine.execution_options()
    asked = []

    @event.listens_for(engine, "after_cursor_execute")
    def ask(_c: Any, _k: Any, sql: str, *_: Any) -> None:
        for _ in range(2 if sql.startswith("INSERT") else 0):
            with maker() as reader:
                asked.append(reader.scalar(select(func.count()).select_from(Mark)))

    with Session(engine) as session:
        session.add_all([Mark(word=word) for word in ("a", "b", "c", "d")])
        session.flush()
        assert asked == [1, 1, 2, 2, 3, 3, 4, 4]


def test_hole_06_a_file_is_loaded(
    mariadb_database: MariaDBDatabase, cache: YokedCache, tmp_path: Path
) -> None:
    file = tmp_path / "users.csv"
    file.write_text("1\tnew\t1\n")
    options: dict[str, Any] = {"connect_args": {"local_infile": True}}
    with blog_at(mariadb_database.url("pymysql"), **options, **STATEMENT_LEVEL) as blog:
        with blog.engine.begin() as connection:
            connection.exec_driver_sql(
                "ALTER TABLE posts DROP FOREIGN KEY posts_ibfk_1"
            )
        maker = blog.attached(cache)
        assert [name(maker), posts(maker)] == ["ann", 6]
        with blog.engine.begin() as connection:
            connection.exec_driver_sql(
                f"LOAD DATA LOCAL INFILE '{file}' REPLACE INTO TABLE users"
                " (id, name, active)"
            )
            assert name(maker) == "ann"
        assert name(maker) == "new"
        with blog.counted() as sent:
            assert posts(maker) == 6
        assert sent == []


@pytest.mark.parametrize("truth", [True, False])
def test_hole_06_begun_by_hand_in_autocommit_mode(
    prepared: Blog,
    cache: YokedCache,
    monkeypatch: pytest.MonkeyPatch,
    truth: bool,
) -> None:
    if not truth:  # as with drivers that don't tell
        from yokedcache.sqlalchemy.transactions import holders

        monkeypatch.setattr(holders, "in_transaction", lambda _: None)
    _free_names(prepared)
    maker = prepared.attached(cache)
    assert [name(maker), name(maker)] == ["ann", "ann"]
    automatic = prepared.engine.execution_options(isolation_level="AUTOCOMMIT")
    with automatic.connect() as connection:
        for end, seen in (("ROLLBACK", "ann"), ("COMMIT", "new")):
            connection.exec_driver_sql("BEGIN")
            connection.exec_driver_sql(RENAMING)
            assert [name(maker), name(maker)] == ["ann", "ann"]
            connection.exec_driver_sql(end)
            assert [name(maker), name(maker)] == [seen, seen]
        connection.exec_driver_sql(BACK[""])
        assert [name(maker), name(maker)] == ["ann", "ann"]


def test_hole_09_begun_by_hand_is_a_snapshot_at_the_servers_level(
    mariadb_database: MariaDBDatabase, cache: YokedCache
) -> None:
    with blog_at(mariadb_database.url("pymysql"), isolation_level="AUTOCOMMIT") as blog:
        maker = blog.attached(cache)
        query = select(User.name).where(User.id == 1)
        with maker() as session:
            session.execute(text("START TRANSACTION"))
            assert session.scalar(select(func.count()).select_from(Post)) == 6
            with blog.engine.begin() as connection:
                connection.exec_driver_sql(RENAMING)
            assert session.scalar(query) == "ann"  # the server's REPEATABLE READ
            assert name(maker) == "new"
            assert session.scalar(query) == "ann"
            session.execute(text("COMMIT"))
            assert session.scalar(query) == "new"


def test_hole_09_the_servers_own_level_is_a_snapshot(
    mariadb_database: MariaDBDatabase, cache: YokedCache
) -> None:
    with blog_at(mariadb_database.url("pymysql")) as blog:
        maker = blog.attached(cache)
        assert [name(maker), name(maker)] == ["ann", "ann"]
        with maker() as session:
            assert session.scalar(select(func.count()).select_from(Post)) == 6
            with blog.engine.begin() as connection:
                connection.exec_driver_sql(RENAMING)
            query = select(User.name).where(User.id == 1)
            assert session.scalar(query) == "ann"
            assert name(maker) == "new"
            assert session.scalar(query) == "ann"
        assert cache.stats().total.hits > 0


@pytest.mark.parametrize("prepares", [True, False])
@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_hole_06_two_phases(
    prepared: Blog, cache: YokedCache, prepares: bool, ends: str
) -> None:
    _free_names(prepared)
    maker = prepared.attached(cache)
    assert [name(maker), name(maker)] == ["ann", "ann"]
    with prepared.engine.connect() as connection:
        transaction = connection.begin_twophase(f"x{prepares}{ends}")
        connection.exec_driver_sql(RENAMING)
        if prepares:
            transaction.prepare()
        assert [name(maker), name(maker)] == ["ann", "ann"]
        getattr(transaction, ends)()
        seen = "new" if ends == "commit" else "ann"
        assert [name(maker), name(maker)] == [seen, seen]
    with prepared.counted() as sent:
        assert name(maker) == seen
    assert sent == []


def test_hole_06_prepared_in_one_connection_and_committed_in_another(
    prepared: Blog, cache: YokedCache
) -> None:
    _free_names(prepared)
    maker = prepared.attached(cache)
    with prepared.engine.connect() as connection:
        transaction = connection.begin_twophase("handed over")
        connection.exec_driver_sql(RENAMING)
        transaction.prepare()
        connection.invalidate()
    assert [name(maker), name(maker)] == ["ann", "ann"]
    automatic = prepared.engine.execution_options(isolation_level="AUTOCOMMIT")
    with automatic.connect() as connection:
        connection.exec_driver_sql("XA COMMIT 'handed over'")
    assert name(maker) == "new"
