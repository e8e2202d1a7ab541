"""
Errors without the frames in which they were raised.

An error knows those frames, they know their callers', and client libraries keep errors in
variables of theirs. Such a circle keeps all that every caller has, its sessions and open
results too, until Python's collector comes by, which may be never.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType


def without_frames(error: BaseException) -> None:
    """
    Have an error, and those that it came of, forget where they were raised.

    Not what a caller is handling meanwhile, which is the context of what is raised then:
    that was caught in a frame that still runs, or where nobody can tell any more.
    """
    running = _running(sys._getframe(1))  # noqa: SLF001 - there is no other way to it
    seen: set[int] = set()
    left = [error]
    while left:
        one = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        one.__traceback__ = None
        if one.__cause__ is not None:
            left.append(one.__cause__)
        context = one.__context__
        if context is not None and not _is_handled(context, running):
            left.append(context)


def _is_handled(error: BaseException, running: set[FrameType]) -> bool:
    traceback = error.__traceback__
    return traceback is None or traceback.tb_frame in running


def _running(frame: FrameType | None) -> set[FrameType]:
    found = set()
    while frame is not None:
        found.add(frame)
        frame = frame.f_back
    return found
