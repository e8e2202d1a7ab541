"""
Processes that meet: names, places, silence, ends. Each presence stands for a process.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.runtime.waiting import LIMIT
from yokedcache.runtime import meeting, presence
from yokedcache.runtime.presence import Presence, same

if TYPE_CHECKING:
    from collections.abc import Iterator


class Notes:
    """
    A listener that keeps what it hears.
    """

    def __init__(self) -> None:
        self.arrivals: list[str] = []
        self.gone = threading.Event()

    def arrived(self, name: str) -> None:
        self.arrivals.append(name)

    def left(self, name: str) -> None:
        self.gone.set()

    def grace(self, name: str) -> float:
        return 0.0


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    parent = tempfile.mkdtemp(prefix="yc-")
    monkeypatch.setenv("YOKEDCACHE_RUN_DIR", parent)
    yield Path(parent) / f"yokedcache-{os.getuid()}"
    shutil.rmtree(parent)


def joined(name: str) -> Notes:
    notes = Notes()
    assert Presence(notes).join(name)
    return notes


def silent_door(place: Path) -> socket.socket:
    door = socket.socket(socket.AF_UNIX)
    door.bind(os.fspath(place / "1-silent"))
    door.listen()
    return door


def test_names_of_a_kind() -> None:
    assert same("pg:a", "pg:a")
    assert not same("pg:a", "pg:b")
    assert same("pg:?", "pg:a")
    assert same("pg:a", "pg:?")
    assert not same("pg:?", "sqlite:a")


def test_both_know_when_the_second_has_joined(place: Path) -> None:
    first, other, second = joined("pg:a"), joined("pg:b"), joined("pg:a")
    assert first.arrivals == second.arrivals == ["pg:a"]
    assert other.arrivals == []


def test_a_database_without_a_name_may_be_any_of_its_kind(place: Path) -> None:
    first, other = joined("pg:a"), joined("sqlite:b")
    joined("pg:?")
    assert first.arrivals == ["pg:a"]
    assert other.arrivals == []
    assert joined("pg:c").arrivals == ["pg:c"]  # it came later, and asks


def test_who_is_gone_is_missed(place: Path) -> None:
    first, notes = joined("pg:a"), Notes()
    second = Presence(notes)
    second.join("pg:a")
    for other in list(second._met):
        other.shutdown(socket.SHUT_RDWR)
    assert first.gone.wait(LIMIT)


def test_who_lives_and_says_nothing_is_not_waited_for_for_ever(
    place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(presence, "PATIENCE", 0.01)
    assert len(meeting.meeting_places()) == 1
    with silent_door(place) as door:
        notes = joined("pg:a")
        assert notes.arrivals == ["pg:a"]  # it may use the same
        assert "doesn't answer" in caplog.text
        guest, _ = door.accept()
        guest.recv(100)
        guest.send(b"n")  # at last: it doesn't
        assert notes.gone.wait(LIMIT)
        guest.close()


def test_a_socket_that_nobody_listens_on_is_swept_away(place: Path) -> None:
    assert len(meeting.meeting_places()) == 1
    silent_door(place).close()
    assert joined("pg:a").arrivals == []
    assert not (place / "1-silent").exists()


def test_a_directory_that_others_reach_into_is_no_place(place: Path) -> None:
    place.mkdir(mode=0o700)
    place.chmod(0o777)
    assert meeting.meeting_places() == []
    assert not Presence(Notes()).join("pg:a")


def test_a_link_is_no_place(place: Path, tmp_path: Path) -> None:
    place.symlink_to(tmp_path)
    assert meeting.meeting_places() == []


def test_a_name_that_is_too_long_for_a_socket_is_no_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setenv("YOKEDCACHE_RUN_DIR", str(long))
    assert meeting.meeting_places() == []


def test_all_run_directories_are_used_each_once(
    monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    monkeypatch.delenv("YOKEDCACHE_RUN_DIR")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(place.parent))
    monkeypatch.setattr(tempfile, "tempdir", str(place.parent))
    found = meeting.meeting_places()
    assert found.count(place) == 1


def test_a_process_that_can_open_nothing_more_knows_that_it_is_blind(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        msg = "can't start new thread"
        raise RuntimeError(msg)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        blind = Presence(Notes())
        assert not blind.join("pg:a")
    assert list(place.iterdir()) == []
    assert joined("pg:a").arrivals == []
