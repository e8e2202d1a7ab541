"""
Two deployments of one application that share a server by accident, such as staging's.

Their functions have the same names and the same code; what differs is the database behind.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from yokedcache.shared.belonging import Belonging

if TYPE_CHECKING:
    from pathlib import Path

    from tests.services.redis import RedisServer

APPLICATION = """
import os
import sys

from sqlalchemy import create_engine, text
from sqlalchemy.orm import sessionmaker

from yokedcache import YokedCache, cached

url, path, value, near = sys.argv[1:]
cache = YokedCache(url, lease=0.2, jitter=0.0, store_timeout=10.0, near=near == "near")
engine = create_engine(f"sqlite:///{path}")
maker = cache.attach(sessionmaker(engine))


@cached(ttl=600)
def first_user():
    with maker() as session:
        return session.scalar(text("SELECT name FROM users"))


@cached(ttl=600)
def greeting():
    return f"hello, {first_user()}"


@cached(ttl=600)
def secret():
    return value


fresh = not os.path.exists(path)
with engine.begin() as connection:
    connection.execute(text("CREATE TABLE IF NOT EXISTS users (name)"))
    if fresh:
        connection.execute(text("INSERT INTO users VALUES (:name)"), {"name": value})
while not cache.sync.set("settled", 1):
    pass
if near == "met":
    with maker() as session:
        session.execute(text("SELECT name FROM users")).all()
first = [first_user(), greeting(), secret()]


def counts():
    names = cache.stats().by_name
    return [names[f"__main__.{name}"] for name in ("first_user", "greeting", "secret")]


while not all(count.hits for count in counts()):
    again = [first_user(), greeting(), secret()]
loads = [count.loads for count in counts()]
print(first, again, loads, cache.stats().unreadable, sep="\\n")
cache.sync.close()
"""


class Run:
    """
    What one process of a deployment was answered.
    """

    def __init__(self, url: str, path: Path, value: str, near: str) -> None:
        command = [sys.executable, "-c", APPLICATION, url, str(path), value, near]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        first, again, loads, unreadable = map(eval, done.stdout.splitlines())
        self.answers = [*first, *again]
        self.loads = loads
        self.unreadable = unreadable


def of(value: str) -> list[str]:
    return [value, f"hello, {value}", value] * 2


@pytest.mark.parametrize(
    ("prefix", "near"),
    [("", "near"), ("", "far"), ("", "met"), ("?prefix=shop", "far")],
)
def test_a_deployment_is_given_no_answers_of_another_ones_database(
    redis_server: RedisServer, tmp_path: Path, prefix: str, near: str
) -> None:
    url = redis_server.url() + prefix
    for value in ("staging", "live"):
        run = Run(url, tmp_path / f"{value}.db", value, near)
        expected = of(value)
        if prefix:  # which says that they mean to share what no database tells apart
            expected[2] = expected[5] = "staging"
        assert run.answers == expected


def test_processes_of_one_deployment_share_their_answers(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    path = tmp_path / "live.db"
    Run(redis_server.url(), path, "live", "far")
    again = Run(redis_server.url(), path, "other", "met")
    assert again.answers == of("live")
    # what doesn't say what it varies on is run once: whoever listens here may change it
    assert again.loads == [1, 1, 0]
    assert again.unreadable == 0


@pytest.mark.parametrize(
    ("names", "used"),
    [
        (["everything", "users", "table:users"], True),
        (["database:pg:7:5", "table:users@pg:7:5"], True),
        (["database:pg:7:6", "table:users@pg:7:6"], False),
        (["database:pg:7:5", "table:users@pg:7:5", "table:users@pg:7:6"], False),
        (["database:my:1", "table:users@my:1/shop"], True),
        (["database:my:1", "table:users@my:1/blog"], False),
        (["database:my:1"], True),
        (["table:a@b@pg:7:5"], True),
    ],
)
def test_all_databases_of_an_answer_must_have_been_met(
    names: list[str], *, used: bool
) -> None:
    belonging = Belonging()
    belonging.meet("pg:7:5")
    belonging.meet("my:1/shop")
    assert belonging.uses(names) is used


def test_what_was_read_from_no_database_bears_those_of_its_process() -> None:
    belonging, other = Belonging(), Belonging()
    belonging.meet("pg:7:5")
    other.meet("pg:7:6")
    borne = belonging.sign(["everything", "table:users"])
    assert len(borne) == 1
    assert not belonging.strange(borne)
    assert other.strange(borne)
    assert belonging.sign(["everything", "database:pg:7:5"]) == []


def test_who_has_met_no_database_is_given_what_was_read_from_none() -> None:
    belonging = Belonging()
    assert belonging.uses(["everything", "users"])
    assert not belonging.uses(["database:pg:7:5"])
    assert not belonging.strange([b"another"])
