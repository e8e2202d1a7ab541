"""
Old bytes stay readable: one stored payload of each version is kept and read.

To add one for a new version, write `dump(SAMPLE)` to a new file here and leave
the old files alone.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from tests.strategies import Box, Colour, Point, Right, Seal, exactly
from yokedcache.codec.registry import dump, load

FOLDER = Path(__file__).parent.parent / "payloads"

SAMPLE: dict[Any, Any] = {
    "plain": [None, True, -1, 2**64, 1.5, "é", "\ud800", b"\xff", bytearray(b"x")],
    "nested": ((1, (2,)), {1: {"a": [()]}}, OrderedDict(b=1, a=2), deque([1], 3)),
    "sets": [{1}, frozenset({"a"})],
    "numbers": [Decimal("1.10"), Fraction(1, 3), 1 + 2j, range(1, 9, 2)],
    "moments": [
        datetime(2026, 1, 2, 3, 4, 5, 678901),  # noqa: DTZ001
        datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc),  # noqa: UP017
        datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=-5), "EST")),
        datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Paris"), fold=1),
        *(date(2026, 1, 2), time(3, 4, 5, 6), timedelta(days=-1, microseconds=5)),
    ],
    "names": [UUID(int=5), ip_address("::1"), ip_network("10.0.0.0/8")],
    "records": [Colour.RED, Right.READ | Right.WRITE, Point(1, 2), Box("b"), Seal(1)],
    (1, "key"): Seal(2),
}


@pytest.mark.parametrize(
    "path", sorted(FOLDER.glob("*.bin")), ids=lambda path: path.name
)
def test_kept_payloads_are_still_read(path: Path) -> None:
    assert exactly(load(path.read_bytes()), SAMPLE)


def test_this_version_writes_what_it_kept() -> None:
    assert dump(SAMPLE) == (FOLDER / "frame1-msgpack.bin").read_bytes()
