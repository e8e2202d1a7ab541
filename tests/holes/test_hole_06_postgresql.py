"""
Holes 6 and 8 on PostgreSQL: every route by which a row changes, however it is committed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from tests.support.databases import blog_at
from tests.support.looking import RENAMING_TEXT, name
from yokedcache import cached

if TYPE_CHECKING:
    from tests.services.postgres import PostgresDatabase
    from yokedcache import YokedCache


PREPARE = f"""
    CREATE FUNCTION chg() RETURNS int LANGUAGE sql AS $${RENAMING_TEXT} RETURNING 1$$;
    CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql
        AS $$BEGIN {RENAMING_TEXT}; RETURN NEW; END$$;
    CREATE PROCEDURE prc() LANGUAGE sql AS $${RENAMING_TEXT}$$;
    CREATE VIEW people AS SELECT * FROM users;
    CREATE TABLE ruled (x int);
    INSERT INTO ruled VALUES (0);
    CREATE RULE r AS ON UPDATE TO ruled DO INSTEAD {RENAMING_TEXT};
    CREATE TABLE deferring (x int);
    CREATE CONSTRAINT TRIGGER t AFTER INSERT ON deferring
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late();
    CREATE TABLE defaulting (x int DEFAULT chg());
"""
ROUTES = {
    "cte": f"WITH u AS ({RENAMING_TEXT} RETURNING id) SELECT * FROM u",
    "do": f"DO $$BEGIN {RENAMING_TEXT}; END$$",
    "function": "SELECT chg()",
    "lateral": "SELECT x.* FROM posts, LATERAL chg() x",
    "procedure": "CALL prc()",
    "prepared": f"PREPARE x AS {RENAMING_TEXT}; EXECUTE x",
    "several": f"SELECT 1; {RENAMING_TEXT}",
    "view": "UPDATE people SET name = 'new' WHERE id = 1",
    "rule": "UPDATE ruled SET x = 1",
    "explained": f"EXPLAIN ANALYZE {RENAMING_TEXT}",
    "deferred": "INSERT INTO deferring VALUES (1)",
    "default": "INSERT INTO defaulting DEFAULT VALUES",
    "renamed": (
        "CREATE TABLE other AS SELECT id, 'new'::text AS name, active FROM users;"
        "ALTER TABLE users RENAME TO old; ALTER TABLE other RENAME TO users"
    ),
}


@pytest.mark.parametrize("route", ROUTES)
def test_hole_06_every_route_is_seen(
    postgres_database: PostgresDatabase, cache: YokedCache, route: str
) -> None:
    with blog_at(postgres_database.url("psycopg")) as blog:
        with blog.engine.begin() as connection:
            connection.exec_driver_sql(PREPARE)
        maker = blog.attached(cache)

        @cached(cache=cache)
        def called() -> str:
            return name(blog.sessions)

        for end in ("commit", "text", "AUTOCOMMIT"):
            assert [name(maker), called(), name(maker), called()] == ["ann"] * 4
            with Session(blog.engine) as session:
                if end == "AUTOCOMMIT":
                    session.connection(execution_options={"isolation_level": end})
                session.execute(text(ROUTES[route]))
                if end == "text":
                    session.execute(text("COMMIT"))
                elif end == "commit":
                    session.commit()
                assert name(maker) == called() == "new"
            if route in {"renamed", "prepared"}:
                break  # can be done once
            with blog.sessions.begin() as session:
                session.execute(text("UPDATE users SET name = 'ann' WHERE id = 1"))
