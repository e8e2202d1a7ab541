"""
What bodies of triggers are seen to write, and which are called unreadable.
"""

from __future__ import annotations

import pytest

from yokedcache.sqlalchemy.databases.bodies import effects_of_body, effects_of_statement

READABLE = {
    "BEGIN RETURN NEW; END": "",
    "BEGIN NEW.updated_at := now(); NEW.slug = lower(NEW.slug); RETURN NEW; END": "",
    "BEGIN UPDATE users SET n = n + 1 WHERE id = NEW.author_id; END": "update:users",
    'BEGIN UPDATE ONLY public."Users" SET n = 1; END': "update:users",
    "BEGIN INSERT INTO log (a, b) VALUES (1, now()); END": "insert:log update:log",
    "BEGIN INSERT INTO log VALUES (1) ON CONFLICT (id) DO UPDATE SET a = 1; END": (
        "insert:log update:log"
    ),
    "BEGIN INSERT INTO log SELECT * FROM users FOR NO KEY UPDATE; END": (
        "insert:log update:log"
    ),
    "BEGIN DELETE FROM log USING users u WHERE log.id = u.id; END": "delete:log",
    "DECLARE n int; BEGIN SELECT count(*) INTO n FROM users; RETURN NEW; END": "",
    "BEGIN IF TG_OP = 'DELETE' THEN PERFORM pg_notify('c', 'UPDATE x'); END IF; END": "",
    "BEGIN WITH gone AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM gone; END": (
        "delete:a insert:b update:b"
    ),
    "BEGIN MERGE INTO t USING u ON (t.id = u.id) WHEN MATCHED THEN UPDATE SET a = 1"
    " WHEN NOT MATCHED THEN INSERT (a) VALUES (1); END": ("insert:t update:t delete:t"),
    "BEGIN -- EXECUTE 'x'\n /* DROP TABLE x */ RAISE NOTICE 'EXECUTE %', NEW.id; END": "",
    "BEGIN RAISE NOTICE $$DROP TABLE x$$; RETURN NULL; END": "",
    "BEGIN NEW.update := 1; RETURN NEW; END": "",
    "BEGIN NEW.price := round(NEW.price::numeric(10, 2), 2); RETURN NEW; END": "",
}

UNREADABLE = [
    "BEGIN EXECUTE 'UPDATE users SET n = 1'; END",
    "BEGIN EXECUTE format('DELETE FROM %I', TG_TABLE_NAME); END",
    "BEGIN PERFORM recount(NEW.id); END",
    "BEGIN PERFORM app.lower(NEW.id); END",
    "BEGIN CALL recount(); END",
    "BEGIN CREATE TEMP TABLE x (a int); END",
    "BEGIN TRUNCATE log; END",
    "BEGIN SET search_path = app; END",
    "BEGIN IF true THEN SET LOCAL role app; END IF; END",
    "BEGIN PERFORM set_config('app.tenant', '1', false); END",
    "BEGIN PERFORM dblink_exec('x', 'y'); END",
    "BEGIN DO $x$ BEGIN DELETE FROM a; END $x$; END",
    "BEGIN REFRESH MATERIALIZED VIEW totals; END",
    "BEGIN UPDATE 5; END",
    "BEGIN INSERT VALUES (1); END",
    "BEGIN PERFORM lo_unlink(1); END",
]


@pytest.mark.parametrize("body", READABLE)
def test_bodies_that_can_be_read(body: str) -> None:
    wanted = {tuple(pair.split(":")) for pair in READABLE[body].split()}
    assert effects_of_body(body, "postgresql") == wanted


@pytest.mark.parametrize("body", UNREADABLE)
def test_bodies_that_may_write_anything(body: str) -> None:
    assert effects_of_body(body, "postgresql") is None


def test_a_function_that_is_not_what_its_name_says() -> None:
    body = "BEGIN NEW.a := lower(NEW.a); END"
    assert effects_of_body(body, "postgresql", {"lower"}) is None
    assert effects_of_body(body, "postgresql", {"upper"}) == frozenset()


OF_SQLITE = {
    "UPDATE OF a ON x WHEN new.a > 1 BEGIN UPDATE OR REPLACE [users] SET n = 1; END": (
        "insert:users update:users delete:users"
    ),
    "DELETE ON x BEGIN INSERT OR IGNORE INTO `log` VALUES (replace(old.a, 'x', 'y'));"
    " SELECT raise(abort, 'no'); END": "insert:log update:log delete:log",
    "INSERT ON x BEGIN REPLACE INTO log VALUES (1); DELETE FROM users; END": (
        "insert:log update:log delete:log delete:users"
    ),
}


@pytest.mark.parametrize("trigger", OF_SQLITE)
def test_triggers_of_sqlite(trigger: str) -> None:
    wanted = {tuple(pair.split(":")) for pair in OF_SQLITE[trigger].split()}
    assert effects_of_statement(f"CREATE TRIGGER t {trigger}", "sqlite") == wanted


def test_a_trigger_without_a_body_is_not_understood() -> None:
    assert effects_of_statement("CREATE TRIGGER t INSERT ON x", "sqlite") is None
