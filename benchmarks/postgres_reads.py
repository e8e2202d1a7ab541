"""
Section `postgres_reads`: what an operation of a store on PostgreSQL takes.

Held against the plain query of one row by its key, which a look-up takes the place of:
psycopg's, and the same through a SQLAlchemy session. Both wait for a server, so they are
measured by the wall. This is the store alone, in threads.
"""

from __future__ import annotations

import importlib
import sys
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

from environments import PROJECT
from measure import PASSED, Effort, Line, Run, compare, contest, repeat

if TYPE_CHECKING:
    from collections.abc import Iterator

TITLE = "A store on PostgreSQL, one entry with two tags, in threads"

INSIDE = "commit that announces itself"
FENCED = "commit with fence and lift"

LIFE = 3600.0
LIMIT = 20.0
PAYLOAD = b"x" * 300


def measure(effort: Effort) -> Iterator[Line]:
    """
    Ask in turns.
    """
    # the servers of the tests, found or started as there
    sys.path.append(str(PROJECT))
    services: Any = importlib.import_module("tests.services")
    with ExitStack() as stack:
        server = stack.enter_context(services.Postgres().running())
        database = server.create_database()
        ours, theirs = _ours(database, stack), _theirs(database, stack)
        times = contest({**ours, **theirs}, effort)
        # later: where there is a cache, sessions are tracked
        times |= contest(_commits(database, stack), effort)
    for what in ours:
        yield compare(times, what, what, "row by psycopg", None)
    yield compare(times, "look-up", "look-up", "row by a session", None)
    yield compare(times, INSIDE, INSIDE, FENCED, None)


def _ours(database: Any, stack: ExitStack) -> dict[str, Run]:
    answers: Any = importlib.import_module("yokedcache.stores.answers")
    client_: Any = importlib.import_module("yokedcache.stores.postgresql.client")
    commands_: Any = importlib.import_module("yokedcache.stores.postgresql.commands")
    commands = commands_.Commands("bench", lease=0.01)
    client = client_.PostgresClient(database.url(), commands, lambda: 0.0)
    stack.enter_context(closing(client))
    tags, times = commands.tags(["everything", "table:users"]), answers.Times(1, 2, 3)

    def do(operation: Any) -> Any:
        return client.perform(operation, LIMIT)

    stamp = do(commands.stamp(tags, keep=LIFE))
    while stamp.unusable:
        stamp = do(commands.stamp(tags, keep=LIFE))

    def store() -> Any:
        return do(commands.store("key", PAYLOAD, stamp, times, life=LIFE))

    def commit() -> None:
        do(commands.lift(do(commands.fence(["table:posts"], b"bench"))))

    assert store() is None
    reading = commands.read("key", tags)
    question = commands.question(reading, tags, do(reading))
    assert do(commands.again(question)) is answers.SAME
    return {
        "look-up": repeat(lambda: do(commands.read("key", tags)), PASSED),
        "look-up of what is known": repeat(
            lambda: do(commands.again(question)), PASSED
        ),
        "store": repeat(store, PASSED),
        "fence and lift": repeat(commit, PASSED),
    }


def _commits(database: Any, stack: ExitStack) -> dict[str, Run]:
    """
    Commit a change, of data that lies beside the store: with a fence, and without.
    """
    carrying: Any = importlib.import_module(
        "yokedcache.sqlalchemy.transactions.carrying"
    )
    package: Any = importlib.import_module("yokedcache")
    alchemy: Any = importlib.import_module("sqlalchemy")
    engine = alchemy.create_engine(database.url("psycopg"))
    stack.callback(engine.dispose)
    cache = package.YokedCache(database.url(), prefix="commits")
    stack.callback(cache.sync.close)
    change = alchemy.text("UPDATE users SET name = 'new' WHERE id = 7")
    ways = dict(carrying._WAYS)

    def inside() -> None:
        carrying._WAYS.update(ways)
        with engine.begin() as connection:
            connection.execute(change)

    def fenced() -> None:
        carrying._WAYS.clear()
        with engine.begin() as connection:
            connection.execute(change)

    fenced()  # by which it learns who the store is
    inside()
    assert cache.stats().announced_inside == 1
    return {INSIDE: repeat(inside, PASSED), FENCED: repeat(fenced, PASSED)}


def _theirs(database: Any, stack: ExitStack) -> dict[str, Run]:
    psycopg: Any = importlib.import_module("psycopg")
    alchemy: Any = importlib.import_module("sqlalchemy")
    orm: Any = importlib.import_module("sqlalchemy.orm")
    plain = stack.enter_context(psycopg.connect(database.url(), autocommit=True))
    plain.execute("CREATE TABLE users (id integer PRIMARY KEY, name text)")
    plain.execute("INSERT INTO users SELECT i, 'n' || i FROM generate_series(1, 9) i")
    engine = alchemy.create_engine(database.url("psycopg"))
    stack.callback(engine.dispose)
    users = alchemy.table("users", alchemy.column("id"), alchemy.column("name"))
    query = alchemy.select(users).where(users.c.id == 7)

    def row() -> Any:
        asked = "SELECT id, name FROM users WHERE id = %s"
        return plain.execute(asked, [7]).fetchall()

    def session() -> Any:
        with orm.Session(engine) as opened:
            return opened.execute(query).all()

    assert row() == [tuple(one) for one in session()] == [(7, "n7")]
    return {
        "row by psycopg": repeat(row, PASSED),
        "row by a session": repeat(session, PASSED),
    }
