"""
Applications whose store is in the database of their data.

Another process is one that asks the store alone: what goes by SQLAlchemy it can't hear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from tests.services.processes import wait_until
from tests.support.models import Base, User
from yokedcache import YokedCache
from yokedcache.sqlalchemy.databases.database import database_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services import PostgresDatabase
    from tests.support.postgres_stores import Store

PREFIX = "inside"
SCHEMA = f"yokedcache_{PREFIX}"
SETTINGS: dict[str, Any] = {"prefix": PREFIX, "jitter": 0.0, "store_timeout": 10.0}
LATER = "UPDATE users SET name = 'later' WHERE id = 1"


class App:
    """
    An application with its cache, and another process that has an entry of a table.
    """

    def __init__(self, data: PostgresDatabase, store: Store, driver: str) -> None:
        self.store = store
        self.engine = create_engine(data.url(driver))
        Base.metadata.create_all(self.engine)
        self.cache = YokedCache(store.database.url(), lease=0.3, **SETTINGS)
        self.role = ""
        self.fences = 0
        self._count_fences()
        with Session(self.engine) as session:  # in whose catalogue all is found
            session.add(User(id=1, name="first"))
            session.commit()
        self.other = store.open(lease=0.3)
        found = database_of(self.engine.dialect)
        self.tags = (
            *found.tags_written([("users", "users")], unknown=False),
            found.server_tag,
        )
        wait_until(lambda: self.fill("x") is None)

    def fill(self, payload: str) -> str | None:
        return self.other.fill("k", payload.encode(), *self.tags)

    def read(self) -> bytes | str:
        return self.other.read("k", *self.tags)

    def known(self) -> bool:
        """
        Tell whether the application knows how its tables stand in the store.
        """
        table = self.cache.machine.store.tags
        return all(table.tag(name).shared for name in self.tags[:1])

    @property
    def inside(self) -> int:
        return self.cache.stats().announced_inside

    def _count_fences(self) -> None:
        store: Any = self.cache.machine.store
        fence = store.server.commands.fence

        def counted(*args: Any) -> Any:
            self.fences += 1
            return fence(*args)

        store.server.commands.fence = counted

    def change(self) -> None:
        with self.engine.begin() as connection:
            if self.role:
                connection.execute(text(f"SET ROLE {self.role}"))
            connection.execute(text(LATER))

    def close(self) -> None:
        if self.role:
            self.engine.dispose()
            self.store.say(f"DROP OWNED BY {self.role}")
            self.store.say(f"DROP ROLE {self.role}")
        self.cache.sync.close()
        self.engine.dispose()
        self.store.close()


def is_told_inside(app: App, change: Callable[[], Any]) -> None:
    assert app.fill("x") is None
    before = app.fences, app.inside
    change()
    assert (app.fences, app.inside) == (before[0], before[1] + 1)
    assert app.read() == "changed"


def is_told_as_ever(app: App, change: Callable[[], Any]) -> None:
    assert app.fill("x") is None
    before = app.fences, app.inside
    change()
    assert (app.fences, app.inside) == (before[0] + 1, before[1])
    assert app.read() == "changed"
