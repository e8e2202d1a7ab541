"""
When a file came into being: an inode is used again as soon as its file is gone.
"""

from __future__ import annotations

import functools
import os
import struct
from typing import Any, Final

_AT_FDCWD: Final = -100
_STATX_BTIME: Final = 0x800
_SIZE: Final = 256
_TIME_AT: Final = 80
"""Where `struct statx` of Linux has its birth time: seconds, then nanoseconds."""


def birth(path: str) -> str:
    """
    Give the time of a file's birth, or nothing where the system doesn't keep it.
    """
    status: Any = os.stat(path)  # noqa: PTH116 - SQLite gives the whole path
    known = getattr(status, "st_birthtime_ns", getattr(status, "st_birthtime", None))
    if known is not None:
        return str(known)
    statx = _statx()
    if statx is None:
        return ""
    answer = bytearray(_SIZE)
    buffer = (statx.ctypes.c_char * _SIZE).from_buffer(answer)
    if statx.call(_AT_FDCWD, os.fsencode(path), 0, _STATX_BTIME, buffer) != 0:
        return ""
    (mask,) = struct.unpack_from("I", answer)
    if not mask & _STATX_BTIME:
        return ""
    seconds, nanoseconds = struct.unpack_from("qI", answer, _TIME_AT)
    return f"{seconds}.{nanoseconds:09}"


class _Statx:
    def __init__(self) -> None:
        import ctypes

        self.ctypes = ctypes
        self.call = ctypes.CDLL(None).statx


@functools.cache
def _statx() -> _Statx | None:
    """
    Find the system call that tells it, which Python's own `stat` leaves out.
    """
    try:
        return _Statx()
    except (AttributeError, ImportError, OSError):
        return None
