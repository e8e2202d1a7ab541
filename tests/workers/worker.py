"""
One worker of an application, as a process of its own.

It does what it is told on its standard input, one line of JSON at a time, and
answers each; what the library logs is part of the answer to `said`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import multiprocessing
import os
import sys
import threading
from typing import Any

from sqlalchemy import create_engine, func, select, text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from yokedcache import YokedCache, cached
from yokedcache.runtime import flights, log
from yokedcache.sqlalchemy.databases import several


class Base(DeclarativeBase):
    """
    The models.
    """


class User(Base):
    """
    A user.
    """

    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Lines(logging.Handler):
    """
    Keeps what is logged.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


class Worker:
    """
    Engines, sessions, a cached function, and the commands.
    """

    def __init__(self, url: str, settings: dict[str, Any]) -> None:
        self.cache = YokedCache(jitter=0, **settings)
        self.engine = create_engine(url)
        self.plain = sessionmaker(self.engine)
        self.sessions = self.cache.attach(sessionmaker(self.engine))
        self.lines = Lines()
        logging.getLogger("yokedcache").addHandler(self.lines)
        self.calls = 0
        names = cached(cache=self.cache, ttl=600)
        self.names = names(self._names)

    def _names(self) -> list[str]:
        self.calls += 1
        with self.plain() as session:
            return list(session.scalars(select(User.name).order_by(User.id)))

    def setup(self) -> None:
        Base.metadata.create_all(self.engine)
        with self.plain.begin() as session:
            session.add(User(id=1, name="old"))

    def commit(self, name: str) -> None:
        with self.plain.begin() as session:
            session.merge(User(id=1, name=name))

    def raw(self, name: str) -> None:
        connection = self.engine.raw_connection()
        connection.cursor().execute(f"UPDATE users SET name = '{name}'")
        connection.commit()
        connection.close()

    def read(self) -> dict[str, Any]:
        """
        Read through a session and through a function.
        """
        with self.sessions() as session:
            statement = list(session.scalars(select(User.name).order_by(User.id)))
        function = self.names()
        assert statement == function, (statement, function)
        return {"name": statement[0]}

    def warm(self) -> dict[str, Any]:
        """
        Read until answers come from the cache, if they ever do; tell whether.
        """
        for _ in range(3):
            self.read()
        before, calls = self.cache.stats().by_name["statements"].hits, self.calls
        answer = self.read()
        hits = self.cache.stats().by_name["statements"].hits - before
        return {**answer, "statement": hits == 1, "function": self.calls == calls}

    def commit_async(self, name: str) -> None:
        """
        Commit over an engine of an async driver.
        """

        async def deed() -> None:
            url = self.engine.url.set(
                drivername={"sqlite": "sqlite+aiosqlite"}.get(
                    self.engine.dialect.name, "postgresql+asyncpg"
                )
            )
            engine = create_async_engine(url)
            async with async_sessionmaker(engine).begin() as session:
                await session.merge(User(id=1, name=name))
            await engine.dispose()

        asyncio.run(deed())

    def said(self) -> list[str]:
        return self.lines.lines

    def stats(self) -> dict[str, Any]:
        stats = self.cache.stats()
        with self.sessions() as session:
            told = self.cache.explain(
                select(User.name).order_by(User.id), session=session
            )
        return {
            "several": dict(stats.several_processes),
            "bypasses": dict(stats.total.bypasses),
            "refusals": dict(stats.total.refusals),
            "explained": told.reason,
        }

    def ask(self) -> str:
        """
        Read through a session alone.
        """
        with self.sessions() as session:
            return session.scalars(select(User.name).order_by(User.id)).one()

    def audits(self) -> dict[str, Any]:
        stats = self.cache.stats()
        return {"audited": stats.audited, "wrong": sum(stats.wrong.values())}

    def hits(self) -> dict[str, int]:
        stats = self.cache.stats()
        told = stats.by_name.get("statements")
        return {
            "statements": 0 if told is None else told.hits,
            "loads": 0 if told is None else told.loads,
        }

    def count(self) -> int:
        with self.plain() as session:
            return session.scalar(select(func.count()).select_from(User)) or 0

    def sql(self, statement: str) -> None:
        with self.plain.begin() as session:
            session.execute(text(statement))

    def idle(self) -> dict[str, Any]:
        """
        Use the cache for what no database knows.
        """
        calls: list[int] = []

        @cached(cache=self.cache, ttl=60)
        def square(number: int) -> int:
            calls.append(number)
            return number * number

        assert [square(3), square(3)] == [9, 9]
        self.cache.sync.set("key", 7)
        return {"calls": len(calls), "key": self.cache.sync.get("key")}

    def wait_alone(self) -> None:
        """
        Wait until every other process is gone for good.
        """
        left = threading.Event()
        neighbours = several._presence._listener
        original = neighbours.left

        def note(name: str) -> None:
            original(name)
            left.set()

        neighbours.left = note  # type: ignore[method-assign]
        if self.cache.stats().several_processes:
            assert left.wait(30)

    def multiprocess(self, method: str) -> dict[str, Any]:
        """
        Have a child of `multiprocessing` read and commit.
        """
        context: Any = multiprocessing.get_context(method)
        ours, theirs = context.Pipe()
        url = self.engine.url.render_as_string(hide_password=False)
        child = context.Process(target=be_child, args=(url, theirs))
        child.start()
        answer: dict[str, Any] = ours.recv()
        child.join()
        return answer

    def fork(self, *, held: bool = False) -> dict[str, Any]:
        """
        Have a forked child do what a worker does, and tell what it saw.
        """
        release, taken = threading.Event(), threading.Event()

        def hold() -> None:
            with self.cache.machine.store._lock, flights._lock:
                taken.set()
                release.wait()

        thread = threading.Thread(target=hold)
        if held:
            thread.start()
            taken.wait()
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            self._be_child(writer)
        release.set()
        os.close(writer)
        with os.fdopen(reader) as pipe:
            answer: dict[str, Any] = json.loads(pipe.read())
        os.waitpid(child, 0)
        return answer

    def _be_child(self, writer: int) -> None:
        try:
            self.engine.dispose(close=False)
            self.lines.lines.clear()
            self.cache.machine.store.bump(["anything"])
            answer: dict[str, Any] = {"warm": self.warm()}
            self.commit("child")
            answer |= {"fresh": self.warm(), "stats": self.stats(), "said": self.said()}
            self.sql("UPDATE users SET name = 'text'")
        except BaseException as error:  # noqa: BLE001 - told to the parent
            answer = {"error": repr(error)}
        os.write(writer, json.dumps(answer).encode())
        os._exit(0)


def be_child(url: str, pipe: Any) -> None:
    """
    Do what a worker does, in a process that `multiprocessing` started.
    """
    worker = Worker(url, {})
    answer = {"warm": worker.warm(), "said": worker.said()}
    worker.commit("child")
    pipe.send(answer)


def main() -> None:
    """
    Be a worker.
    """
    serve(Worker(sys.argv[1], json.loads(sys.argv[2])))


def serve(worker: Any) -> None:
    """
    Have somebody do what the input says, until it ends.
    """
    log.raise_faults = True
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        keywords = (
            arguments.pop() if arguments and isinstance(arguments[-1], dict) else {}
        )
        try:
            answer = {"value": getattr(worker, name)(*arguments, **keywords)}
        except Exception as error:  # noqa: BLE001 - told to the test
            answer = {"error": repr(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
