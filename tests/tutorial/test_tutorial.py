"""
The ways to use the library that its tutorial shows, in words of our own.

A little library of books: cached functions, sessions that are answered from the
cache, repositories, and warming, all over one blocking `sessionmaker`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import ForeignKey, create_engine, event, func, select, text, update
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    object_session,
    relationship,
    sessionmaker,
)

from tests.support.databases import sqlite_file
from yokedcache import YokedCache, cached, cached_dependency

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("may_block")


class Base(DeclarativeBase):
    pass


class Shelf(Base):
    __tablename__ = "shelves"

    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str]
    open: Mapped[bool] = mapped_column(default=True)
    books: Mapped[list[Book]] = relationship(back_populates="shelf")


class Book(Base):
    __tablename__ = "books"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    shelf_id: Mapped[int] = mapped_column(ForeignKey("shelves.id"))
    shelf: Mapped[Shelf] = relationship(back_populates="books")


class Library:
    """
    The application: its sessions, its cached functions, its repository.
    """

    def __init__(self, url: str) -> None:
        self.engine = create_engine(url)
        self.sessions = sessionmaker(self.engine, autoflush=False)
        self.cache = YokedCache()
        self.sent: list[str] = []
        event.listen(self.engine, "after_cursor_execute", self._note)
        Base.metadata.create_all(self.engine)
        with self.sessions.begin() as session:
            for number in (1, 2):
                books = [Book(title=f"book {number}.{part}") for part in (1, 2)]
                session.add(Shelf(label=f"shelf {number}", books=books))
        self._declare()

    def _note(self, _c: Any, _k: Any, statement: str, *_: Any) -> None:
        self.sent.append(statement)

    def take(self) -> list[str]:
        sent, self.sent = self.sent, []
        return sent

    def get_session(self) -> Iterator[Session]:
        session = self.sessions()
        try:
            yield session
        finally:
            session.close()

    def _declare(self) -> None:
        @cached(cache=self.cache, ttl="10m", tags=["shelves"])
        async def shelf(number: int) -> dict[str, Any] | None:
            with next(self.get_session()) as session:
                found = session.get(Shelf, number)
                if found is None:
                    return None
                return {
                    "label": found.label,
                    "books": [book.title for book in found.books],
                }

        @cached(cache=self.cache, ttl=60)
        async def totals() -> dict[str, int]:
            with next(self.get_session()) as session:
                return {
                    "shelves": session.query(Shelf).count(),
                    "books": session.scalar(select(func.count()).select_from(Book))
                    or 0,
                }

        self.shelf = shelf
        self.totals = totals
        self.cached_session = cached_dependency(
            self.get_session, cache=self.cache, ttl=300, table_name="auto_detect"
        )


class Shelves:
    """
    A repository, whose answers belong to its session.
    """

    cache: YokedCache

    def __init__(self, session: Session) -> None:
        self.session = session

    @cached(ttl=300, tags=["shelves"])
    async def find(self, number: int) -> Shelf | None:
        return self.session.get(Shelf, number)

    @cached(ttl=300, tags=["shelves"])
    async def opened(self, limit: int = 50) -> list[Shelf]:
        query = select(Shelf).where(Shelf.open).order_by(Shelf.id).limit(limit)
        return list(self.session.scalars(query))

    async def create(self, **values: Any) -> Shelf:
        made = Shelf(**values)
        self.session.add(made)
        await self.session.commit()  # type: ignore[func-returns-value]
        await self.cache.invalidate_tags(["shelves"])
        return made


@pytest.fixture(params=["sqlite", "postgresql"])
def library(
    request: pytest.FixtureRequest, tmp_path: Path, no_default_cache: None
) -> Iterator[Library]:
    if request.param == "sqlite":
        url = f"sqlite:///{sqlite_file(tmp_path)}"
    else:
        url = request.getfixturevalue("postgres_database").url("psycopg")
    made = Library(url)
    Shelves.cache = made.cache
    yield made
    made.cache.sync.close()
    made.engine.dispose()


async def test_second_calls_need_no_sql(library: Library) -> None:
    library.take()
    first = [await library.shelf(1), await library.shelf(7), await library.totals()]
    assert library.take()
    assert [
        await library.shelf(1),
        await library.shelf(number=7),
        await library.totals(),
    ] == first
    assert library.take() == []
    assert first == [
        {"label": "shelf 1", "books": ["book 1.1", "book 1.2"]},
        None,
        {"shelves": 2, "books": 4},
    ]


def by_plain_session(library: Library, title: str) -> None:
    with library.sessions() as session:
        session.get_one(Book, 1).title = title
        session.commit()


def by_cached_session(library: Library, title: str) -> None:
    with next(library.cached_session()) as session:
        session.get_one(Book, 1).title = title
        session.commit()


def by_core(library: Library, title: str) -> None:
    with library.engine.begin() as connection:
        change = update(Book.__table__).where(Book.__table__.c.id == 1)
        connection.execute(change.values(title=title))


def by_text(library: Library, title: str) -> None:
    with library.engine.connect() as connection:
        change = text("UPDATE books SET title = :title WHERE id = 1")
        connection.execute(change, {"title": title})
        connection.commit()


WRITES = [by_plain_session, by_cached_session, by_core, by_text]


@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)
async def test_a_commit_through_anything_is_seen_by_the_next_call(
    library: Library, write: Callable[[Library, str], None]
) -> None:
    async def titles() -> list[str]:
        shelf = await library.shelf(1)
        assert shelf is not None
        with next(library.cached_session()) as session:
            direct = session.get_one(Book, 1).title
            found = await Shelves(session).find(1)
            assert found is not None
            related = next(book.title for book in found.books if book.id == 1)
        first = next(title for title in shelf["books"] if title != "book 1.2")
        return [first, direct, related]

    assert await titles() == await titles() == ["book 1.1"] * 3
    for title in ("second edition", "third edition"):
        write(library, title)
        assert await titles() == [title] * 3
    library.take()
    assert await titles() == ["third edition"] * 3
    assert library.take() == []


async def test_a_repository_gives_objects_of_its_session(library: Library) -> None:
    for attempt in range(3):
        with next(library.cached_session()) as session:
            shelves = Shelves(session)
            library.take()
            found, opened = await shelves.find(1), await shelves.opened()
            if attempt:
                assert library.take() == []
            assert found is opened[0]
            assert {object_session(shelf) for shelf in opened} == {session}
            assert [book.title for book in opened[0].books] == ["book 1.1", "book 1.2"]
            assert opened[0].books[0].shelf is found


async def test_a_repository_changes_what_it_was_served(library: Library) -> None:
    for label in ("first", "second"):
        with next(library.cached_session()) as session:
            found = await Shelves(session).find(1)
            assert found is not None
            found.label = label
            session.commit()
        with next(library.cached_session()) as session:
            again = await Shelves(session).find(1)
            assert again is not None
            assert again.label == label


async def test_an_awaited_commit_of_a_blocking_session(library: Library) -> None:
    with next(library.cached_session()) as session:
        shelves = Shelves(session)
        assert len(await shelves.opened()) == 2
        made = await shelves.create(label="new")
        assert made in session
        assert await shelves.find(made.id) is made
        assert len(await shelves.opened()) == 3
        assert not session.commit()  # type: ignore[func-returns-value]
    assert await library.totals() == {"shelves": 3, "books": 4}


async def test_warming_leaves_nothing_cold(library: Library) -> None:
    await asyncio.gather(*(library.shelf(number) for number in range(1, 51)))
    await library.totals()
    library.take()
    for number in range(1, 51):
        await library.shelf(number)
    await library.totals()
    assert library.take() == []
    assert await library.shelf.warm([(number,) for number in range(1, 61)]) == 10
    assert len(library.take()) == 10


async def test_500_callers_of_a_cold_key_need_one_query(library: Library) -> None:
    library.take()
    found = await asyncio.gather(*(library.totals() for _ in range(500)))
    assert found == [{"shelves": 2, "books": 4}] * 500
    assert len(library.take()) == 2
