"""
A sketch stands for SQLAlchemy's cache key: one sketch is never two keys.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import bindparam, create_engine, func, select, true
from sqlalchemy.orm import Session, aliased, joinedload, sessionmaker

from tests.sqlalchemy.people import Post, User, fill
from yokedcache import YokedCache
from yokedcache.sqlalchemy.answers.sketches import lasting, sketch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COLUMNS = (User.id, User.name, Post.id, Post.title, Post.author_id)
OPERATORS = ("__eq__", "__ne__", "__lt__", "__ge__", "like", "startswith")
criteria = st.tuples(
    st.sampled_from(COLUMNS),
    st.sampled_from(OPERATORS),
    st.one_of(st.integers(0, 3), st.sampled_from(["a", "b"]), st.none(), st.booleans()),
)
orders = st.tuples(
    st.sampled_from(COLUMNS), st.sampled_from(["asc", "desc", "nulls_last", None])
)


@st.composite
def statements(draw: st.DrawFn) -> Any:
    statement: Any = select(draw(st.sampled_from([User, Post])))
    for column, operator, value in draw(st.lists(criteria, max_size=2)):
        comparable = str(value) if operator in {"like", "startswith"} else value
        try:
            criterion = getattr(column, operator)(comparable)
        except Exception:  # noqa: BLE001 - SQLAlchemy refuses the pair
            continue
        statement = statement.where(criterion)
    for column, way in draw(st.lists(orders, max_size=2)):
        statement = statement.order_by(
            column if way is None else getattr(column, way)()
        )
    for way in draw(st.lists(st.sampled_from(["limit", "offset", "distinct"]))):
        statement = getattr(statement, way)(*([] if way == "distinct" else [3]))
    return statement


@given(st.lists(statements(), min_size=2, max_size=12))
def test_one_sketch_is_one_cache_key(many: list[Any]) -> None:
    drawn = [(one, sketch(one)) for one in many]
    known = [(one, found[0]) for one, found in drawn if found is not None]
    for (this, mine), (that, other) in itertools.combinations(known, 2):
        if mine == other:
            assert this._generate_cache_key() == that._generate_cache_key()


@given(st.lists(statements(), min_size=1, max_size=4))
def test_binds_are_those_of_the_cache_key_where_a_sketch_is_remembered(
    many: list[Any],
) -> None:
    for statement in many:
        found = sketch(statement)
        key = statement._generate_cache_key()
        if found is not None and lasting(statement, found[1], key.bindparams):
            assert {*map(id, found[1])} == {*map(id, key.bindparams)}


def test_a_statement_built_again_has_the_same_sketch() -> None:
    def build(number: int) -> Any:
        wanted = select(Post).where(Post.author_id == number, Post.title != "x")
        return wanted.order_by(Post.id.desc(), Post.title).limit(10).offset(number)

    one, other = sketch(build(1)), sketch(build(2))
    assert one is not None
    assert other is not None
    assert one[0] == other[0]
    assert [bind.value for bind in other[1]] == [2, "x", 10, 2]


PAIRS = [
    (select(User).where(User.id == 1), select(User).where(User.id == "1")),
    (select(User).where(User.id == 1), select(User).where(User.id != 1)),
    (select(User).where(User.id == 1), select(User).where(User.name == 1)),
    (select(User).where(User.id == 1), select(Post).where(User.id == 1)),
    (select(User).limit(1), select(User).offset(1)),
    (select(User).order_by(User.id), select(User).order_by(User.id.desc())),
    (select(User).order_by(User.id.asc()), select(User).order_by(User.id.desc())),
    (select(User).order_by(User.id), select(User, User.id)),
    (
        select(User).where(User.id == 1).order_by(User.id),
        select(User).where(User.id == 1, User.id == 2).order_by(User.id),
    ),
]


@pytest.mark.parametrize(("this", "that"), PAIRS)
def test_what_has_another_cache_key_has_another_sketch(this: Any, that: Any) -> None:
    one, other = sketch(this), sketch(that)
    assert one is not None
    assert other is not None
    assert one[0] != other[0]
    assert this._generate_cache_key().key != that._generate_cache_key().key


shared: Any = bindparam("same", 1, unique=True)
ODD = {
    "an option": select(User).options(joinedload(User.posts)),
    "a list": select(User).where(User.id.in_([1, 2])),
    "a named bind": select(User).where(User.id == bindparam("x", 1)),
    "a late bind": select(User).where(User.id == bindparam("x", callable_=int)),
    "one bind twice": select(User).where(User.id == shared, User.id != shared),
    "a literal": select(User).where(
        User.id == bindparam("x", 1, unique=True, literal_execute=True)
    ),
    "no comparison": select(User).where(true()),
    "a group": select(Post.author_id).group_by(Post.author_id),
    "a join": select(User).join(User.posts),
    "a lock": select(User).with_for_update(),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_not_plain_has_no_sketch(name: str) -> None:
    assert sketch(ODD[name]) is None


@pytest.mark.parametrize(
    "statement",
    [
        select(aliased(User)),
        select(User).order_by(func.lower(User.name)),
        select(User).order_by(User.id + 1),
    ],
    ids=["alias", "function", "expression"],
)
def test_a_sketch_of_what_is_made_anew_is_not_remembered(statement: Any) -> None:
    found = sketch(statement)
    assert found is not None
    assert not lasting(statement, found[1], statement._generate_cache_key().bindparams)


@pytest.fixture
def cached(tmp_path: Path) -> Iterator[sessionmaker[Session]]:
    engine = create_engine(f"sqlite:///{tmp_path / 'data.db'}")
    fill(engine)
    cache = YokedCache("memory://")
    yield cache.attach(sessionmaker(engine))
    cache.sync.close()
    engine.dispose()


def test_hits_by_sketch_have_the_values_of_their_own_statement(
    cached: sessionmaker[Session],
) -> None:
    def ask(title: str, most: int, start: int) -> list[int]:
        # the limit comes first: the cache key has it last
        wanted = select(Post).limit(most).where(Post.title != title, Post.id > start)
        with cached() as session:
            return [post.id for post in session.scalars(wanted)]

    cases = itertools.product(["ann 1", "bob 2", "x"], [1, 4], [0, 1])
    plain = {case: ask(*case) for case in cases}
    for _ in range(5):
        for case, found in plain.items():
            assert ask(*case) == found
    assert plain["ann 1", 4, 0] == [2, 3, 4]
    assert plain["bob 2", 1, 1] == [2]
