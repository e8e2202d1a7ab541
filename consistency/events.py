"""
What was read and written, when and by whom: one event each, one log a process.

A log is a file of records of one length, so what a killed process left is whole up
to its last record. Times are CLOCK_MONOTONIC, which on Linux is one clock for all
processes of the machine.
"""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WRITE = 0
"""The way of a write; those of reads are numbered from 1."""

_RECORD = struct.Struct("<BHHHqqq")


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

        A write is on its way to the file at once: whoever is killed afterwards has
        still told of it, and reads that are older than it are found out.
        """
        row, value, began, ended, process, task, way = event
        self._file.write(_RECORD.pack(way, process, task, row, value, began, ended))
        if way == WRITE:
            self._file.flush()

    def close(self) -> None:
        self._file.close()


def read(path: Path) -> Iterator[Event]:
    """
    Give the events of a log, but for a record that was cut short.
    """
    data = path.read_bytes()
    whole = len(data) - len(data) % _RECORD.size
    for way, process, task, row, value, began, ended in _RECORD.iter_unpack(
        memoryview(data)[:whole]
    ):
        yield Event(row, value, began, ended, process, task, way)
