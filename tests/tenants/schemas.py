"""
The ways in which a cached function is handed what reads another schema.

Each takes a function of what it is handed and the engine of all, and gives what
calls it for a tenant, or for nobody: then the tables are those that all share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session, object_session, scoped_session, sessionmaker

from tests.tenants.places import Secret, secret_of
from yokedcache import cached

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from yokedcache import YokedCache

    Call = Callable[[str | None], Any]
    Handed = Callable[[Any], Any]
    Way = Callable[[Handed, Engine, YokedCache], Call]

QUERY = select(Secret.content).where(Secret.id == 0)
ORDER = (None, "a", "b", None, "a", "b", "b", None, "a")


def expected(name: str | None) -> str:
    """
    Give what is right for a tenant.
    """
    return "a" if name is None else secret_of(name)


def options(name: str | None) -> dict[str, Any]:
    """
    Give the execution options of a tenant.
    """
    return {} if name is None else {"schema_translate_map": {None: name}}


def scalar(handed: Any) -> Any:
    """
    Read through a session, an engine, or whatever has a session.
    """
    if isinstance(handed, (Session, scoped_session)):
        return handed.scalar(QUERY)
    if isinstance(handed, sessionmaker):
        with handed() as session:
            return session.scalar(QUERY)
    if hasattr(handed, "connect"):
        with handed.connect() as connection:
            return connection.scalar(QUERY)
    if isinstance(handed, Parcel):
        session = object_session(handed.secret)
        return session and session.scalar(QUERY)
    return handed.scalar(QUERY)


def get(handed: Any) -> Any:
    """
    Get one object.
    """
    if not isinstance(handed, (Session, scoped_session)):
        return scalar(handed)
    found = handed.get(Secret, 0)
    return found and found.content


def engine(call: Handed, of_all: Engine, _cache: YokedCache) -> Call:
    return lambda name: call(of_all.execution_options(**options(name)))


def connection(call: Handed, of_all: Engine, _cache: YokedCache) -> Call:
    def ask(name: str | None) -> Any:
        with of_all.connect().execution_options(**options(name)) as held:
            return call(held)

    return ask


def maker(call: Handed, of_all: Engine, _cache: YokedCache) -> Call:
    return lambda name: call(sessionmaker(of_all.execution_options(**options(name))))


def engine_of_session(call: Handed, of_all: Engine, _cache: YokedCache) -> Call:
    def ask(name: str | None) -> Any:
        with Session(of_all.execution_options(**options(name))) as session:
            return call(session)

    return ask


def begun(call: Handed, of_all: Engine, _cache: YokedCache) -> Call:
    def ask(name: str | None) -> Any:
        with Session(of_all) as session:
            session.connection(execution_options=options(name))
            return call(session)

    return ask


def attached(call: Handed, of_all: Engine, cache: YokedCache) -> Call:
    sessions = cache.attach(sessionmaker(of_all))

    def ask(name: str | None) -> Any:
        with sessions() as session:
            session.connection(execution_options=options(name))
            return call(session)

    return ask


def bound(call: Handed, of_all: Engine, _cache: YokedCache) -> Call:
    def ask(name: str | None) -> Any:
        held = of_all.connect().execution_options(**options(name))
        with held, Session(held) as session:
            return call(session)

    return ask


def by_class(call: Handed, of_all: Engine, _cache: YokedCache) -> Call:
    def ask(name: str | None) -> Any:
        theirs = of_all.execution_options(**options(name))
        with Session(of_all, binds={Secret: theirs}) as session:
            return call(session)

    return ask


def routed(call: Handed, of_all: Engine, _cache: YokedCache) -> Call:
    class Routed(Session):
        def get_bind(self, *_: Any, **__: Any) -> Engine:
            return of_all.execution_options(**options(self.info["tenant"]))

    def ask(name: str | None) -> Any:
        with Routed(info={"tenant": name}) as session:
            return call(session)

    return ask


def scoped(call: Handed, of_all: Engine, _cache: YokedCache) -> Call:
    def ask(name: str | None) -> Any:
        registry = scoped_session(
            sessionmaker(of_all.execution_options(**options(name)))
        )
        try:
            return call(registry)
        finally:
            registry.remove()

    return ask


def mapped(call: Handed, of_all: Engine, _cache: YokedCache) -> Call:
    def ask(name: str | None) -> Any:
        with Session(of_all.execution_options(**options(name))) as session:
            return call(Parcel(session.get(Secret, 0)))

    return ask


def own(call: Handed, of_all: Engine, _cache: YokedCache) -> Call:
    def ask(name: str | None) -> Any:
        with Session(of_all, execution_options=options(name)) as session:
            return call(session)

    return ask


class Parcel:
    """
    What has an object in it that has a session.
    """

    def __init__(self, secret: Secret | None) -> None:
        self.secret = secret

    def __cache_key__(self) -> int:
        return 0


class Shelf:
    """
    A repository, whose session no argument shows.
    """

    def __init__(self, session: Session) -> None:
        self.session = session


def of_self(call: Handed, of_all: Engine, cache: YokedCache) -> Call:
    class Own(Shelf):
        @cached(cache=cache)
        def read(self) -> Any:
            return getattr(call, "__wrapped__", call)(self.session)

    def ask(name: str | None) -> Any:
        with Session(of_all.execution_options(**options(name))) as session:
            return Own(session).read()

    return ask


WAYS: dict[str, Way] = {
    way.__name__: way
    for way in (
        *(engine, connection, maker, engine_of_session, begun, attached, bound),
        *(by_class, routed, scoped, mapped, of_self),
    )
}
if hasattr(Session, "execution_options"):  # from SQLAlchemy 2.1 on
    WAYS["own"] = own
