"""
Hole 23: tables that are written faster than they are read are left alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from tests.support.models import Post, User
from yokedcache.core.heat import LONGEST, SAMPLE, SHORTEST

if TYPE_CHECKING:
    from tests.support.databases import Blog
    from yokedcache import YokedCache
    from yokedcache.testing import FakeClock


def _read(maker: Any, number: int = 1) -> Any:
    with maker() as session:
        return session.scalars(select(User).where(User.id == number)).one().name


def _write(blog: Blog, name: str) -> None:
    with blog.engine.begin() as connection:
        connection.execute(update(User).where(User.id == 1).values(name=name))


def _heat_up(blog: Blog, maker: Any) -> None:
    for number in range(SAMPLE):
        _write(blog, f"name {number}")
        assert _read(maker) == f"name {number}"


def test_hole_23_look_ups_that_gain_nothing_are_left_out(
    blog: Blog, clocked: YokedCache, clock: FakeClock
) -> None:
    maker = blog.attached(clocked)

    def hot() -> int:
        return clocked.stats().total.bypasses.get("hot", 0)

    _heat_up(blog, maker)
    _write(blog, "x")
    assert [_read(maker), _read(maker)] == ["x", "x"]
    _write(blog, "y")
    assert [_read(maker), _read(maker, 2)] == ["y", "bob"]
    assert hot() >= 3
    before = hot()
    clock.advance(LONGEST + SHORTEST)
    assert [_read(maker), _read(maker)] == ["y", "y"]
    assert hot() == before
    assert clocked.stats().total.hits == 1


def test_hole_23_other_tables_are_served_meanwhile(
    blog: Blog, clocked: YokedCache
) -> None:
    maker = blog.attached(clocked)
    _heat_up(blog, maker)
    titles = select(Post.title).order_by(Post.id)
    for _ in range(2):
        with maker() as session:
            session.execute(titles).all()
    assert clocked.stats().total.hits == 1
    joined = select(Post.title).join(Post.author).order_by(Post.id)
    for _ in range(2):
        with maker() as session:
            session.execute(joined).all()
    assert clocked.stats().total.hits == 1
    with maker() as session:
        assert clocked.explain(joined, session=session).reason == "hot"


def test_hole_23_a_table_that_is_read_between_writes_stays_served(
    blog: Blog, clocked: YokedCache
) -> None:
    maker = blog.attached(clocked)
    for number in range(3 * SAMPLE):
        _write(blog, f"name {number}")
        assert [_read(maker), _read(maker)] == [f"name {number}"] * 2
    assert clocked.stats().total.hits == 3 * SAMPLE
    assert "hot" not in clocked.stats().total.bypasses


@pytest.mark.parametrize("number", [200])
def test_hole_23_many_answers_that_nobody_asked_for_again_are_no_sign(
    blog: Blog, clocked: YokedCache, number: int
) -> None:
    maker = blog.attached(clocked)
    for _ in range(2):
        for one in range(number):
            with maker() as session:
                session.scalars(select(User).where(User.id == one)).all()
    assert clocked.stats().total.hits == number


def test_hole_23_a_single_hit_among_many_writes_gains_nothing(
    blog: Blog, clocked: YokedCache
) -> None:
    maker = blog.attached(clocked)
    _write(blog, "first")
    assert [_read(maker), _read(maker)] == ["first"] * 2
    for number in range(SAMPLE):
        _write(blog, f"name {number}")
        assert _read(maker) == f"name {number}"
    assert clocked.stats().total.hits == 1
    _write(blog, "x")
    assert [_read(maker), _read(maker)] == ["x", "x"]
    assert clocked.stats().total.hits == 1
    assert clocked.stats().total.bypasses["hot"] >= 2


def test_hole_23_get_leaves_a_hot_table_alone(blog: Blog, clocked: YokedCache) -> None:
    maker = blog.attached(clocked)
    for _ in range(3):
        with maker() as session:
            session.get_one(User, 2)
    before = clocked.stats().total.hits
    for _ in range(2):  # those hits speak for the first sample
        _heat_up(blog, maker)
    for _ in range(3):
        with maker() as session:
            assert session.get_one(User, 2).name == "bob"
    assert clocked.stats().total.hits == before
