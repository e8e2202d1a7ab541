"""
A statement that can't be analysed is sent, and counts as writing anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from tests.holes.asking import Asker
from yokedcache.runtime import log
from yokedcache.sqlalchemy.statements import sent

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.support.databases import Blog
    from yokedcache import YokedCache


def deep(frames: int, ask: Callable[[], Any]) -> Any:
    """
    Ask as a web framework does, many frames down.
    """
    return deep(frames - 1, ask) if frames else ask()


def test_a_long_chain_is_answered_far_down_the_stack(
    blog: Blog, cache: YokedCache
) -> None:
    chain = text("SELECT 1 WHERE " + " AND ".join(["1 = 1"] * 900))

    def ask() -> Any:
        with blog.attached(cache)() as session:
            return session.scalars(chain).all()

    assert [deep(400, ask) for _ in range(2)] == [[1], [1]]


def test_a_fault_in_analysing_costs_the_cached_answers_and_nothing_else(
    blog: Blog,
    cache: YokedCache,
    said: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ask = Asker(blog, cache)
    monkeypatch.setattr(log, "raise_faults", False)

    def failing(*_: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as broken, blog.sessions() as session:
        broken.setattr(sent, "analyse_compiled", failing)
        session.execute(text("UPDATE users SET name = 'new' WHERE id = 1"))
        session.commit()
    assert ask() == {"new"}
    assert "a fault of yokedcache in analysing a statement" in said.text
