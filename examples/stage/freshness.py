"""
Second act: somebody else commits, and the next read is fresh.

Changes go through ordinary sessions and connections; nobody names a key or a
tag, and nobody tells the cache.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

from blog import functions, queries, sessions
from blog.models import Comment, Post, Tag, User
from blog.repositories import PostRepository
from sqlalchemy import delete, insert, select, text

from stage import screen
from stage.reads import AUTHOR, POST

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from rich.console import Console
    from sqlalchemy.engine import Engine

    from stage.claims import Claims
    from stage.counter import Statements


class Scene(NamedTuple):
    """
    A cached read, the same read uncached, and a change that both should see.
    """

    change: str
    reader: str
    read: Callable[[], Any]
    truth: Callable[[], Any]
    commit: Callable[[], None]


def _ask(maker: Any, query: Callable[..., Any], *args: object) -> Any:
    with maker() as session:
        return query(session, *args)


def _newest(*, cached: bool) -> Any:
    with sessions.PlainSession() as session:
        method = PostRepository(session).newest_by
        return [post.title for post in (method if cached else method.uncached)(AUTHOR)]


def _edit(query: Callable[..., Any]) -> None:
    with sessions.PlainSession() as session:
        query(session)
        session.commit()


def _newest_post(session: Any) -> Post:
    newest = select(Post).where(Post.published).order_by(Post.created_at.desc())
    return session.scalars(newest.limit(1)).one()


def _retitle(session: Any) -> None:
    _newest_post(session).title = "A title that was just changed"


def _comment(session: Any) -> None:
    post = session.get_one(Post, POST)
    post.comments.append(Comment(body="First!", author_id=AUTHOR))


def _attach_tag(session: Any) -> None:
    post = _newest_post(session)
    taken = {tag.name for tag in post.tags}
    post.tags.append(session.scalars(select(Tag).where(Tag.name.not_in(taken))).first())


def scenes(engine: Engine, loop: asyncio.AbstractEventLoop) -> list[Scene]:
    """
    List the scenes: each way to write, read back through another face.
    """
    plain, attached = sessions.PlainSession, sessions.AttachedSession
    injected = contextlib.contextmanager(sessions.get_cached_session)

    def core_insert() -> None:
        with engine.begin() as connection:
            connection.execute(
                insert(User), [{"username": "new", "full_name": "N. Ew"}]
            )

    def written_sql() -> None:
        with engine.begin() as connection:
            connection.execute(
                text("UPDATE posts SET title = upper(title) WHERE author_id = :author"),
                {"author": AUTHOR},
            )

    def cascade() -> None:
        with engine.begin() as connection:
            first = select(User.id).where(
                User.username == functions.author_report()[0][0]
            )
            connection.execute(
                delete(Post).where(Post.author_id == first.scalar_subquery())
            )

    async def rename() -> None:
        async with sessions.AsyncPlainSession.begin() as session:
            (await session.get_one(User, AUTHOR)).full_name = "Renamed over aiosqlite"

    return [
        Scene("an object is changed", "attach, front page",
              lambda: _ask(attached, queries.front_page),
              lambda: _ask(plain, queries.front_page), lambda: _edit(_retitle)),
        Scene("an object is added", "dependency, post page",
              lambda: _ask(injected, queries.post_page, POST),
              lambda: _ask(plain, queries.post_page, POST), lambda: _edit(_comment)),
        Scene("a tag is put on a post", "attach, tag cloud",
              lambda: _ask(attached, queries.tag_cloud),
              lambda: _ask(plain, queries.tag_cloud), lambda: _edit(_attach_tag)),
        Scene("INSERT without a session", "@cached, dashboard",
              functions.dashboard, functions.dashboard.uncached, core_insert),
        Scene("UPDATE written by hand", "repository, newest posts",
              lambda: _newest(cached=True), lambda: _newest(cached=False), written_sql),
        Scene("DELETE that cascades", "@cached, top authors",
              functions.author_report, functions.author_report.uncached, cascade),
        Scene("by an AsyncSession", "async @cached, profile",
              lambda: loop.run_until_complete(functions.profile(AUTHOR)),
              lambda: loop.run_until_complete(functions.profile.uncached(AUTHOR)),
              lambda: loop.run_until_complete(rename())),
    ]  # fmt: skip


def play(
    console: Console,
    claims: Claims,
    statements: Statements,
    engine: Engine,
    loop: asyncio.AbstractEventLoop,
) -> None:
    """
    Play every scene: a hit, a commit, a fresh read, a hit again.
    """
    screen.title(
        console,
        "2  A commit, and the next read is fresh",
        "Each row: a read from the cache (no SQL), then a commit by code that knows of no "
        "cache, then the same read twice. Fresh means: changed, and equal to what an uncached "
        "session reads.",
    )
    table = screen.make_table(
        ("what is committed", False),
        ("who reads", False),
        ("SQL", True),
        ("after", True),
        ("then", True),
        ("fresh", False),
    )
    for scene in scenes(engine, loop):
        scene.read()
        old, hit = statements.during(scene.read)
        scene.commit()
        new, after = statements.during(scene.read)
        again, then = statements.during(scene.read)
        truth = scene.truth()
        fresh = claims.check(
            f"{scene.reader} is fresh after: {scene.change}",
            new == truth == again and new != old,
            (old, new, truth),
        )
        claims.check(
            f"{scene.reader}: a hit before and after", hit == then == 0, (hit, then)
        )
        claims.check(f"{scene.reader}: read anew once", after > 0, after)
        table.add_row(
            scene.change,
            scene.reader,
            str(hit),
            str(after),
            str(then),
            screen.verdict(fresh),
        )
    console.print(table)
    _rollback(console, claims)


def _rollback(console: Console, claims: Claims) -> None:
    """
    What isn't committed is seen by its own session alone, and leaves no trace.
    """
    attached = sessions.AttachedSession
    before = _ask(attached, queries.front_page)
    with attached() as writer:
        _newest_post(writer).title = "Never committed"
        inside = queries.front_page(writer)
        outside = _ask(attached, queries.front_page)
        writer.rollback()
    after = _ask(attached, queries.front_page)
    own = claims.check(
        "a session sees its own flush", "Never committed" in inside[0], inside[0]
    )
    none = claims.check("nobody sees what was rolled back", outside == after == before)
    table = screen.make_table(("what is not committed", False), ("true", False))
    table.add_row("is seen by the session that wrote it", screen.verdict(own))
    table.add_row(
        "is seen by nobody else, before its rollback and after", screen.verdict(none)
    )
    console.print(table)
