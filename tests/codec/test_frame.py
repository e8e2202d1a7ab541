"""
What isn't whole, ours and of this version is refused before a codec sees it.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yokedcache.codec import frame
from yokedcache.errors import PayloadError

payloads = st.binary(max_size=64)


@given(payloads, st.integers(0, 255), st.integers(0, frame.KNOWN_FLAGS))
def test_what_is_packed_is_unpacked(payload: bytes, codec: int, flags: int) -> None:
    found = frame.unpack(frame.pack(payload, codec=codec, flags=flags))
    assert found == (codec, flags, payload)


@given(payloads, st.data())
def test_truncation_and_additions_are_found(
    payload: bytes, data: st.DataObject
) -> None:
    packed = frame.pack(payload)
    cut = data.draw(st.integers(0, len(packed) - 1))
    for damaged in (packed[:cut], packed + b"\0", packed[1:]):
        with pytest.raises(PayloadError):
            frame.unpack(damaged)


@given(payloads, st.data())
def test_every_changed_byte_is_found(payload: bytes, data: st.DataObject) -> None:
    packed = bytearray(frame.pack(payload))
    place = data.draw(st.integers(0, len(packed) - 1))
    packed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(PayloadError):
        frame.unpack(bytes(packed))


@given(st.binary(max_size=64))
def test_foreign_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(PayloadError):
        frame.unpack(data)


def test_refusals_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = frame.pack(b"x" * 100)
    with pytest.raises(PayloadError, match="limit") as caught:
        frame.unpack(packed, limit=99)
    assert caught.value.size == 100
    with pytest.raises(PayloadError, match="mark"):
        frame.unpack(b"{}" + packed[2:])
    with pytest.raises(PayloadError, match="head"):
        frame.unpack(b"")
    with pytest.raises(PayloadError, match="flags"):
        frame.unpack(frame.pack(b"", flags=128))
    monkeypatch.setattr(frame, "VERSION", 2)
    with pytest.raises(PayloadError, match="layout 1, not 2"):
        frame.unpack(packed)
