"""
`make demo`, as CI and as a person runs it: in a process of its own, without a terminal.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


def play(
    *arguments: str, code: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    command = ["-c", code] if code else [str(PROJECT / "examples" / "demo.py")]
    return subprocess.run(
        [sys.executable, "-W", "error", *command, *arguments],
        env={**os.environ, "PYTHONPATH": str(PROJECT / "src"), **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=50,
        check=False,
    )


@pytest.fixture(scope="module")
def quick() -> subprocess.CompletedProcess[str]:
    # other tests run meanwhile; `make demo` claims to be faster as well
    return play("--rows", "5000", "--untimed", PYTHONIOENCODING="utf-8")


def test_all_claims_hold(quick: subprocess.CompletedProcess[str]) -> None:
    assert (quick.returncode, quick.stderr) == (0, ""), quick.stdout
    assert "claims checked and true" in quick.stdout
    assert "NO" not in quick.stdout.split()


@pytest.mark.parametrize(
    "line",
    [
        "A blog of 5,000 rows on SQLite",
        "async @cached, profile",
        "500 tasks, one loop",
        "500 threads",
        "depends on table:users, table:posts, table:comments",
    ],
)
def test_shows(quick: subprocess.CompletedProcess[str], line: str) -> None:
    assert line in quick.stdout


def test_is_plain_text_in_a_pipe(quick: subprocess.CompletedProcess[str]) -> None:
    assert "\x1b" not in quick.stdout
    assert max(map(len, quick.stdout.splitlines())) <= 100


def test_works_in_a_terminal_without_unicode() -> None:
    done = play("--rows", "5000", "--untimed", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "####" in done.stdout


def test_a_false_claim_is_told_and_fails() -> None:
    # A cache that is told of no commit at all: the demo must notice.
    code = f"""
import sys
sys.path.insert(0, {str(PROJECT / "examples")!r})
sys.argv = ["demo.py", "--rows", "5000"]
import demo
from yokedcache.sqlalchemy.transactions import ends
assert ends.commit_carrying
ends.commit_carrying = lambda state, holder, send: send()
sys.exit(demo.main())
"""
    done = play(code=code, PYTHONIOENCODING="utf-8")
    assert done.returncode == 1, done.stderr
    assert "claims are not true" in done.stdout
    assert "is fresh after: an object is changed" in done.stdout
