"""
Large payloads are compressed, and come back whole or not at all.
"""

from __future__ import annotations

import os
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yokedcache.codec import compression, frame
from yokedcache.codec.compression import SMALLEST, compress, decompress
from yokedcache.codec.registry import DEFAULT, dump, load
from yokedcache.errors import PayloadError

LARGE = [{"id": n, "name": f"name {n}"} for n in range(500)]


@pytest.fixture(params=["zstd", "zlib"], autouse=True)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """
    Have the payloads of a test written by one of both.
    """
    name: str = request.param
    if name == "zlib":
        monkeypatch.setattr(compression, "zstd", lambda: None)
    else:
        assert compression.zstd() is not None
    return name


def test_what_is_large_takes_less() -> None:
    plain = DEFAULT.encode(LARGE)
    stored = dump(LARGE)
    assert len(stored) < len(plain) / 3
    assert frame.unpack(stored).flags == frame.COMPRESSED
    assert load(stored) == LARGE


def test_what_is_small_or_gains_nothing_stays_as_it_is() -> None:
    for value in (b"a" * (SMALLEST - 100), os.urandom(2 * SMALLEST)):
        stored = dump(value)
        assert frame.unpack(stored).flags == 0
        assert load(stored) == value


@given(st.binary(max_size=40), st.integers(100, 2000))
def test_it_comes_back(piece: bytes, times: int) -> None:
    data = piece * times
    small = compress(data)
    if small is not None:
        assert decompress(small, len(data)) == data
        assert len(small) < len(data)


@pytest.mark.parametrize("cut", [1, 5, -5, -1])
def test_a_piece_of_it_is_a_payload_that_cannot_be_read(cut: int) -> None:
    small = compress(b"abc" * SMALLEST)
    assert small is not None
    with pytest.raises(PayloadError):
        decompress(small[:cut], 10**6)


def test_other_bytes_are_refused_as_well() -> None:
    small = compress(b"abc" * SMALLEST)
    assert small is not None
    for data in (b"", b"\x01", b"\x02", b"\x07" + small[1:], small[:1] + b"x" * 50):
        with pytest.raises(PayloadError):
            decompress(data, 10**6)


def test_a_bomb_does_not_go_off() -> None:
    small = compress(b"\0" * 10_000_000)
    assert small is not None
    assert len(small) < 100_000
    with pytest.raises(PayloadError, match="larger than the limit of 1000000 bytes"):
        decompress(small, 1_000_000)
    with pytest.raises(PayloadError, match="larger than the limit"):
        load(dump("a" * 5_000_000), limit=1_000_000)


def test_who_lacks_zstd_says_so(monkeypatch: Any, kind: str) -> None:
    small = compress(b"abc" * SMALLEST)
    monkeypatch.setattr(compression, "zstd", lambda: None)
    assert small is not None
    if kind == "zstd":
        with pytest.raises(PayloadError, match="zstd, which isn't here"):
            decompress(small, 10**6)
    else:
        assert decompress(small, 10**6) == zlib.decompress(small[1:])
