"""
Errors without the frames in which they were raised.

An error knows those frames, they know their callers', and client libraries keep errors in
variables of theirs. Such a circle keeps all that every caller has, its sessions and open
results too, until Python's collector comes by, which may be never.
"""

from __future__ import annotations


def without_frames(error: BaseException) -> None:
    """
    Have an error, and those that it came of, forget where they were raised.
    """
    seen: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        one = left.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.__traceback__ = None
        left += (one.__cause__, one.__context__)
