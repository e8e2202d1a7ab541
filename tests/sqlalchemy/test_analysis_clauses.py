"""
What SQLAlchemy's own statements read, write and do.

Each statement of a varied corpus is compiled for several drivers; the tables are
compared with those expected and with what the SQL says when it is parsed.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import orm
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.dialects.postgresql import asyncpg, psycopg
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Mapped, mapped_column

from yokedcache.sqlalchemy.statements.analysis import UNKNOWN
from yokedcache.sqlalchemy.statements.clauses import analyse_clause, analyse_compiled
from yokedcache.sqlalchemy.statements.text import analyse_text

if TYPE_CHECKING:
    from yokedcache.sqlalchemy.statements.analysis import Analysis

DIALECTS = [sqlite.dialect(), psycopg.dialect(), asyncpg.dialect()]


class Base(orm.DeclarativeBase):
    pass


post_tags = sa.Table(
    "post_tags",
    Base.metadata,
    sa.Column("post_id", sa.ForeignKey("posts.id"), primary_key=True),
    sa.Column("tag_id", sa.ForeignKey("tags.id"), primary_key=True),
)


class Secret(sa.TypeDecorator[str]):
    impl = sa.String
    cache_ok = True

    def column_expression(self, column: Any) -> Any:
        return sa.func.decipher(column)


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    created: Mapped[datetime]
    posts: Mapped[list[Post]] = orm.relationship(back_populates="author")


class Post(Base):
    __tablename__ = "posts"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id"))
    title: Mapped[str]
    author: Mapped[User] = orm.relationship(back_populates="posts")
    tags: Mapped[list[Tag]] = orm.relationship(secondary=post_tags)


class Tag(Base):
    __tablename__ = "tags"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Vault(Base):
    __tablename__ = "vaults"
    id: Mapped[int] = mapped_column(primary_key=True)
    secret: Mapped[str] = mapped_column(Secret)


class Forum(Base):
    __tablename__ = "forums"
    id: Mapped[int] = mapped_column(primary_key=True)
    size: Mapped[int] = orm.column_property(
        sa.select(sa.func.count(Post.id)).scalar_subquery()
    )
    owner_id: Mapped[int] = mapped_column(sa.ForeignKey("users.id"))
    owner: Mapped[User] = orm.relationship(lazy="joined")


class Animal(Base):
    __tablename__ = "animals"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    __mapper_args__ = {"polymorphic_on": "kind", "with_polymorphic": "*"}  # noqa: RUF012


class Cat(Animal):
    __tablename__ = "cats"
    id: Mapped[int] = mapped_column(sa.ForeignKey("animals.id"), primary_key=True)
    __mapper_args__ = {"polymorphic_identity": "cat"}  # noqa: RUF012


class Lion(Cat):
    mane: Mapped[int | None]
    __mapper_args__ = {"polymorphic_identity": "lion"}  # noqa: RUF012


class Shape(orm.DeclarativeBase):
    pass


class Round(Shape):
    __tablename__ = "rounds"
    id: Mapped[int] = mapped_column(primary_key=True)


class Square(Round):
    __tablename__ = "squares"
    id: Mapped[int] = mapped_column(primary_key=True)
    __mapper_args__ = {"concrete": True}  # noqa: RUF012


class hidden(sa.sql.functions.FunctionElement[Any]):  # noqa: N801 - named as in SQL
    inherit_cache = True
    type = sa.Integer()


@compiles(hidden)
def _render_hidden(_element: Any, _compiler: Any, **_kw: Any) -> str:
    return "(SELECT max(x) FROM hidden_table)"


U, P = orm.aliased(User), orm.aliased(Post)
union = orm.polymorphic_union(
    {"r": Round.__table__, "s": Square.__table__}, "type", "shapes"
)
tree = sa.select(Tag.id).where(Tag.id == 1).cte("tree", recursive=True)
tree = tree.union_all(sa.select(Post.id).join(tree, tree.c.id == Post.id))
table, column = sa.table, sa.column

READS: dict[str, tuple[Any, str]] = {
    "one": (sa.select(1), ""),
    "entity": (sa.select(User), "users"),
    "columns": (sa.select(User.id, Post.title), "users posts"),
    "where_only": (sa.select(User.id).where(User.id == Post.author_id), "users posts"),
    "join": (sa.select(User).join(User.posts).join(Post.tags), "users posts post_tags tags"),
    "outer": (sa.select(User.id).outerjoin(Post), "users posts"),
    "aliases": (sa.select(U, P).join(P, U.posts), "users posts"),
    "any": (sa.select(User).where(User.posts.any(Post.tags.any())), "users posts post_tags tags"),
    "has": (sa.select(Post).where(Post.author.has(name="x")), "users posts"),
    "exists": (sa.select(Tag).where(sa.exists().where(User.id == Tag.id)), "users tags"),
    "scalar": (sa.select(Tag, sa.select(sa.func.max(Post.id)).scalar_subquery()), "tags posts"),
    "in": (sa.select(Tag).where(Tag.id.in_(sa.select(Post.id))), "tags posts"),
    "subquery": (sa.select(sa.select(User).join(Post).subquery()), "users posts"),
    "property": (sa.select(Forum), "forums posts users"),
    "property_below": (sa.select(sa.func.count()).select_from(sa.select(Forum).subquery()), "forums posts"),
    "union": (sa.union_all(sa.select(Forum.size), sa.select(Tag.id)), "posts tags"),
    "orm_union": (sa.select(orm.aliased(User, sa.union(sa.select(User), sa.select(User).where(User.posts.any())).subquery())), "users posts"),
    "cte": (sa.select(sa.select(Tag).cte("users")), "tags"),
    "recursive": (sa.select(tree.c.id), "tags posts"),
    "lateral": (sa.select(User.id, sa.select(Post.id).where(Post.author_id == User.id).lateral()), "users posts"),
    "joined": (sa.select(User).options(orm.joinedload(User.posts).joinedload(Post.tags)).limit(3), "users posts post_tags tags"),
    "contains": (sa.select(User).join(User.posts).options(orm.contains_eager(User.posts)), "users posts"),
    "criteria": (sa.select(User).join(User.posts).options(orm.with_loader_criteria(Post, lambda cls: cls.id.in_(sa.select(Tag.id)))), "users posts tags"),
    "polymorphic": (sa.select(Animal), "animals cats"),
    "joined_inheritance": (sa.select(Cat), "animals cats"),
    "single_inheritance": (sa.select(Lion), "animals cats"),
    "concrete": (sa.select(union), "rounds squares"),
    "concrete_child": (sa.select(Square), "squares"),
    "order": (sa.select(User.id).order_by(sa.select(Tag.id).limit(1).scalar_subquery()), "users tags"),
    "light": (sa.select(column("x")).select_from(table("Light", schema="s")), "light"),
    "values": (sa.select(sa.values(column("x", sa.Integer), name="v").data([(1,)])), ""),
    "function_table": (sa.select(sa.func.json_each("[]").table_valued("value")), ""),
    "textual": (sa.text("SELECT id FROM tags").columns(column("id")), "tags"),
    "text": (sa.text("SELECT id FROM tags WHERE name = :name"), "tags"),
    "text_from": (sa.select(sa.text("x")).select_from(sa.text("a JOIN b ON true")), "a b"),
    "text_where": (sa.select(Tag).where(sa.text("id IN (SELECT x FROM b)")), "tags b"),
    "text_order": (sa.select(Tag).order_by(sa.text("name DESC")), "tags"),
    "literal": (sa.select(Tag, sa.literal_column("(SELECT x FROM b)")), "tags b"),
    "literal_name": (sa.select(sa.literal_column("tags.id")).select_from(Tag), "tags"),
    "prefix": (sa.select(Tag).prefix_with("/* hint */"), "tags"),
    "from_statement": (sa.select(Tag).from_statement(sa.text("SELECT * FROM tags, b")), "tags b"),
    "from_select": (sa.select(Tag).from_statement(sa.select(Tag).join(Post, sa.true())), "tags posts"),
    "compiles": (sa.select(Tag.id, hidden()), "tags hidden_table"),
    "lambda": (sa.lambda_stmt(lambda: sa.select(Tag)), "tags"),
    "expanding": (sa.select(Tag).where(Tag.id.in_([1, 2])), "tags"),
    "grouped": (sa.select(Tag.name, sa.func.count()).group_by(Tag.name).having(sa.func.max(Tag.id) > 1), "tags"),
    "window": (sa.select(sa.func.row_number().over(order_by=Tag.id)), "tags"),
    "operators": (sa.select(Tag.name.op("||")(Tag.name), sa.extract("year", User.created)), "tags users"),
    "case": (sa.select(sa.case((Tag.id == 1, sa.select(User.id).scalar_subquery()))), "tags users"),
}  # fmt: skip


def answers(statement: Any, dialect: Any) -> tuple[Analysis, Analysis]:
    compiled = statement.compile(dialect=dialect)
    tree_says = analyse_compiled(compiled, dialect.name)
    return tree_says, analyse_text(compiled.string, dialect.name)


CANNOT = {("function_table", "postgresql"), ("lateral", "sqlite")}
CASES = [
    pytest.param(name, dialect, id=f"{name}-{dialect.driver}")
    for name in READS
    for dialect in DIALECTS
    if (name, dialect.name) not in CANNOT
]


@pytest.mark.parametrize(("name", "dialect"), CASES)
def test_reads_every_table(name: str, dialect: Any) -> None:
    statement, tables = READS[name]
    tree_says, text_says = answers(statement, dialect)
    expected = frozenset(tables.split())
    if name == "from_statement":
        assert expected <= tree_says.reads
    else:
        assert tree_says.reads == expected
    assert text_says.reads <= tree_says.reads
    assert (tree_says.uncacheable, text_says.uncacheable) == (None, None)
    assert not tree_says.writes
    assert not tree_says.unknown_write


upsert = sqlite.insert(Tag).values(id=1, name="x")
deleted = sa.delete(Tag).returning(Tag.id).cte("gone")

WRITES: dict[str, tuple[Any, str, str]] = {
    "insert": (sa.insert(Tag).values(id=1), "insert:tags", ""),
    "insert_select": (sa.insert(Tag).from_select(["id"], sa.select(Post.id)), "insert:tags", "posts"),
    "upsert": (upsert.on_conflict_do_update(index_elements=["id"], set_={"name": "y"}), "insert:tags update:tags", ""),
    "or_nothing": (upsert.on_conflict_do_nothing(), "insert:tags", ""),
    "or_replace": (sa.insert(Tag).values(id=1).prefix_with("OR REPLACE"), "insert:tags update:tags delete:tags", ""),
    "update": (sa.update(User).values(name="x").where(User.posts.any()), "update:users", "users posts"),
    "update_from": (sa.update(User).values(name=Tag.name).where(User.id == Tag.id), "update:users", "users tags"),
    "update_scalar": (sa.update(User).values(name=sa.select(Tag.name).scalar_subquery()), "update:users", "users tags"),
    "delete": (sa.delete(Post).where(Post.author_id.in_(sa.select(User.id))), "delete:posts", "posts users"),
    "inherited": (sa.update(Cat).values(id=3), "update:cats", "cats"),
    "returning": (sa.insert(Tag).values(id=1).returning(Tag.id), "insert:tags", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITES)
def test_names_every_write(name: str) -> None:
    statement, writes, reads = WRITES[name]
    tree_says, text_says = answers(statement, sqlite.dialect())
    named = {tuple(write.split(":")) for write in writes.split()}
    assert tree_says.writes == named == text_says.writes
    assert text_says.reads <= tree_says.reads
    assert tree_says.reads == frozenset(reads.split())
    assert tree_says.uncacheable == "writes"
    assert not tree_says.unknown_write


def test_dml_in_a_cte_writes() -> None:
    tree_says, text_says = answers(sa.select(deleted.c.id), postgresql.dialect())
    assert tree_says.writes == text_says.writes == {("delete", "tags")}
    assert tree_says.uncacheable == "writes"


def test_delete_using_reads_the_other_table() -> None:
    statement = sa.delete(Post).where(Post.author_id == User.id)
    tree_says, _ = answers(statement, postgresql.dialect())
    assert tree_says.writes == {("delete", "posts")}
    assert tree_says.reads == {"posts", "users"}


def test_an_update_of_several_tables_writes_them_all() -> None:
    users, tags = User.__table__, Tag.__table__
    statement = sa.update(users).values({users.c.name: "x", tags.c.name: "y"})
    statement = statement.where(users.c.id == tags.c.id)
    answer = analyse_compiled(statement.compile(dialect=mysql.dialect()), "mysql")
    assert answer.writes == {("update", "users"), ("update", "tags")}


@pytest.mark.parametrize(
    ("statement", "dialect", "reason"),
    [
        (sa.select(sa.func.now()), "sqlite", "volatile_function:now"),
        (sa.func.now(), "postgresql", "volatile_function:now"),
        (sa.select(sa.func.current_timestamp()), "sqlite", "volatile_function:current_timestamp"),
        (sa.select(Tag).order_by(sa.func.random()), "sqlite", "volatile_function:random"),
        (sa.select(sa.Sequence("s").next_value()), "postgresql", "volatile_function:nextval"),
        (sa.select(sa.func.frob(Tag.id)), "sqlite", "unknown_function:frob"),
        (sa.select(sa.func.s.lower(Tag.id)), "sqlite", "unknown_function:lower"),
        (sa.select(Vault), "sqlite", "unknown_function:decipher"),
        (sa.select(Tag).with_for_update(), "postgresql", "for_update"),
        (sa.select(sa.tablesample(Tag.__table__, 1)), "postgresql", "volatile_function:tablesample"),
        (sa.select(sa.literal_column("current_user")), "postgresql", "volatile_function:currentuser"),
        (sa.select(sa.func.pg_type_is_visible(1)), "postgresql", "volatile_function:pg_type_is_visible"),
        (sa.select(sa.func.date("now")), "sqlite", "volatile_function:date"),
        (sa.select(sa.func.strftime("%s", "now")), "sqlite", "volatile_function:strftime"),
        (sa.select(sa.func.julianday()), "sqlite", "volatile_function:julianday"),
        (sa.select(sa.cast("now", sa.DateTime)), "postgresql", "volatile_function:now"),
        (sa.select(sa.func.pg_advisory_lock(1)), "postgresql", "side_effect"),
        (sa.select(sa.func.set_config("a", "b", True)), "postgresql", "side_effect"),
    ],
)  # fmt: skip
def test_answers_that_may_not_be_stored(
    statement: Any, dialect: str, reason: str
) -> None:
    answer = analyse_clause(statement, dialect)
    assert answer.uncacheable == reason
    assert answer.locks == ("lock" in str(statement) or reason == "for_update")
    assert answer.context == ("set_config" in str(statement))


@pytest.mark.parametrize(
    "statement",
    [
        sa.select(sa.func.date(User.created)),
        sa.select(sa.func.date(date(2024, 1, 1))),
        sa.select(sa.func.strftime("%Y", User.created)),
        sa.select(sa.func.coalesce(User.name, "now")),
    ],
)
def test_dates_of_columns_are_cacheable(statement: Any) -> None:
    assert analyse_clause(statement, "sqlite").uncacheable is None


def test_ddl_is_told_by_what_it_renders() -> None:
    answer = analyse_clause(sa.schema.CreateTable(Tag.__table__), "postgresql")
    assert (answer.ddl, {table for _, table in answer.writes}) == (True, {"tags"})
    assert analyse_clause(sa.DDL("ALTER TYPE x ADD VALUE 'y'"), "sqlite").unknown_write


def test_savepoints_and_text_are_told_by_their_words() -> None:
    assert analyse_clause(sa.text("COMMIT"), "sqlite").transaction == "commit"
    answer = analyse_clause(sa.sql.elements.SavepointClause("x"), "sqlite")
    assert answer.transaction == "savepoint"


def test_what_cannot_be_rendered_is_unknown() -> None:
    lateral = sa.select(sa.select(Post.id).lateral())
    assert analyse_clause(lateral.where(object.__new__(hidden)), "sqlite") == UNKNOWN


def test_an_answer_is_kept_with_its_statement() -> None:
    compiled = sa.select(Tag).compile(dialect=sqlite.dialect())
    first = analyse_compiled(compiled, "sqlite")
    assert analyse_compiled(compiled, "sqlite") is first


def test_schema_translation_leaves_names_bare() -> None:
    compiled = sa.select(Tag, sa.literal_column("(SELECT 1)")).compile(
        dialect=postgresql.dialect(),
        schema_translate_map={None: "tenant"},
        render_schema_translate=False,
    )
    assert analyse_compiled(compiled, "postgresql").reads == {"tags"}


ENTITIES = st.sampled_from([User, Post, Tag, Forum, Cat, Animal])


@st.composite
def statements(draw: st.DrawFn, depth: int = 2) -> Any:
    entity = draw(ENTITIES)
    statement = sa.select(entity) if draw(st.booleans()) else sa.select(entity.id)
    for kind in draw(st.lists(st.integers(0, 4), max_size=3)):
        inner = draw(statements(depth - 1)) if depth else sa.select(Tag)
        inner = inner.with_only_columns(draw(ENTITIES).id).correlate(None)
        if kind == 0:
            statement = statement.where(entity.id.in_(inner))
        elif kind == 1:
            statement = statement.where(sa.exists(inner))
        elif kind == 2:
            statement = statement.join(inner.subquery(), sa.true())
        elif kind == 3:
            statement = statement.where(
                entity.id == sa.select(inner.cte()).correlate(None).scalar_subquery()
            )
        else:
            statement = statement.add_columns(inner.limit(1).scalar_subquery())
    return statement


@given(statements(), st.sampled_from(DIALECTS))
def test_the_sql_never_says_more_than_the_tree(statement: Any, dialect: Any) -> None:
    tree_says, text_says = answers(statement, dialect)
    assert text_says.uncacheable is None
    assert text_says.reads == tree_says.reads
    assert text_says.functions == tree_says.functions
