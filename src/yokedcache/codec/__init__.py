"""
From values to bytes and back, exactly or not at all.

A codec turns a value into bytes that give an equal value of the same type, or
raises `ValueNotStorableError`; bytes that it can't read raise `PayloadError`,
which the cache counts as a miss. `frame` wraps the bytes so that what is
truncated, foreign or corrupted is known before a codec sees it, `registry`
knows the codecs by number and name.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Codec(Protocol):
    """
    What turns values into bytes and back.
    """

    @property
    def name(self) -> str:
        """
        The name by which settings choose the codec.
        """

    def encode(self, value: object) -> bytes:
        """
        Give bytes for a value, or raise `ValueNotStorableError`.
        """

    def decode(self, data: bytes | memoryview) -> object:
        """
        Give the value of bytes, or raise `PayloadError`.
        """
