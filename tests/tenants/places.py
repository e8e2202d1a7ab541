"""
Databases in which two tenants keep a secret each, and ways to become one of them.

What an engine answers depends on its connection: on PostgreSQL on the search path,
on SQLite on what the connection takes the function `upper` for. Both are set over
the driver's connection, where no statement event sees it.
"""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    AsyncAdaptedQueuePool,
    Column,
    Integer,
    MetaData,
    QueuePool,
    String,
    Table,
    create_engine,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Engine

TENANTS = ("a", "b")
tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="a")


class Base(DeclarativeBase):
    """
    The tables that each tenant has.
    """


class Secret(Base):
    """
    What only its tenant may see.
    """

    __tablename__ = "secrets"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(String(10))
    content: Mapped[str] = mapped_column(String(50))


class Place:
    """
    A database of two tenants: how to reach it, how to become one, what to ask.
    """

    def __init__(self, url: str, admin: Engine) -> None:
        self.url = url
        self.sqlite = admin.dialect.name == "sqlite"
        self.admin = admin
        self.engines = [admin]
        Base.metadata.create_all(admin)
        rows = [{"id": n, "owner": t, "content": t} for n, t in enumerate(TENANTS)]
        with admin.begin() as connection:
            connection.execute(Secret.__table__.insert(), rows)
            if not self.sqlite:
                for name in TENANTS:
                    self._schema(connection, name)
        self.touch = update(Secret).values(owner=Secret.owner)
        self.write = insert(Secret).values(id=9, owner="c", content="c")
        self.query = (
            select(func.upper(Secret.content)).where(Secret.id == 0)
            if self.sqlite
            else select(Secret.content).where(Secret.id == 0)
        )

    @staticmethod
    def _schema(connection: Any, name: str) -> None:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
        table = Table(
            "secrets",
            MetaData(),
            Column("id", Integer, primary_key=True),
            Column("owner", String(10)),
            Column("content", String(50)),
            schema=name,
        )
        table.create(connection)
        row = {"id": 0, "owner": name, "content": f"secret of {name}"}
        connection.execute(table.insert(), row)

    def engine(self, **options: Any) -> Engine:
        """
        Make an engine, which goes with the place.
        """
        self.engines.append(create_engine(self.url, **options))
        return self.engines[-1]

    def become(self, dbapi_connection: Any, name: str) -> None:
        """
        Make a driver's connection answer a tenant, unseen by any event.
        """
        if not self.sqlite:
            cursor = dbapi_connection.cursor()
            cursor.execute(f"SET search_path = {name}")
            cursor.close()
            return
        said: Callable[[Any], str] = lambda _: f"secret of {name}"  # noqa: E731
        if hasattr(dbapi_connection, "run_async"):
            dbapi_connection.run_async(lambda c: c.create_function("upper", 1, said))
        else:
            dbapi_connection.create_function("upper", 1, said)


class AsyncPlace(Place):
    """
    The same, reached over async drivers: the engines are what async ones stand on.
    """

    def engine(self, **options: Any) -> Engine:
        """
        Make an engine to be used within `greenlet_spawn`; whoever does disposes of it.
        """
        if options.get("poolclass") is QueuePool:
            options["poolclass"] = AsyncAdaptedQueuePool
        made: Engine = async_engine(self, **options).sync_engine
        self.engines.append(made)
        return made


def secret_of(name: str) -> str:
    """
    Give what a tenant must be answered.
    """
    return f"secret of {name}"


def async_url(url: str) -> str:
    """
    Turn a URL into that of an async driver.
    """
    return url.replace("sqlite:", "sqlite+aiosqlite:").replace("psycopg", "asyncpg")


def async_engine(place: Place, **options: Any) -> Any:
    """
    Make an async engine on a place.
    """
    return create_async_engine(async_url(place.url), **options)
