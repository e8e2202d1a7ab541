"""
Logs of events: what is written is read, whatever became of the process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from consistency.events import Event, Log, now, read

if TYPE_CHECKING:
    from pathlib import Path

WRITE = Event(row=3, value=10**12, began=now(), ended=now(), process=7, task=9)
READ = Event(row=65_535, value=0, began=1, ended=2, process=65_535, task=1, way=255)


def test_log_gives_back_what_was_noted(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = Log(path)
    log.note(READ)
    log.note(WRITE)
    log.close()
    assert list(read(path)) == [READ, WRITE]


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("near", [False, True])
def test_log_keeps_how_a_read_was_answered(
    tmp_path: Path, *, loaded: bool, near: bool
) -> None:
    log = Log(tmp_path / "log")
    log.note(READ._replace(loaded=loaded, near=near))
    log.close()
    (event,) = read(tmp_path / "log")
    assert (event.loaded, event.near) == (loaded, near)


def test_write_is_in_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = Log(path)
    log.note(READ)
    log.note(WRITE)
    assert list(read(path)) == [READ, WRITE]
    log.close()


def test_record_that_was_cut_short_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = Log(path)
    log.note(WRITE)
    log.note(WRITE)
    log.close()
    path.write_bytes(path.read_bytes()[:-1])
    assert list(read(path)) == [WRITE]


def test_nothing_was_noted(tmp_path: Path) -> None:
    path = tmp_path / "log"
    Log(path).close()
    assert list(read(path)) == []
