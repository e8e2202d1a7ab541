"""
Hole 9: transactions with a writer between every two statements, cached and not.

Each random program runs twice from the same rows, once with the cache and once
without; what its sessions saw, and which errors they met, must be the same.
"""

from __future__ import annotations

import os
import random
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import Session, sessionmaker

from tests.support.databases import AsyncBlog, Blog, blog_at, sqlite_file
from tests.support.models import Post, User, people
from yokedcache import cached

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from yokedcache import YokedCache

PROGRAMS = int(os.environ.get("YOKEDCACHE_PROGRAMS", "10"))
STEPS = 14
READS: list[Callable[[], Any]] = [
    lambda: select(User.name).order_by(User.id),
    lambda: select(User.name).where(User.id == 1),
    lambda: select(func.count()).select_from(Post),
    lambda: select(Post.title, User.name).join(User).order_by(Post.id),
]
LEVELS: dict[str, dict[str, Any]] = {
    "read committed": {"isolation_level": "READ COMMITTED"},
    "repeatable read": {"isolation_level": "REPEATABLE READ"},
    "serializable": {"isolation_level": "SERIALIZABLE"},
    "deferrable": {
        "isolation_level": "SERIALIZABLE",
        "postgresql_readonly": True,
        "postgresql_deferrable": True,
    },
}
Step = tuple[str, int]


def program(seed: int) -> list[Step]:
    """
    Make up a program: what the transaction does, a writer's commit between.
    """
    dice = random.Random(seed)
    kinds = ["read"] * 6 + ["call"] * 3 + ["get", "commit", "rollback", "change"]
    steps: list[Step] = []
    for _ in range(STEPS):
        steps.append((dice.choice(kinds), dice.randrange(12)))
        if dice.random() < 0.4:
            steps.append((dice.choice(["name", "title", "add"]), dice.randrange(12)))
        if dice.random() < 0.6:
            steps.append(("fill", dice.randrange(12)))
    return steps


class Run:
    """
    One of the two runs of a program.
    """

    def __init__(self, session: Session, plain: Any, ask: Any, begin: str) -> None:
        self.session = session
        self.plain = plain
        self.ask = ask
        self.begin = begin
        self.open = self.changed = False
        self.trace: list[Any] = []

    def go(self, steps: list[Step]) -> list[Any]:
        for number, (deed, what) in enumerate(steps):
            try:
                seen = getattr(self, deed)(what, number)
            except SQLAlchemyError as error:
                seen = type(error).__name__
                if deed not in {"name", "title", "add", "fill"}:
                    self.rollback()
            self.trace.append((deed, seen))
        self.session.close()
        return self.trace

    def _opened(self) -> Session:
        if self.begin and not self.open:
            self.session.execute(text(self.begin))
        self.open = True
        return self.session

    def read(self, what: int, _: int) -> Any:
        statement = READS[what % len(READS)]()
        return [tuple(row) for row in self._opened().execute(statement)]

    def call(self, what: int, _: int) -> Any:
        return self.ask(self._opened(), what % len(READS))

    def get(self, what: int, _: int) -> Any:
        user = self._opened().get(User, what % 3 + 1)
        return user and user.name

    def change(self, what: int, number: int) -> None:
        name = {"name": f"own {number}"}
        statement = update(User).where(User.id == what % 3 + 1).values(name)
        self.changed = True
        self._opened().execute(statement)

    def commit(self, *_: int) -> None:
        self.open = self.changed = False
        self.session.commit()

    def rollback(self, *_: int) -> None:
        self.open = self.changed = False
        self.session.rollback()

    def name(self, what: int, number: int) -> None:
        name = {"name": f"name {number}"}
        self._write(update(User).where(User.id == what % 3 + 1).values(name))

    def title(self, what: int, number: int) -> None:
        title = {"title": f"title {number}"}
        self._write(update(Post).where(Post.author_id == what % 3 + 1).values(title))

    def add(self, what: int, number: int) -> None:
        row = {"id": 1000 + number, "title": "added", "published": True}
        self._write(insert(Post).values({**row, "author_id": what % 3 + 1}))

    def fill(self, what: int, _: int) -> Any:
        with self.plain() as session:
            statement = READS[what % len(READS)]()
            return [tuple(row) for row in session.execute(statement)]

    def _write(self, statement: Any) -> None:
        if not self.changed:  # it would wait for the transaction
            with self.plain.begin() as session:
                session.execute(statement)


def function(cache: YokedCache) -> Callable[[Session, int], Any]:
    @cached(cache=cache, ttl=60)
    def ask(session: Session, what: int) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in session.execute(READS[what]())]

    return ask


def refill(maker: Any) -> None:
    """
    Put the rows back that every run begins with.
    """
    with maker.begin() as session:
        session.execute(delete(Post))
        session.execute(delete(User))
        session.add_all(people())


def differences(
    cache: YokedCache, engine: Any, plain_engine: Any, begin: str = ""
) -> list[tuple[int, Any, Any]]:
    """
    Run programs both ways; give those that differ.
    """
    ask = function(cache)
    attached, filling = sessionmaker(engine), sessionmaker(plain_engine)
    cache.attach(attached)
    cache.attach(filling)
    alone, writing = sessionmaker(engine), sessionmaker(plain_engine)
    differing = []
    for seed in range(PROGRAMS):
        steps = program(seed)
        refill(writing)
        plain = Run(alone(), writing, ask.uncached, begin).go(steps)  # type: ignore[attr-defined]
        refill(writing)
        mine = Run(attached(), filling, ask, begin).go(steps)
        pairs = zip(steps, plain, mine, strict=True)
        differing += [(seed, one, other) for _, one, other in pairs if one != other]
    return differing


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Blog]:
    database = request.getfixturevalue("postgres_database")
    with blog_at(database.url("psycopg")) as made:
        yield made


@pytest.mark.parametrize("level", LEVELS)
def test_hole_09_programs_at_every_level(
    server: Blog, cache: YokedCache, level: str
) -> None:
    engine = server.engine.execution_options(**LEVELS[level])
    assert not differences(cache, engine, server.engine)
    hits = cache.stats().total.hits
    assert hits > PROGRAMS // 3 or level == "serializable"


@pytest.mark.parametrize("begin", ["", "BEGIN", "BEGIN IMMEDIATE"])
def test_hole_09_programs_on_sqlite(
    tmp_path: Path, cache: YokedCache, begin: str
) -> None:
    url = f"sqlite:///{sqlite_file(tmp_path)}"
    with blog_at(url, connect_args={"timeout": 0}) as file:
        assert not differences(cache, file.engine, file.engine, begin)
    assert cache.stats().total.hits > PROGRAMS // 3


@pytest.mark.anyio
async def test_hole_09_programs_of_async_sessions(
    async_blog: AsyncBlog, cache: YokedCache
) -> None:
    """
    The same programs, by the sessions inside of async ones.
    """
    engine = async_blog.engine
    begin = "BEGIN"
    if engine.dialect.name == "postgresql":
        begin = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"
    async with async_sessionmaker(engine)() as outer:
        await outer.run_sync(
            partial(compared, cache, engine.sync_engine, begin),
        )
    assert cache.stats().total.hits > PROGRAMS // 3


def compared(cache: YokedCache, engine: Any, begin: str, _: Session) -> None:
    assert not differences(cache, engine, engine, begin)
