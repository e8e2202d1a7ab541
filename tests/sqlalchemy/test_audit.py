"""
Audits: a share of the hits is asked of the database again, and compared.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, select, text, update

from tests.support.models import Post, User
from yokedcache import YokedCache
from yokedcache.errors import SettingsError
from yokedcache.sqlalchemy.answers.audit import alike
from yokedcache.sqlalchemy.answers.recordings import Recording
from yokedcache.sqlalchemy.statements import analysis

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.databases import AsyncBlog, Blog

NAMES = select(User.name).order_by(User.id)


@pytest.fixture
def auditing() -> Iterator[YokedCache]:
    made = YokedCache(jitter=0, verify=1.0)
    yield made
    made.sync.close()


def _asked(maker: Any, statement: Any = NAMES) -> Any:
    with maker() as session:
        return session.execute(statement).all()


def test_each_hit_is_asked_again(blog: Blog, auditing: YokedCache) -> None:
    maker = blog.attached(auditing)
    for number in range(4):
        with blog.counted() as sent:
            assert [name for (name,) in _asked(maker)] == ["ann", "bob", "eve"]
            with maker() as session:
                assert session.get_one(User, 1).name == "ann"
        assert len([s for s in sent if s.startswith("SELECT users")]) == 2
        assert auditing.stats().audited == 2 * number
    assert auditing.stats().wrong == {}


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_a_share_of_them_is(blog: Blog, share: float) -> None:
    cache = YokedCache(jitter=0, verify=share)
    maker = blog.attached(cache)
    for _ in range(200):
        _asked(maker)
    audited, hits = cache.stats().audited, cache.stats().total.hits
    assert audited + hits == 199
    assert (20 < audited < 110) if share else not audited
    cache.sync.close()


def test_a_planted_missing_dependency_is_found(
    blog: Blog,
    auditing: YokedCache,
    said: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    The fault: reads of posts are taken for reads of nothing.
    """
    reading = analysis.Notes.read

    def forgetful(self: Any, name: str, schema: str | None) -> None:
        if name != "posts":
            reading(self, name, schema)

    monkeypatch.setattr(analysis.Notes, "read", forgetful)
    titles = select(Post.title).where(Post.author_id < 99).order_by(Post.id)
    maker = blog.attached(auditing)
    before = _asked(maker, titles)
    assert _asked(maker, titles) == before
    with blog.engine.begin() as connection:
        connection.execute(update(Post).values(title="new"))
    assert _asked(maker, titles) == [("new",)] * 6
    (sql,) = auditing.stats().wrong
    assert "FROM posts" in sql
    (line,) = [m for m in said.messages if "differs from the database" in m]
    assert "UPDATE posts SET title" in line
    assert f"{__file__}:" in line

    def reason() -> Any:
        with maker() as session:
            return auditing.explain(titles, session=session).reason

    assert reason() == "quarantined"
    assert _asked(maker, titles) == [("new",)] * 6
    assert auditing.stats().total.bypasses["quarantined"] == 1
    assert [name for (name,) in _asked(maker)] == ["ann", "bob", "eve"]


def test_a_writer_from_outside_is_found(
    blog: Blog, auditing: YokedCache, said: pytest.LogCaptureFixture
) -> None:
    maker = blog.attached(auditing)
    _asked(maker)
    raw = blog.engine.dialect.loaded_dbapi.connect(  # type: ignore[attr-defined]
        *_arguments(blog)[0], **_arguments(blog)[1]
    )
    raw.cursor().execute("UPDATE users SET name = 'x' WHERE id = 1")
    raw.commit()
    raw.close()
    assert [name for (name,) in _asked(maker)] == ["x", "bob", "eve"]
    (line,) = [m for m in said.messages if "differs from the database" in m]
    assert "nothing that is known of here" in line


def _arguments(blog: Blog) -> Any:
    return blog.engine.dialect.create_connect_args(blog.engine.url)


def test_no_false_alarm_under_concurrent_writes(
    blog: Blog, auditing: YokedCache
) -> None:
    maker = blog.attached(auditing)
    done = threading.Event()

    def write() -> None:
        for number in range(60):
            with blog.sessions.begin() as session:
                session.get_one(User, 1 + number % 3).name = f"name {number}"
        done.set()

    def read() -> None:
        while not done.is_set():
            for _ in range(3):
                _asked(maker)

    readers = [threading.Thread(target=read) for _ in range(3)]
    writer = threading.Thread(target=write)
    for thread in (*readers, writer):
        thread.start()
    for thread in (*readers, writer):
        thread.join(50)
    _asked(maker)
    _asked(maker)
    stats = auditing.stats()
    assert stats.wrong == {}
    assert stats.audited


def test_own_writes_raise_no_alarm(blog: Blog, auditing: YokedCache) -> None:
    maker = blog.attached(auditing)
    _asked(maker)
    with maker() as session:
        session.execute(text("UPDATE users SET name = 'own' WHERE id = 1"))
        assert session.execute(NAMES).all()[0] == ("own",)
        session.rollback()
    assert _asked(maker)[0] == ("ann",)
    assert auditing.stats().wrong == {}


@pytest.mark.anyio
@pytest.mark.usefixtures("may_block")  # asyncpg looks for a password file
async def test_hits_of_async_sessions(
    async_blog: AsyncBlog, auditing: YokedCache
) -> None:
    maker = async_blog.attached(auditing)
    for _ in range(3):
        async with maker() as session:
            assert len((await session.execute(NAMES)).all()) == 3
    assert auditing.stats().audited == 2


def test_an_audit_runs_after_other_listeners(blog: Blog, auditing: YokedCache) -> None:
    """
    A statement that a listener rewrites isn't the one that was kept: nothing to compare.
    """
    maker = blog.attached(auditing, vary=None)
    _asked(maker)

    @event.listens_for(blog.engine, "before_cursor_execute", retval=True)
    def rewrite(_c: Any, _k: Any, statement: str, parameters: Any, *_: Any) -> Any:
        return statement.replace("FROM users", "FROM users "), parameters

    _asked(maker)
    assert auditing.stats().wrong == {}
    event.remove(blog.engine, "before_cursor_execute", rewrite)


def test_rows_in_another_order_are_the_same() -> None:
    one = Recording((("n", 1), ("l", 2)), ((1, [1]), (2, [2])))
    assert alike(one, Recording(one.description, ((2, [2]), (1, [1]))))
    assert not alike(one, Recording(one.description, ((2, [2]), (1, [2]))))
    assert not alike(one, Recording(one.description, ((1, [1]),)))
    views = Recording((("b", 1),), ((memoryview(b"a"),),))
    assert alike(views, Recording((("b", 1),), ((memoryview(b"a"),),)))


@pytest.mark.parametrize("share", [-0.1, 1.1, "all", True, None])
def test_a_share_is_a_number_from_0_to_1(share: Any) -> None:
    with pytest.raises(SettingsError, match="verify"):
        YokedCache(verify=share)
