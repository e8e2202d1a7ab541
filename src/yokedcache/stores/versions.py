"""
Versions of tags, as every shared store writes them: `origin.number`, in ASCII.

An `origin` is where a number comes from: eight characters that stand for the store's
incarnation, its *mark*, and eight that were drawn at random when its counter was made. A
number of one origin is never given twice; a counter that was lost, or lives in another
incarnation, begins a new origin. So a version is never used again, and two of them can be
compared where their origins are equal.
"""

from __future__ import annotations

import base64
from typing import Final

ORIGIN: Final = 16
MARK: Final = 8
"""Characters of an origin, and those of it that stand for the incarnation."""


def not_after(version: bytes, note: bytes) -> bool:
    """
    Tell whether a version was surely given no later than another one (rule 6).
    """
    origin, _, number = version.partition(b".")
    noted, _, limit = note.partition(b".")
    return origin == noted and int(number) <= int(limit)


def is_next(version: bytes, note: bytes) -> bool:
    """
    Tell whether a version was the first that was given after another one.
    """
    origin, _, number = version.partition(b".")
    noted, _, limit = note.partition(b".")
    return origin == noted and int(number) == int(limit) + 1


def of_incarnation(version: bytes, mark: bytes) -> bool:
    """
    Tell whether a version was given in an incarnation.
    """
    return version[:MARK] == mark


def word(raw: bytes) -> bytes:
    """
    Write bytes as nonces, tokens and owners stand in a value.
    """
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
