"""
A few cells of the table of faults, for a few seconds each.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from consistency import faults, run
from consistency.cells import PACE, Case, Cell
from consistency.events import BEGUN, WRITE, Event
from consistency.nemeses import NEMESES, Strike, killed_writer
from consistency.promises import find
from consistency.recovery import Recovery
from consistency.signs import FAILURES
from consistency.stage import Load, Stage

if TYPE_CHECKING:
    from tests.services import PostgresServer

pytestmark = pytest.mark.timeout(240)

SECOND = 10**9
STRIKES = (Strike(1 * SECOND, 2 * SECOND),)
WRITTEN = Event(1, 1, SECOND, SECOND + 1, process=0, way=WRITE)
READ = Event(1, 1, 3 * SECOND, 3 * SECOND + 1, process=0, way=1)


def cell(*history: Event, name: str = "stopped", setting: str = "commit") -> Cell:
    return Cell(
        case=Case(NEMESES[name], setting),
        strikes=STRIKES,
        found=find(history, STRIKES),
        ways={0: ["write", "session"]},
        failures={"OSError: gone": 3},
        signs={FAILURES: 1200},
    )


@pytest.mark.parametrize(
    ("fault", "setting"),
    [("killed_writer", "commit"), ("stopped", "refuse")],
)
def test_promise_holds(
    postgres_server: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fault: str,
    setting: str,
) -> None:
    monkeypatch.setattr(killed_writer, "SPARES", 1)
    arguments = ["--fault", fault, "--on-unreachable", setting, "--seed", "1"]
    options = run.parsed([*arguments, "--seconds", "5", "--lease", "0.5"])
    load = Load(reads=1, processes=2, tasks=2, rows=3, writes=0.2)
    complaints = faults.main(Stage(postgres_server), load, options)
    printed = capsys.readouterr().out
    assert complaints == [], printed
    *_, line = (text for text in printed.splitlines() if text.startswith("|"))
    cells = [text.strip() for text in line.strip("|").split("|")]
    assert cells[:3] == [NEMESES[fault].title, setting, "0 stale"]
    assert int(cells[3]) >= 1
    assert int(cells[4].replace(",", "")) > 0


def test_line_of_a_cell_that_held() -> None:
    good = cell(WRITTEN._replace(way=BEGUN), WRITTEN, READ)
    assert faults.wrong(good, PACE) == []
    cells = [text.strip() for text in faults.line(good, PACE).strip("|").split("|")]
    assert cells == [
        "server stopped and continued", "commit", "0 stale", "1", "1", "100%",
        "0", "0", "", "0", "0", "1,200 store failures", "100.00%", "100.0%",
        "0 ms", "1.00 s, 1.00 s", "yes",
    ]  # fmt: skip
    assert len(cells) == len(faults.COLUMNS)


def test_line_of_a_cell_that_did_not() -> None:
    stale = cell(WRITTEN, READ._replace(value=0))
    assert faults.wrong(stale, PACE) == ["1 stale reads"]
    line = faults.line(stale, PACE)
    assert "2,000 ms" in line
    assert line.endswith("| no   |")
    shown = faults.examples(run.CONTENDERS["yokedcache"], stale)
    assert "older than a commit before it" in shown[0]
    assert "read +1,000 ms from the end of a fault of 1,000 ms" in shown[0]
    assert shown[-1] == "3 times OSError: gone"


def test_where_a_violation_fell() -> None:
    early = replace(cell(WRITTEN), strikes=())
    assert faults._when(early, SECOND) == "  before any fault"
    one = replace(early, strikes=(Strike(SECOND, 2 * SECOND, victim=1),))
    assert faults._when(one, SECOND * 3 // 2).endswith("of 1,000 ms, of process 1")


@pytest.mark.parametrize(
    ("recovery", "said"),
    [
        (Recovery((None,) * 3), "never before the next"),
        (Recovery((SECOND, 3 * SECOND, 2 * SECOND)), "2.00 s, 3.00 s"),
        (Recovery((SECOND, None, None)), "1.00 s, 1.00 s (2 not)"),
    ],
)
def test_words_for_recovery(recovery: Recovery, said: str) -> None:
    assert faults.recovered(recovery) == said


def test_options_of_faults() -> None:
    options = run.parsed(["--fault", "cut", "--fault", "calm", "--every", "2"])
    assert faults.chosen(options.fault) == ["cut", "calm"]
    assert faults.chosen(["all"]) == list(NEMESES)
    pace = faults.pace_of(options)
    assert pace == replace(PACE, every=2.0)
    url = pace.url("redis://here:1/0", Case(NEMESES["calm"], "refuse"))
    assert url.startswith("redis://here:1/0?lease=1.0&")
    assert url.endswith("&on_unreachable=refuse&near=false")
    assert pace.url("", Case(NEMESES["near_cut"], "commit")).endswith("&near=0.1")
    load: Any = run.load_of(run.CONTENDERS["yokedcache"], options)
    assert (load.tasks, load.writes) == (4, 0.1)
    with pytest.raises(SystemExit, match="2"):
        run.parsed(["--fault", "earthquake"])
