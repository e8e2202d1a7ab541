"""
Entries that were cut, changed or written by others are never taken apart.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from yokedcache.stores.envelope import Envelope, Times, Vector, seal, unseal
from yokedcache.stores.redis.layout import TAG_BYTES

MARK = b"abcdefgh"
TIMES = Times(1_700_000_000.25, 1_700_000_060.25, 1_700_000_120.25)


@st.composite
def vectors(draw: st.DrawFn) -> Vector:
    count = draw(st.integers(0, 5))
    digests = draw(st.binary(min_size=TAG_BYTES * count, max_size=TAG_BYTES * count))
    numbers = st.integers(0, 10**14 - 1)
    origins = st.sampled_from([b"abcdefgh12345678", b"abcdefgh-_-_-_-_"])
    made = st.builds(lambda one, number: b"%b.%d" % (one, number), origins, numbers)
    return Vector(digests, draw(st.lists(made, min_size=count, max_size=count)))


def sealed(vector: Vector, payload: bytes) -> bytes:
    return seal(payload, mark=MARK, vector=vector, times=TIMES)


@given(vectors(), st.binary(max_size=50))
def test_what_was_sealed_comes_out(vector: Vector, payload: bytes) -> None:
    found = unseal(sealed(vector, payload))
    assert isinstance(found, Envelope)
    assert found.versions(b"abcdefgX") is None
    assert bytes(found.payload) == payload
    assert Vector(found.digests, found.versions(MARK) or []) == vector
    assert b"".join(found.each_digest()) == vector.digests
    assert found.size == len(vector.versions)
    assert found.times.born == TIMES.born
    assert found.times.fresh_until == TIMES.fresh_until
    assert found.times.stale_until == TIMES.stale_until


@given(vectors(), st.binary(max_size=20), st.data())
def test_cut_bytes_are_refused(
    vector: Vector, payload: bytes, data: st.DataObject
) -> None:
    whole = sealed(vector, payload)
    end = data.draw(st.integers(0, len(whole) - 1))
    assert unseal(whole[:end]) in {"foreign", "truncated"}
    assert unseal(whole + b"x") == "truncated"


@given(vectors(), st.data())
def test_no_byte_of_the_head_can_be_changed(
    vector: Vector, data: st.DataObject
) -> None:
    whole = bytearray(sealed(vector, b"payload"))
    place = data.draw(st.integers(0, len(whole) - len(b"payload") - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    assert isinstance(unseal(bytes(whole)), str)


@given(st.binary(max_size=80) | st.integers() | st.none())
def test_others_bytes_are_foreign(data: object) -> None:
    assert isinstance(unseal(data), str)


def test_times_may_have_no_end() -> None:
    endless = Times(1.0, float("inf"), float("inf"))
    found = unseal(seal(b"", mark=MARK, vector=Vector(b"", []), times=endless))
    assert isinstance(found, Envelope)
    assert found.times.fresh_until == float("inf")
