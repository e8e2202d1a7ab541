"""
Fill the blog: a given number of rows in all, the same ones every time.
"""

from __future__ import annotations

import datetime as dt
import random
from typing import TYPE_CHECKING

from sqlalchemy import insert

from blog.models import Base, Comment, Post, Tag, User, post_tags

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.engine import Engine

TOPICS = (
    *("asyncio", "caching", "commits", "databases", "decorators", "fences", "indexes"),
    *("generators", "joins", "keys", "locks", "mappers", "orm", "parsing", "queries"),
    *("rows", "sessions", "tables", "threads", "typing"),
)
START = dt.datetime(2026, 1, 1)  # noqa: DTZ001 - SQLite keeps no zones
SENTENCE = "Nothing is as fast as the statement that is never sent. "
BATCH = 10_000


def seed(engine: Engine, rows: int) -> int:
    """
    Make the tables and about `rows` rows in them; give how many there are.
    """
    Base.metadata.create_all(engine)
    users, posts = max(10, rows // 50), max(20, rows // 5)
    links = posts * 2
    comments = max(0, rows - users - posts - links - len(TOPICS))
    chance = random.Random(7)
    total = 0
    with engine.begin() as connection:
        for table, made in (
            (User.__table__, _users(users)),
            (Tag.__table__, _tags()),
            (Post.__table__, _posts(posts, users, chance)),
            (post_tags, _links(posts)),
            (Comment.__table__, _comments(comments, posts, users, chance)),
        ):
            for batch in _batches(made):
                connection.execute(insert(table), batch)
                total += len(batch)
    return total


def _batches(made: Iterator[dict[str, object]]) -> Iterator[list[dict[str, object]]]:
    batch: list[dict[str, object]] = []
    for row in made:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _users(count: int) -> Iterator[dict[str, object]]:
    for number in range(1, count + 1):
        yield {
            "id": number,
            "username": f"user{number}",
            "full_name": f"User Number {number}",
            "is_active": number % 10 != 0,
        }


def _tags() -> Iterator[dict[str, object]]:
    for number, name in enumerate(TOPICS, 1):
        yield {"id": number, "name": name}


def _posts(
    count: int, users: int, chance: random.Random
) -> Iterator[dict[str, object]]:
    for number in range(1, count + 1):
        yield {
            "id": number,
            "title": f"On {chance.choice(TOPICS)} and {chance.choice(TOPICS)}, part {number}",
            "content": SENTENCE * chance.randint(2, 8),
            "published": number % 4 != 0,
            "created_at": START + dt.timedelta(minutes=number),
            "author_id": chance.randint(1, users),
        }


def _links(posts: int) -> Iterator[dict[str, object]]:
    for number in range(1, posts + 1):
        first = number % len(TOPICS)
        yield {"post_id": number, "tag_id": first + 1}
        yield {"post_id": number, "tag_id": (first + 7) % len(TOPICS) + 1}


def _comments(
    count: int, posts: int, users: int, chance: random.Random
) -> Iterator[dict[str, object]]:
    for number in range(1, count + 1):
        yield {
            "id": number,
            "body": f"Comment {number}: {SENTENCE}",
            "post_id": chance.randint(1, posts),
            "author_id": chance.randint(1, users),
        }
