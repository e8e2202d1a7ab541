"""
`make audited` fails on alarms and on nothing else, and not without having audited.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

TESTS = """
from sqlalchemy import create_engine, text
from sqlalchemy.orm import sessionmaker

from yokedcache import YokedCache


def made(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/numbers.db")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE numbers (n INTEGER)"))
    maker = YokedCache(watch_files=False).attach(sessionmaker(engine))

    def numbers():
        with maker() as session:
            return session.scalars(text("SELECT n FROM numbers")).all()

    return numbers


def test_right(tmp_path):
    numbers = made(tmp_path)
    assert [numbers(), numbers()] == [[], []]


def test_wrong(tmp_path):
    numbers = made(tmp_path)
    assert numbers() == []
    import sqlite3

    with sqlite3.connect(tmp_path / "numbers.db") as unheard:
        unheard.execute("INSERT INTO numbers VALUES (1)")
    numbers()


def test_that_fails():
    assert False
"""


@pytest.mark.parametrize(
    ("chosen", "code", "said"),
    [
        (["right", "that_fails"], 0, "1 hits asked of the database again, 0 alarms"),
        (["right", "wrong"], 1, "2 hits asked of the database again, 1 alarms"),
        (["that_fails"], 1, "0 hits asked of the database again, 0 alarms"),
    ],
    ids=["right", "wrong", "nothing"],
)
def test_an_audited_run(
    tmp_path: Path, chosen: list[str], code: int, said: str
) -> None:
    path = tmp_path / "test_some.py"
    path.write_text(TESTS)
    options = [
        "-p",
        "no:cacheprovider",
        "-p",
        "tests.support.audited",
        "-c",
        os.devnull,
    ]
    with tempfile.TemporaryDirectory(prefix="yc-") as alone:
        ran = _run(options, path, chosen, alone)
    assert said in ran.stdout, ran.stdout + ran.stderr
    assert ran.returncode == code, ran.stdout


def _run(
    options: list[str], path: Path, chosen: list[str], alone: str
) -> subprocess.CompletedProcess[str]:
    """
    Run tests where no other process with a cache is seen.
    """
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", *options),
            *(f"{path}::test_{name}" for name in chosen),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "YOKEDCACHE_RUN_DIR": alone},
        capture_output=True,
        text=True,
        check=False,
    )
