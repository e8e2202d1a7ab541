"""
A blocking application that never installed greenlet is served all the same.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yokedcache

SOURCE = Path(yokedcache.__file__).parents[1]

APP = """
import sys
sys.modules["greenlet"] = None  # as if it weren't installed
from sqlalchemy import create_engine, select, literal_column, text
from sqlalchemy.orm import sessionmaker
from sqlalchemy.pool import StaticPool
from yokedcache import YokedCache, cached, cached_dependency

cache = YokedCache("memory://")
engine = create_engine("sqlite://", poolclass=StaticPool)
with engine.begin() as connection:
    connection.execute(text("CREATE TABLE t (x INTEGER)"))
    connection.execute(text("INSERT INTO t VALUES (7)"))
maker = sessionmaker(engine)
cache.attach(maker)

@cached(cache=cache)
def ask(session):
    return session.execute(text("SELECT x FROM t")).scalar()

for _ in range(3):
    with maker() as session:
        print(ask(session))
print(cache.stats().by_name["__main__.ask"].hits)
"""


def test_cache_works_without_greenlet() -> None:
    done = subprocess.run(
        [sys.executable, "-c", APP],
        check=False,
        capture_output=True,
        text=True,
        env=dict(os.environ, PYTHONPATH=str(SOURCE)),
    )
    assert done.stdout.split() == ["7", "7", "7", "2"], done.stderr
