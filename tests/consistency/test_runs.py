"""
Real runs, short ones: no cache is found innocent, a wrong one guilty.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from consistency import events, report, run
from consistency.contenders import CONTENDERS, Contender
from consistency.crew import Crew, PlayerError
from consistency.environments import PEERS, interpreter, surroundings
from consistency.events import WRITE, Event
from consistency.judge import judge
from consistency.places import PLACES
from consistency.stage import Load, Outcome, Stage, outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.services import PostgresServer

# processes have to start and import before they play: a busy machine takes its time
pytestmark = pytest.mark.timeout(180)

# so many writes to so few rows that readers and writers meet all the time
CROWDED = Load(reads=500, processes=2, tasks=4, rows=2, writes=0.2)
QUIET: Any = lambda _events: None  # noqa: E731 - what is told of the progress


@pytest.fixture
def stage(postgres_server: PostgresServer) -> Stage:
    return Stage(postgres_server)


@pytest.fixture
def crew(stage: Stage, tmp_path: Path) -> Iterator[Crew]:
    """
    Two processes without a cache that are ready, and go on until they are told to end.
    """
    contender, load = CONTENDERS["uncached"], Load(reads=10**6, processes=2)
    with stage.opened(load.rows) as scene:
        parts = scene.parts(contender, load)
        python, environment = interpreter(contender), surroundings(contender)
        with Crew.ready(python, parts, environment, tmp_path) as ready:
            yield ready


def test_no_cache_is_never_stale(stage: Stage) -> None:
    contender, told = CONTENDERS["uncached"], []
    seen = stage.play(contender, replace(CROWDED, reads=300), told.append)
    assert told
    assert seen.verdict.good
    assert seen.verdict.reads == 300
    assert seen.verdict.writes > 5
    assert (seen.hit_ratio, seen.failures) == (0.0, {})
    assert seen.ways == {0: ["write", "session"], 1: ["write", "session"]}
    assert run.wrong(contender, seen) == []
    assert report.examples(contender, seen) == []


@pytest.mark.night
@pytest.mark.parametrize("store", PLACES)
def test_each_store_has_the_same_history_check(
    postgres_server: PostgresServer, store: str
) -> None:
    contender = CONTENDERS["yokedcache"]
    quiet = Load(reads=2000, processes=2, tasks=4, writes=0.01)
    seen = Stage(postgres_server, store).play(contender, quiet, QUIET)
    assert seen.verdict.good
    assert seen.verdict.reads == 2000
    assert seen.verdict.writes
    assert seen.failures == {}
    assert seen.loads < 2000  # something was answered


def test_delete_after_commit_is_found_out(stage: Stage) -> None:
    contender = CONTENDERS["by_hand"]
    # one read in twelve or so is old; whether one is older than a read is rarer chance
    seen = stage.play(contender, replace(CROWDED, reads=3000), told=QUIET)
    assert seen.verdict.stale
    assert seen.verdict.worst > 0
    assert 0 < seen.verdict.stale_share < 1
    assert seen.hit_ratio > 0
    # it only stands there for comparison
    assert run.wrong(contender, seen) == []
    held = Contender("by_hand", "held to it", must_hold=True)
    (complaint,) = run.wrong(held, seen)
    assert complaint.startswith("held to it: no read may be older")
    shown = report.examples(contender, seen)
    assert report.SHOWN <= len(shown) <= 2 * report.SHOWN
    assert "older than a commit before it\n" in shown[0]
    assert "  write, process " in shown[0]


def test_process_that_is_killed_has_told_of_its_commits(crew: Crew) -> None:
    crew.begin()
    victim, other = crew.members
    both = threading.Event()
    watcher = threading.Thread(target=_watch, args=(crew, both), daemon=True)
    watcher.start()
    assert both.wait(120)
    victim.process.kill()
    victim.process.wait()
    with pytest.raises(PlayerError, match="process 0 of uncached ended without"):
        victim.counted()
    victim.kill()
    other.dismiss()
    crew.wait(10, told=QUIET)
    log = list(events.read(Path(victim.part.log)))
    seen = outcome(crew)
    assert any(event.way == WRITE for event in log)
    assert seen.verdict.good
    assert seen.verdict.writes > 1


def _watch(crew: Crew, both: threading.Event) -> None:
    logs = [Path(member.part.log) for member in crew.members]
    while not all(map(_has_written, logs)):
        both.wait(0.05)
    both.set()


def _has_written(log: Path) -> bool:
    return any(event.way == WRITE for event in events.read(log))


def test_contender_that_breaks_says_why(stage: Stage) -> None:
    load = Load(reads=1, processes=1)
    with pytest.raises(PlayerError, match=r"(?s)is not ready.*No module named"):
        stage.play(Contender("nobody", "nobody"), load, told=QUIET)


def outcome_of(*history: Event, loads: int = 0, failures: int = 0) -> Outcome:
    counted = Counter({"OSError: gone": failures} if failures else {})
    return Outcome(judge(history), {0: ["write", "session"]}, loads, counted)


READ, WRITTEN = Event(1, 1, 3, 4, way=1), Event(1, 1, 1, 2, way=WRITE)
STRICT = Contender("any", "strict", must_hold=True, must_hit=True)
LOOSE = Contender("any", "loose")


@pytest.mark.parametrize(
    ("seen", "strict", "loose"),
    [
        (outcome_of(WRITTEN, READ), [], []),
        (outcome_of(WRITTEN, *[READ] * 10, loads=8), [], []),
        (outcome_of(WRITTEN, READ, loads=1), ["so it proves nothing"], []),
        (outcome_of(WRITTEN, READ, failures=1), ["may fail"], []),
        (outcome_of(WRITTEN, READ._replace(value=0)), ["may be older"], []),
        (outcome_of(READ), ["nothing was tested"], ["nothing was tested"]),
        (outcome_of(WRITTEN), ["was tested", "proves nothing"], ["was tested"]),
    ],
)
def test_what_fails_a_run(seen: Outcome, strict: list[str], loose: list[str]) -> None:
    for contender, expected in ((STRICT, strict), (LOOSE, loose)):
        complaints = run.wrong(contender, seen)
        assert len(complaints) == len(expected)
        for complaint, part in zip(complaints, expected, strict=True):
            assert complaint.startswith(f"{contender.title}: ")
            assert part in complaint


def test_near_by_something_was_given_out_without_asking() -> None:
    contender, seen = CONTENDERS["near"], outcome_of(WRITTEN, *[READ] * 100)
    assert run.wrong(contender, replace(seen, near=5)) == []
    (complaint,) = run.wrong(contender, replace(seen, near=4))
    assert complaint.endswith("4 answers near by, so it proves nothing")


def test_fewer_reads_than_were_asked_for_fail_a_run() -> None:
    seen = outcome_of(WRITTEN, *[READ] * 10)
    assert run.wrong(STRICT, seen, 10) == []
    assert run.wrong(STRICT, seen, 11) == ["strict: 10 reads were judged, not 11"]
    assert run.wrong(LOOSE, seen, 11) == []


@pytest.mark.parametrize(
    ("arguments", "due"),
    [([], 1_000_000), (["--reads", "50"], 50), (["--seconds", "9"], 0)],
)
def test_reads_are_due_unless_time_is_limited(arguments: list[str], due: int) -> None:
    options = run.parsed(arguments)
    load = run.load_of(CONTENDERS["yokedcache"], options)
    assert run._due(load, options) == due


def test_failures_are_counted_and_shown(stage: Stage) -> None:
    load = Load(reads=20, processes=1, rows=1)
    contender = CONTENDERS["uncached"]
    with stage.opened(rows=1) as scene:
        (part,) = scene.parts(contender, load)
        with stage.postgres.connect(part.database.rpartition("/")[2]) as connection:
            connection.execute("DELETE FROM counters")
        python, environment = interpreter(contender), surroundings(contender)
        with Crew.ready(python, [part], environment, scene.folder) as crew:
            crew.begin()
            crew.wait(10, told=QUIET)
            seen = outcome(crew)
    assert sum(seen.failures.values()) >= 20
    assert "times NoResultFound: No row" in "".join(report.examples(contender, seen))


@pytest.mark.parametrize(
    "contender",
    [one for one in CONTENDERS.values() if one.peers],
    ids=lambda c: c.module,
)
def test_peers_are_pinned(contender: Contender) -> None:
    pins = (PEERS / f"requirements-{contender.module}.txt").read_text().splitlines()
    assert all("==" in pin for pin in pins if not pin.startswith("#"))


@pytest.mark.parametrize(
    "arguments",
    [["--only", "nobody"], ["--processes", "0"], ["--writes", "1"], ["--reads", "-1"]],
)
def test_bad_options_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run.parsed(arguments)
    assert arguments[0] in capsys.readouterr().err


def test_options_make_the_load() -> None:
    options: Any = run.parsed(["--reads", "5", "--writes", "0.5", "--seed", "9"])
    load = run.load_of(CONTENDERS["yokedcache"], options)
    assert (load.reads, load.writes, load.seed) == (5, 0.5, 9)
    usual = run.load_of(CONTENDERS["yokedcache"], run.parsed(["--seed", "1"]))
    assert usual == Load(reads=1_000_000)


def test_other_libraries_know_redis_alone(capsys: pytest.CaptureFixture[str]) -> None:
    for told in (["--only", "by_hand"], ["--fault", "all"]):
        with pytest.raises(SystemExit):
            run.parsed(["--store", "memcached", *told])
    assert "--store memcached is for" in capsys.readouterr().err
    assert run.parsed(["--store", "sqlite"]).only == ["yokedcache"]
