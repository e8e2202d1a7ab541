"""
The harness measures what it says: turns are paired, bars judged, peers honest.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import count
from pathlib import Path

import measure
import policies
import pytest
import recipe
import schema
import traces
from measure import Effort, Line, Spread
from sqlalchemy import create_engine, event, select
from sqlalchemy.orm import sessionmaker
from sqlalchemy.pool import StaticPool
from worker import Worker

BENCHMARKS = Path(measure.__file__).parent
ROOT = BENCHMARKS.parent


def test_contenders_take_turns_and_are_paired_by_round() -> None:
    speed = iter(count(1))
    runs: list[str] = []

    def slow(calls: int) -> float:
        runs.append("slow")
        return 3.0 * calls

    def fast(calls: int) -> float:
        runs.append("fast")
        return 1.0 * calls + next(speed) * 0

    times = measure.contest({"a": slow, "b": fast}, Effort(rounds=5, turn=9.0))
    assert measure.ratio(times, "a", "b") == Spread(3.0, 3.0, 3.0)
    assert sorted(runs[-2:]) == ["fast", "slow"]
    assert len(times["a"]) == len(times["b"]) == 5


@pytest.mark.parametrize(
    ("median", "bar", "missed"),
    [(0.5, 0.4, True), (0.4, 0.4, False), (9.0, None, False)],
)
def test_bar_must_not_be_exceeded(
    median: float, bar: float | None, missed: bool
) -> None:
    assert Line("what", "figure", "peer", Spread(0, median, 9), bar).missed is missed


def hits(policy: policies.Policy, keys: str) -> str:
    return "".join("x" if policy.ask(ord(key)) else "." for key in keys)


@pytest.mark.parametrize(
    ("name", "room", "keys", "expected"),
    [
        # the third key drives out ...
        ("FIFO", 2, "abacab", "..x..."),  # the first to come
        ("LRU", 2, "abacab", "..x.x."),  # the one not asked for longest
        ("SIEVE", 2, "abacab", "..x.x."),  # the first without a bit: b
        # ... and for e the hand goes on where it stood, past a
        ("SIEVE", 3, "abcadea", "...x..x"),
        ("LRU", 3, "abcadefa", "...x...."),
    ],
)
def test_textbook_policies_are_what_they_are_called(
    name: str, room: int, keys: str, expected: str
) -> None:
    assert hits(policies.POLICIES[name](room), keys) == expected


def test_every_policy_keeps_to_its_room() -> None:
    for policy in policies.POLICIES.values():
        cache = policy(10)
        assert sum(cache.ask(key) for key in range(1000)) == 0
        assert sum(cache.ask(key) for key in range(1000)) <= 10


@pytest.mark.parametrize("title", traces.TRACES)
def test_traces_are_the_same_each_time(title: str) -> None:
    trace = traces.TRACES[title]
    first = list(trace(30_000))
    assert first == list(trace(30_000))
    assert len(set(first)) > 1000


def test_recipe_answers_from_memory() -> None:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    schema.Base.metadata.create_all(engine)
    with sessionmaker(engine).begin() as session:
        session.add_all(map(schema._user, (1, 2)))
    maker = sessionmaker(engine)
    recipe.attach(maker)
    sent: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *args: sent.append(args[2]))
    for number, queries in ((1, 1), (1, 1), (2, 2), (2, 2)):
        with maker() as session:
            found = session.scalars(
                select(schema.User).where(schema.User.id == number)
            ).all()
            assert [user.id for user in found] == [number]
        assert len(sent) == queries
    engine.dispose()


def test_worker_answers_and_tells_errors() -> None:
    environment = dict(os.environ, PYTHONPATH=str(ROOT / "src"))
    with Worker(Path(sys.executable), environment) as worker:
        assert worker.ask("limits", "async", 10) > 0
        assert worker.ask("ours", "stampede", 20) == 1
        assert worker.ask("ours", "stampede_threads", 8) == 1
        with pytest.raises(RuntimeError, match="ModuleNotFoundError"):
            worker.ask("nobody", "async", 10)
        assert worker.ask("lru_cache", "sync", 10) > 0


def test_run_writes_what_it_measured(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    command = [sys.executable, BENCHMARKS / "run.py", "--only", "tags", "--quick"]
    done = subprocess.run(
        [*command, "--json", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (line,) = json.loads(file.read_text())["tags"]
    assert line["what"] == "invalidate_tags, 100,000 entries"
    assert line["ok"] is (line["ratio"]["median"] <= line["bar"])
    assert "1 bars met" in done.stdout


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "section", ["redis_reads", "shared_tags", "shared_hits", "postgres_reads"]
)
def test_sections_that_ask_servers_run(section: str) -> None:
    command = [sys.executable, BENCHMARKS / "run.py", "--only", section, "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert " bars met" in done.stdout
