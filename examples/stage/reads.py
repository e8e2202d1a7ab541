"""
First act: the same reads with and without the cache, side by side.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any, NamedTuple

from blog import functions, queries, sessions
from blog.repositories import PostRepository
from rich.padding import Padding

from stage import screen
from stage.counter import measure

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from rich.console import Console

    from stage.claims import Claims
    from stage.counter import Statements

AUTHOR, POST, WORD = 7, 16, "caching"


class Read(NamedTuple):
    """
    One thing that the blog asks, in both ways.
    """

    name: str
    face: str
    plain: Callable[[], Any]
    cached: Callable[[], Any]


def reads(loop: asyncio.AbstractEventLoop) -> list[Read]:
    """
    List the reads: three faces, from a session's statements to whole functions.
    """
    attached, injected = sessions.AttachedSession, _injected
    return [
        _by_session("front page", "attach", attached, queries.front_page),
        _by_session("post page", "dependency", injected, queries.post_page, POST),
        _by_session("search", "dependency", injected, queries.search, WORD),
        _by_session("tag cloud", "attach", attached, queries.tag_cloud),
        _by_session("top authors", "attach", attached, queries.top_authors),
        Read(
            "newest posts",
            "repository",
            _newest(cached=False),
            _newest(cached=True),
        ),
        Read("dashboard", "@cached", functions.dashboard.uncached, functions.dashboard),
        Read(
            "profile",
            "async @cached",
            lambda: loop.run_until_complete(functions.profile.uncached(AUTHOR)),
            lambda: loop.run_until_complete(functions.profile(AUTHOR)),
        ),
    ]


_injected = contextlib.contextmanager(sessions.get_cached_session)


def _by_session(
    name: str, face: str, cached: Any, query: Callable[..., Any], *args: object
) -> Read:
    def ask(maker: Any) -> Any:
        with maker() as session:
            return query(session, *args)

    plain = functools.partial(ask, sessions.PlainSession)
    return Read(name, face, plain, functools.partial(ask, cached))


def _newest(*, cached: bool) -> Callable[[], Any]:
    def ask() -> Any:
        with sessions.PlainSession() as session:
            method = PostRepository(session).newest_by
            posts = (method if cached else method.uncached)(AUTHOR)
            return [(post.id, post.title, post in session) for post in posts]

    return ask


def play(
    console: Console,
    claims: Claims,
    statements: Statements,
    loop: asyncio.AbstractEventLoop,
    *,
    budget: float,
) -> None:
    """
    Measure every read in both ways, and check that both give the same.
    """
    screen.title(
        console,
        "1  The same reads, without and with the cache",
        "One code for both sides; the left one runs on a plain sessionmaker. Median of many "
        "calls, with sessions opened and closed each time. SQL counts the statements that "
        "reach the database.",
    )
    table = screen.make_table(
        ("read", False),
        ("through", False),
        ("without", True),
        ("SQL", True),
        ("with", True),
        ("SQL", True),
        ("faster", True),
        ("same", False),
    )
    chart: list[tuple[str, float, float]] = []
    for read in reads(loop):
        read.cached()  # fills the cache
        both = read.plain, read.cached
        plain, cached = measure(both, statements, budget=budget)
        if cached.best >= plain.best:  # a busy machine: look again, for longer
            plain, cached = measure(both, statements, budget=5 * budget)
        same = claims.check(f"{read.name}: same answer", cached.answer == plain.answer)
        claims.check(f"{read.name}: no statement on a hit", cached.statements == 0)
        if claims.timed:
            best = plain.best, cached.best
            claims.check(f"{read.name}: faster", cached.best < plain.best, best)
        chart.append((read.name, plain.seconds, cached.seconds))
        table.add_row(
            read.name,
            read.face,
            screen.duration(plain.seconds),
            str(plain.statements),
            screen.duration(cached.seconds),
            str(cached.statements),
            f"[bold]{screen.ratio(plain.seconds / cached.seconds)}[/]",
            screen.verdict(same),
        )
    console.print(table)
    screen.bars(console, sorted(chart, key=lambda row: -row[1]))
    console.print(
        Padding(
            "SQLite runs inside this process: a statement costs little here, more over a "
            "network. On a hit, sessions still make objects of the rows; cached functions "
            "give their result.",
            (0, 2),
        )
    )
