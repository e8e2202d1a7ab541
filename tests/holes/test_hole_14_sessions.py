"""
Hole 14: sessions that would refuse a statement refuse a hit, and options keep meaning it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import sessionmaker

from tests.holes.comparing import WARMTHS, carried_out, cases, compare, cool, warm
from tests.holes.reads import columns, entity, got, joined, relation
from tests.holes.states import difference, listen
from tests.holes.steps import (
    add,
    add_unflushed,
    begin_block,
    change,
    close,
    close_and_read,
    commit,
    expire_all,
    follow,
    load_what_is_missing,
    make_dirty,
    read_again,
    rollback,
    savepoint,
)
from tests.support.models import User

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

    from tests.support.databases import Blog
    from yokedcache import YokedCache

READS: list[Callable[[Any], Any]] = [entity, got, joined, columns]
any_read = cases(READS, [entity])


def failed_flush(session: Session) -> None:
    session.add(User(id=3, name="double"))
    try:
        session.flush()
    except SQLAlchemyError:
        return
    raise AssertionError


def failed_flush_in_a_savepoint(session: Session) -> None:
    session.begin_nested()
    failed_flush(session)


def failed_autoflush(session: Session) -> None:
    session.add(User(id=3, name="double"))


def failed_statement(session: Session) -> None:
    """
    On PostgreSQL nothing works until the rollback.
    """
    try:
        session.execute(text("SELECT nonsense FROM nowhere"))
    except SQLAlchemyError:
        return
    raise AssertionError


def lost_connection(session: Session) -> None:
    session.connection().invalidate()


def closed_for_good(session: Session) -> None:
    session.close()


def finished_block(session: Session) -> None:
    session.begin().__enter__()
    session.commit()


def in_a_block(session: Session) -> None:
    session.begin().__enter__()


SPOILT: list[Callable[[Any], Any]] = [
    failed_flush, failed_flush_in_a_savepoint, failed_autoflush, failed_statement,
    lost_connection, closed_for_good, finished_block, in_a_block,
]  # fmt: skip


@any_read
def test_hole_14_a_session_refuses_what_it_would_refuse(
    blog: Blog, clocked: YokedCache, read: Callable[[Any], Any]
) -> None:
    programs = [[spoil, read, rollback, read] for spoil in SPOILT]
    programs += [[read, spoil, read, rollback, read] for spoil in SPOILT]
    compare(blog, clocked, read, programs, close_resets_only=False)


@pytest.mark.parametrize(
    "options",
    [
        {"expire_on_commit": False},
        {"autoflush": False},
        {"autobegin": False},
        {"info": {"who": "somebody"}},
    ],
    ids=lambda options: next(iter(options)),
)
@cases([entity, got, relation], [got])
def test_hole_14_options_of_a_session_mean_what_they_meant(
    blog: Blog, clocked: YokedCache, read: Callable[[Any], Any], options: dict[str, Any]
) -> None:
    before = [begin_block] if "autobegin" in options else []
    programs = [
        [*before, read, commit, *before, load_what_is_missing, read],
        [*before, read, rollback, *before, load_what_is_missing],
        [*before, add, read, rollback],
        [*before, make_dirty, read, rollback],
        [*before, read, change, read_again, rollback],
        [*before, read, expire_all, follow, close],
        [*before, read, close, *before, read],
        [*before, add_unflushed, read, savepoint, read, rollback],
    ]
    if before:
        programs += [[read], [read, *before, read]]

    def begun(session: Session) -> Any:
        if before and not session.in_transaction():
            session.begin()
        return read(session)

    begun.__name__ = read.__name__
    changed = [
        [begun if step is read and before else step for step in program]
        for program in programs[:8]
    ]
    compare(blog, clocked, begun, [*changed, *programs[8:]], **options)


@any_read
def test_hole_14_listeners_that_hear_of_loads(
    blog: Blog, clocked: YokedCache, read: Callable[[Any], Any]
) -> None:
    """
    They keep templates away, and nothing else.
    """
    plain, maker = sessionmaker(blog.engine), blog.attached(clocked)
    heard = listen(plain, ("loaded_as_persistent", "pending_to_persistent"))
    told = listen(maker, ("loaded_as_persistent", "pending_to_persistent"))
    for program in ([read, close_and_read], [add, read], [read, commit, read_again]):
        expected = carried_out(blog, plain, heard, program)
        for way, times in WARMTHS.items():
            cool(clocked)
            warm(maker, read, times)
            run = carried_out(blog, maker, told, program)
            for mine, theirs in zip(run.trace, expected.trace, strict=True):
                assert difference(mine, theirs) is None, (program, way)


@any_read
def test_hole_14_who_listens_on_after_begin_is_asked_what_varies(
    blog: Blog, clocked: YokedCache, read: Callable[[Any], Any]
) -> None:
    """
    It is told of each transaction, until the app says that nothing depends on that.
    """
    plain, maker = sessionmaker(blog.engine), blog.attached(clocked)
    trusted = blog.attached(clocked, vary=None)
    heard, told = listen(plain, ("after_begin",)), listen(maker, ("after_begin",))
    expected = carried_out(blog, plain, heard, [read, commit, read])
    for times in WARMTHS.values():
        warm(maker, read, times)
        run = carried_out(blog, maker, told, [read, commit, read])
        assert run.trace == expected.trace
    assert expected.trace[0]["told"] == ["after_begin"]
    assert clocked.stats().total.hits == 0
    quiet = listen(trusted, ("after_begin",))
    warm(trusted, read, 3)
    quiet.clear()
    run = carried_out(blog, trusted, quiet, [read])
    assert (run.asked, run.trace[0]["told"]) == ([0], [])


def test_hole_14_events_of_instances(blog: Blog, clocked: YokedCache) -> None:
    """
    `load`, `refresh` and `expire` are told as often, whoever made the instances.
    """
    told: list[str] = []
    names = ("load", "refresh", "expire", "refresh_flush")
    listeners = [
        (name, lambda *args, name=name, **_: told.append(f"{name} {args[0].id}"))
        for name in ("load", "refresh")
    ]
    listeners += [(name, lambda *_, name=name: told.append(name)) for name in names[2:]]
    plain, maker = sessionmaker(blog.engine), blog.attached(clocked)
    programs = [[entity, commit, load_what_is_missing], [relation, expire_all, joined]]
    for times in WARMTHS.values():
        cool(clocked)
        for program in programs:
            warm(maker, program[0], times)
        for name, listener in listeners:
            event.listen(User, name, listener)
        try:
            for program in programs:
                expected = carried_out(blog, plain, told, program)
                run = carried_out(blog, maker, told, program)
                assert run.trace == expected.trace
                assert any("load 1" in step["told"] for step in run.trace)
        finally:
            for name, listener in listeners:
                event.remove(User, name, listener)
