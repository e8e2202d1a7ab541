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
import re
from typing import Final

ORIGIN: Final = 16
MARK: Final = 8
"""Characters of an origin, and those of it that stand for the incarnation."""

_VERSION: Final = re.compile(rb"[A-Za-z0-9_-]{%d}[.][0-9]+" % ORIGIN)


def not_after(version: bytes, note: bytes) -> bool:
    """
    Tell whether a version was surely given no later than a note was taken (rule 6).

    A note is what counters stood at: one, or several with a blank between them.
    """
    limit = _noted(version, note)
    return limit is not None and _number(version) <= limit


def is_next(version: bytes, note: bytes) -> bool:
    """
    Tell whether a version was the first of its counter that was given after a note.
    """
    limit = _noted(version, note)
    return limit is not None and _number(version) == limit + 1


def _noted(version: bytes, note: bytes) -> int | None:
    origin = version.partition(b".")[0] + b"."
    for one in note.split(b" "):
        if one.startswith(origin):
            return _number(one)
    return None


def _number(version: bytes) -> int:
    return int(version.partition(b".")[2])


def of_incarnation(version: bytes, mark: bytes) -> bool:
    """
    Tell whether a version was given in an incarnation, or in any if the mark is empty.
    """
    return version.startswith(mark)


def is_version(text: bytes) -> bool:
    """
    Tell whether bytes are written as a version is.
    """
    return _VERSION.fullmatch(text) is not None


def word(raw: bytes) -> bytes:
    """
    Write bytes as nonces, tokens and owners stand in a value.
    """
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
