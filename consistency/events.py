"""
What was read and written, when and by whom: one event each, one log a process.

A log is a file of records of one length, so what a killed process left is whole up
to its last record. Times are CLOCK_MONOTONIC, which on Linux is one clock for all
processes of the machine.
"""

from __future__ import annotations

import os
import struct
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WRITE = 0
"""The way of a write; those of reads are numbered from 1."""
BEGUN, REFUSED, BROKEN, UNANSWERED = 252, 253, 254, 255
"""
Not ways but marks: a write is begun, one was refused before its COMMIT was sent, one
failed in another way, a read failed. They have no value.
"""
MARKS = frozenset({BEGUN, REFUSED, BROKEN, UNANSWERED})

_RECORD = struct.Struct("<BBHHHqqq")


class Event(NamedTuple):
    """
    A read, or a write whose commit has returned.

    It began before and ended after anything was asked, so that the moment at which it
    took effect lies in between.
    """

    row: int
    value: int
    began: int
    ended: int
    process: int = 0
    task: int = 0
    way: int = WRITE
    loaded: bool = False
    """A read that sent a SELECT of its own."""
    near: bool = False
    """A read that nobody was asked for: its process had been told the answer before."""


def now() -> int:
    """
    Read the machine's clock, in nanoseconds.
    """
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


class Log:
    """
    The end that a process writes; its threads may share it.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def note(self, event: Event) -> None:
        """
        Add an event.

        A write is on its way to the file at once, when it begins and when it is done:
        whoever is killed afterwards has still told of it, and reads that are older than
        it are found out.
        """
        row, value, began, ended, process, task, way, loaded, near = event
        signs = loaded | near << 1
        self._file.write(
            _RECORD.pack(way, signs, process, task, row, value, began, ended)
        )
        if way in (WRITE, BEGUN):
            self._file.flush()

    def close(self) -> None:
        self._file.close()


def read(path: Path) -> Iterator[Event]:
    """
    Give the events of a log, but for a record that was cut short.
    """
    return _events(path.read_bytes())


def _events(data: bytes) -> Iterator[Event]:
    whole = len(data) - len(data) % _RECORD.size
    for way, signs, process, task, row, value, began, ended in _RECORD.iter_unpack(
        memoryview(data)[:whole]
    ):
        loaded, near = bool(signs & 1), bool(signs & 2)
        yield Event(row, value, began, ended, process, task, way, loaded, near)


def tail(path: Path, count: int) -> list[Event]:
    """
    Give the last events of a log that is being written, so many at the most.
    """
    with path.open("rb") as log:
        end = log.seek(0, os.SEEK_END) // _RECORD.size
        log.seek(max(0, end - count) * _RECORD.size)
        return list(_events(log.read(count * _RECORD.size)))
