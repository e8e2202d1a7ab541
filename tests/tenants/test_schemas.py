"""
Hole 4: one schema a tenant, by `schema_translate_map`.

It is in the SQL of statements, and so in their keys. It must be in the keys of
functions, however they come by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import Session, sessionmaker

from tests.tenants.places import Place, Secret, tenant
from tests.tenants.schemas import ORDER, QUERY, WAYS, expected, get, options, scalar
from yokedcache import cached

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.services.postgres import PostgresDatabase
    from tests.tenants.schemas import Way
    from yokedcache import YokedCache


@pytest.fixture
def place(postgres_database: PostgresDatabase) -> Iterator[Place]:
    url = postgres_database.url("psycopg")
    made = Place(url, create_engine(url))
    yield made
    for engine in made.engines:
        engine.dispose()


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]


@pytest.mark.parametrize("body", [scalar, get])
def test_hole_04_each_schema_has_answers_of_its_own(
    place: Place, way: Way, body: Callable[[Any], Any], cache: YokedCache
) -> None:
    ask = way(cached(cache=cache)(body), place.admin, cache)
    for name in ORDER:
        assert ask(name) == expected(name)
    by_name = cache.stats().by_name
    by_name.pop("statements", None)
    (counts,) = by_name.values()
    assert (counts.loads, counts.hits) == (3, 6)
    assert not counts.bypasses
    assert not counts.refusals


def test_hole_04_a_map_that_no_argument_has_is_not_kept(
    place: Place, way: Way, cache: YokedCache
) -> None:
    inside = way(cached(cache=cache)(scalar), place.admin, cache)

    @cached(cache=cache)
    def outer(_call: int) -> Any:
        return inside(tenant.get())

    for number, name in enumerate(("a", "b", "a", "b")):
        tenant.set(name)
        assert outer(1) == outer(2 + number) == expected(name)
    assert cache.stats().by_name[outer.handle.core.name].hits == 0
    assert cache.stats().total.refusals["schema_translate_map"] == 8


@pytest.mark.parametrize("where", ["engine", "begun", "statement", "attached"])
def test_hole_04_a_session_that_began_inside_is_not_kept(
    place: Place, where: str, cache: YokedCache
) -> None:
    sessions = sessionmaker(place.admin)
    if where == "attached":
        cache.attach(sessions)

    def ask(_call: int = 0) -> Any:
        told = options(tenant.get())
        if where == "engine":
            with Session(place.admin.execution_options(**told)) as session:
                return session.scalar(QUERY)
        with sessions() as session:
            if where == "begun":
                session.connection(execution_options=told)
                told = {}
            return session.scalar(QUERY, execution_options=told)

    careless = cached(cache=cache)(ask)
    careful = cached(cache=cache, vary=tenant.get)(ask)
    for name in ("a", "b", "a", "b"):
        tenant.set(name)
        assert careless() == careful() == expected(name)
    by_name = cache.stats().by_name
    assert by_name[careless.handle.core.name].refusals["schema_translate_map"] >= 4


@pytest.mark.parametrize("first", ["a", "b", None])
def test_hole_04_what_a_session_holds_of_another_schema_is_not_kept(
    place: Place, first: str | None, cache: YokedCache
) -> None:
    @cached(cache=cache)
    def names(session: Session) -> Any:
        found = session.get(Secret, 0)
        return found and found.content

    for second in ("b", "a", None):
        with Session(place.admin, expire_on_commit=False) as session:
            session.connection(execution_options=options(first))
            held = session.get(Secret, 0)
            assert held is not None
            session.commit()
            session.connection(execution_options=options(second))
            assert names(session) in {expected(first), expected(second)}
    for name in ORDER:
        with Session(place.admin) as session:
            session.connection(execution_options=options(name))
            assert names(session) == expected(name)


def test_hole_04_what_a_statement_read_of_another_schema_is_not_kept(
    place: Place, cache: YokedCache
) -> None:
    @cached(cache=cache)
    def names(session: Session) -> Any:
        found = session.get(Secret, 0)
        return found and found.content

    for name in ORDER:
        with Session(place.admin) as session:
            held = session.scalars(select(Secret), execution_options=options(name))
            assert held.all()
            assert names(session) in {expected(name), expected(None)}
        with Session(place.admin) as session:
            assert names(session) == expected(None)


def test_a_commit_reaches_the_functions_of_its_schema(
    place: Place, cache: YokedCache
) -> None:
    ask = WAYS["engine_of_session"](cached(cache=cache)(scalar), place.admin, cache)
    for name in ("a", "b"):
        assert ask(name) == ask(name) == expected(name)
        with place.admin.execution_options(**options(name)).begin() as connection:
            connection.execute(text(f"UPDATE {name}.secrets SET content = 'new'"))
        assert ask(name) == "new"


def test_a_custom_option_is_part_of_the_key(place: Place, cache: YokedCache) -> None:
    @cached(cache=cache)
    def told(session: Session) -> Any:
        return session.get_bind().get_execution_options().get("shop")

    def ask(**options: Any) -> Any:
        with Session(place.admin.execution_options(**options)) as session:
            return told(session)

    assert [ask(shop=shop) for shop in "abab"] == list("abab")
    assert ask(isolation_level="READ COMMITTED", logging_token="x") is None
    assert ask(isolation_level="READ COMMITTED", logging_token="y") is None
    counts = cache.stats().total
    assert (counts.loads, counts.hits) == (3, 3)
    thing = object()
    assert ask(shop=thing) is ask(shop=thing) is thing
    assert cache.stats().total.bypasses == {"unkeyable_options": 2}
