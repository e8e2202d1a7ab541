"""
FastAPI over sessions of `cached_dependency`: served from the cache, never stale.

Annotations are not postponed here: FastAPI could not look up those of functions
inside functions.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Header
from httpx import ASGITransport, AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from tests.support.databases import AsyncBlog, Blog
from tests.support.models import User
from yokedcache import YokedCache, cached, cached_dependency

pytestmark = pytest.mark.usefixtures("may_block")


def client_of(app: FastAPI) -> AsyncClient:
    return AsyncClient(transport=ASGITransport(app), base_url="http://app")


def listed(users: list[User]) -> list[str]:
    return [user.name for user in sorted(users, key=lambda user: user.id)]


def blocking_app(blog: Blog, cache: YokedCache) -> FastAPI:
    app = FastAPI()

    def get_session() -> Iterator[Session]:
        with blog.sessions() as session:
            yield session

    cached_get_session = cached_dependency(get_session, cache=cache, ttl=60)
    Db = Annotated[Session, Depends(cached_get_session)]  # noqa: N806 - a type

    @cached(cache=cache, ttl=60)
    def find(session: Session, number: int) -> User | None:
        return session.get(User, number)

    @app.get("/users")
    def users(session: Db) -> list[str]:
        return listed(list(session.scalars(select(User))))

    @app.get("/users-async")
    async def users_async(session: Db) -> list[str]:
        return listed(session.query(User).all())

    @app.get("/users/{number}")
    def user(number: int, session: Db) -> dict[str, Any]:
        found = find(session, number)
        assert found is not None
        return {"name": found.name, "posts": len(found.posts)}

    @app.post("/users")
    def create(name: str, session: Db) -> None:
        session.add(User(id=len(session.scalars(select(User)).all()) + 1, name=name))
        session.commit()

    @app.post("/users/{number}")
    async def rename(number: int, name: str, session: Db) -> Any:
        session.get_one(User, number).name = name
        await session.commit()  # type: ignore[func-returns-value]

    @app.post("/commit")
    def commit(name: str, session: Db) -> Any:
        session.get_one(User, 1).name = name
        return session.commit()

    @app.post("/commit-typed")
    def commit_typed(name: str, session: Db) -> None:
        session.get_one(User, 1).name = name
        return session.commit()

    return app


async def test_blocking_sessions(blog: Blog, cache: YokedCache) -> None:
    async with client_of(blocking_app(blog, cache)) as client:

        async def seen() -> list[Any]:
            paths = ("/users", "/users-async", "/users/1")
            return [(await client.get(path)).json() for path in paths]

        ann = {"name": "ann", "posts": 2}
        assert await seen() == [["ann", "bob", "eve"], ["ann", "bob", "eve"], ann]
        with blog.counted() as sent:
            assert await seen() == [["ann", "bob", "eve"], ["ann", "bob", "eve"], ann]
        assert sent == []

        answer = await client.post("/users", params={"name": "dan"})
        assert answer.status_code == 200
        names = ["ann", "bob", "eve", "dan"]
        assert await seen() == [names, names, ann]

        await client.post("/users/1", params={"name": "anna"})
        names[0] = "anna"
        assert await seen() == [names, names, {"name": "anna", "posts": 2}]

        for path in ("/commit", "/commit-typed"):
            answer = await client.post(path, params={"name": "annie"})
            assert (answer.status_code, answer.json()) == (200, None)
        names[0] = "annie"
        assert await seen() == [names, names, {"name": "annie", "posts": 2}]
        with blog.counted() as sent:
            await seen()
        assert sent == []


def async_app(blog: AsyncBlog, cache: YokedCache) -> FastAPI:
    app = FastAPI()

    async def get_session() -> AsyncIterator[AsyncSession]:
        async with blog.sessions() as session:
            yield session

    cached_get_session = cached_dependency(get_session, cache=cache, ttl=60)
    Db = Annotated[AsyncSession, Depends(cached_get_session)]  # noqa: N806 - a type

    @cached(cache=cache, ttl=60)
    async def find(session: AsyncSession, number: int) -> User | None:
        return await session.get(User, number)

    @app.get("/users")
    async def users(session: Db) -> list[str]:
        return listed(list(await session.scalars(select(User))))

    @app.get("/users/{number}")
    async def user(number: int, session: Db) -> dict[str, Any]:
        found = await find(session, number)
        assert found is not None
        return {"name": found.name}

    @app.post("/users/{number}")
    async def rename(number: int, name: str, session: Db) -> Any:
        (await session.get_one(User, number)).name = name
        return await session.commit()

    return app


async def test_async_sessions(async_blog: AsyncBlog, cache: YokedCache) -> None:
    async with client_of(async_app(async_blog, cache)) as client:

        async def seen() -> list[Any]:
            paths = ("/users", "/users/1")
            return [(await client.get(path)).json() for path in paths]

        assert await seen() == [["ann", "bob", "eve"], {"name": "ann"}]
        with async_blog.counted() as sent:
            assert await seen() == [["ann", "bob", "eve"], {"name": "ann"}]
        assert sent == []
        answer = await client.post("/users/1", params={"name": "anna"})
        assert (answer.status_code, answer.json()) == (200, None)
        assert await seen() == [["anna", "bob", "eve"], {"name": "anna"}]


async def test_a_dependency_keeps_its_parameters(blog: Blog, cache: YokedCache) -> None:
    app = FastAPI()

    def get_tenant(x_tenant: Annotated[str, Header()] = "nobody") -> str:
        return x_tenant

    def get_session(
        tenant: Annotated[str, Depends(get_tenant)], limit: int = 2
    ) -> Iterator[Session]:
        with blog.sessions(info={"tenant": tenant, "limit": limit}) as session:
            yield session

    cached_get_session = cached_dependency(
        get_session, cache=cache, vary=lambda session: session.info["tenant"]
    )

    @app.get("/users")
    def users(
        session: Annotated[Session, Depends(cached_get_session)],
    ) -> dict[str, Any]:
        query = select(User).order_by(User.id).limit(session.info["limit"])
        return {
            "tenant": session.info["tenant"],
            "names": listed(list(session.scalars(query))),
        }

    async with client_of(app) as client:
        for tenant in ("one", "two", "one"):
            headers = {"x-tenant": tenant}
            answer = await client.get("/users", params={"limit": 1}, headers=headers)
            assert answer.json() == {"tenant": tenant, "names": ["ann"]}
        assert (await client.get("/users")).json() == {
            "tenant": "nobody",
            "names": ["ann", "bob"],
        }
        with blog.counted() as sent:
            await client.get("/users", params={"limit": 1}, headers={"x-tenant": "two"})
        assert sent == []


@pytest.mark.parametrize("kind", ["blocking", "async"])
async def test_a_dependency_without_a_session_is_cached_by_its_arguments(
    blog: Blog, cache: YokedCache, kind: str
) -> None:
    app = FastAPI()
    runs: list[str] = []

    def get_session() -> Iterator[Session]:
        with blog.sessions() as session:
            yield session

    Db = Annotated[Session, Depends(get_session)]  # noqa: N806 - a type

    def current_user(session: Db, x_user: Annotated[int, Header()]) -> str:
        runs.append(kind)
        return session.get_one(User, x_user).name

    async def current_user_async(x_user: Annotated[int, Header()]) -> str:
        runs.append(kind)
        return f"user {x_user}"

    chosen: Any = current_user if kind == "blocking" else current_user_async
    dependency = cached_dependency(chosen, cache=cache, ttl=60)

    @app.get("/me")
    def me(user: Annotated[str, Depends(dependency)]) -> str:
        return user

    async with client_of(app) as client:

        async def asked(number: int) -> Any:
            answer = await client.get("/me", headers={"x-user": str(number)})
            return answer.json()

        names = {1: "ann", 2: "bob"}
        if kind == "async":
            names = {1: "user 1", 2: "user 2"}
        for _ in range(4):
            assert {number: await asked(number) for number in names} == names
        # the first call shows that no session is given, the next ones are kept
        assert len(runs) == 3
        with blog.sessions.begin() as session:
            session.get_one(User, 1).name = "anna"
        assert await asked(1) == ("anna" if kind == "blocking" else "user 1")
