"""
Hole 14: a hit leaves the session as a SELECT would.

The same steps in a session that asks the database, and in one that is answered: from
nothing stored, by SQLAlchemy's loader over stored rows, by a template, by the short way.
After each step everything that can be seen of the two is the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.holes.comparing import cases, compare, warm
from tests.holes.reads import READS, TELLING, entity_built_anew
from tests.holes.steps import AFTER, BEFORE
from yokedcache.sqlalchemy.answers import playing
from yokedcache.sqlalchemy.answers.quick import Quick

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.databases import Blog
    from yokedcache import YokedCache

everywhere = cases(READS, TELLING)


@everywhere
def test_hole_14_what_comes_after_a_read(
    blog: Blog, clocked: YokedCache, read: Callable[[Any], Any]
) -> None:
    compare(blog, clocked, read, [[read, step] for step in AFTER])


@everywhere
def test_hole_14_what_came_before_a_read(
    blog: Blog, clocked: YokedCache, read: Callable[[Any], Any]
) -> None:
    compare(blog, clocked, read, [[step, read] for step in BEFORE])


@pytest.mark.parametrize("blog", ["sqlite", "postgresql", "mariadb"], indirect=True)
def test_hole_14_each_way_is_taken(
    blog: Blog, clocked: YokedCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What the other tests compare is what they say it is.
    """
    taken: list[str] = []

    def watched(where: Any, name: str, way: str) -> None:
        original = getattr(where, name)

        def watching(*args: Any, **kw: Any) -> Any:
            taken.append(way)
            return original(*args, **kw)

        monkeypatch.setattr(where, name, watching)

    watched(playing, "replay", "the loader")
    watched(playing, "stamped", "a template")
    watched(Quick, "_by_key", "looked for")
    watched(Quick, "_result", "the short way")
    maker = blog.attached(clocked)
    ways: list[list[str]] = []
    for _ in range(6):
        taken.clear()
        warm(maker, entity_built_anew, 1)
        ways.append(list(taken))
    looked = ["looked for"]
    assert ways[:2] == [looked, [*looked, "the loader"]]
    assert ways[2][-1] == "a template"
    assert ways[3:] == [
        [*looked, "the short way"],
        ["the short way"],
        ["the short way"],
    ]
