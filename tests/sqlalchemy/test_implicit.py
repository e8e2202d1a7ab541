"""
What statements may run without a call, by what a catalogue says of functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from yokedcache.sqlalchemy.databases.catalogue import Catalogue, read_catalogue
from yokedcache.sqlalchemy.databases.implicit import Implicit

if TYPE_CHECKING:
    from tests.services.postgres import PostgresDatabase

HARMLESS = """
CREATE EXTENSION citext;
CREATE EXTENSION hstore;
CREATE TYPE pair AS (a int, b int);
CREATE FUNCTION first(pair) RETURNS int IMMUTABLE LANGUAGE sql AS $$ SELECT $1.a $$;
CREATE FUNCTION same(pair, pair) RETURNS bool IMMUTABLE LANGUAGE sql
    AS $$ SELECT $1.a = $2.a $$;
CREATE OPERATOR === (LEFTARG = pair, RIGHTARG = pair, FUNCTION = same);
CREATE OPERATOR ==> (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq);
CREATE CAST (pair AS int) WITH FUNCTION first(pair) AS ASSIGNMENT;
CREATE FUNCTION positive(int) RETURNS bool IMMUTABLE LANGUAGE sql
    AS $$ SELECT $1 > 0 $$;
CREATE DOMAIN size AS int DEFAULT 1 CHECK (positive(VALUE)) CHECK (VALUE > 1);
CREATE FUNCTION stable_one(int) RETURNS int STABLE LANGUAGE sql AS $$ SELECT 1 $$;
CREATE TABLE things (id int, n size, p pair, c citext, h hstore);
"""
AWKWARD = {
    "an operator of words": """
        CREATE FUNCTION f(pair, pair) RETURNS bool STABLE LANGUAGE sql
            AS $$ SELECT true $$;
        CREATE OPERATOR <> (LEFTARG = pair, RIGHTARG = pair, FUNCTION = f)
    """,
    "a cast between types of the server's": """
        CREATE FUNCTION f(text) RETURNS point STABLE LANGUAGE sql
            AS $$ SELECT point(1, 1) $$;
        CREATE CAST (text AS point) WITH FUNCTION f(text) AS IMPLICIT
    """,
}


def _catalogue(database: PostgresDatabase, script: str) -> Catalogue:
    engine = sa.create_engine(database.url("psycopg"))
    with engine.begin() as connection:
        connection.exec_driver_sql(script)
        raw = connection.connection.dbapi_connection
        catalogue = read_catalogue(raw, "postgresql")
    engine.dispose()
    return catalogue


def test_what_is_harmless_costs_nothing(postgres_database: PostgresDatabase) -> None:
    catalogue = _catalogue(postgres_database, HARMLESS)
    assert catalogue.implicit is None
    assert "things" not in catalogue.triggers


def test_a_row_that_becomes_an_argument(postgres_database: PostgresDatabase) -> None:
    script = """
        CREATE TYPE trio AS (a int);
        CREATE FUNCTION of(trio) RETURNS int IMMUTABLE LANGUAGE sql AS $$ SELECT $1.a $$;
        CREATE CAST (trio AS int) WITH FUNCTION of(trio) AS IMPLICIT;
    """
    implicit = _catalogue(postgres_database, HARMLESS + script).implicit
    assert implicit is not None
    assert implicit.run_by("SELECT t.stable_one FROM t") == ("stable_one", False)
    assert implicit.run_by("SELECT t.a FROM t") == (None, False)


@pytest.mark.parametrize("script", AWKWARD.values(), ids=AWKWARD)
def test_what_any_statement_may_run(
    postgres_database: PostgresDatabase, script: str
) -> None:
    implicit = _catalogue(postgres_database, HARMLESS + script).implicit
    assert implicit is not None
    assert implicit.run_by("SELECT 1") == ("f", False)


@pytest.mark.parametrize(
    ("sql", "run"),
    [
        ("SELECT a FROM b", (None, False)),
        ("SELECT a @@> 1", ("searches", False)),
        ("SELECT a @@>%(b)s", ("searches", False)),
        ("SELECT a %%% 1", ("shares", True)),
        ("SELECT a %%%% 1", ("shares", True)),
        ("SELECT u.Nick FROM u", ("nick", False)),
        ('SELECT "nick", a @@> 1, a %% b', ("nick", True)),
        ("SELECT u.nickname, nick_ FROM u", (None, False)),
        ('SELECT u.U&"n\\0069ck" FROM u', ("checks", True)),
        ("SELECT * FROM boxes", (None, False)),
        ("SELECT NULL::boxes", ("checks", True)),
        ('SELECT CAST(a AS public . "boxes")', ("checks", True)),
    ],
)
def test_where_it_is_found(sql: str, run: tuple[str | None, bool]) -> None:
    implicit = Implicit(
        symbols={"@@>": {("searches", False)}, "%%": {("shares", True)}},
        words={"nick": {("nick", False)}},
        rows={"boxes": {("checks", True)}},
    )
    assert implicit
    assert implicit.run_by(sql) == run
    assert implicit.run_by(sql) == run


def test_no_more_statements_are_remembered_than_some() -> None:
    implicit = Implicit(anywhere={("f", True)})
    for number in range(5000):
        assert implicit.run_by(f"SELECT {number}") == ("f", True)
    assert len(implicit._known) <= 2000


@pytest.mark.parametrize(
    ("sql", "runs"),
    [
        ("SELECT users.email FROM users", False),
        ("SELECT email FROM users WHERE email = 'a'", False),
        ("SELECT x::email", True),
        ("SELECT CAST(x AS public.email)", True),
        ("SELECT email 'a'", True),
        ("SELECT email('a')", True),
        ("SELECT '{}'::email[]", True),
    ],
)
def test_a_domain_is_run_by_what_makes_its_values(sql: str, runs: bool) -> None:
    implicit = Implicit()
    implicit.rows["email"] = {("is_email", True)}
    assert implicit.run_by(sql) == (("is_email", True) if runs else (None, False))
