"""
The machine that the processes share: its clock, and which of its lives this is.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


def _read_boot() -> str:
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


BOOT: Final = _read_boot()
"""
Names the time since the machine was started; empty where it can't be known.

What a machine loses that stops at once, others may have relied on. Where this is known,
nothing outlives it, and the file needs no care for that: writing it waits for no disk.
"""


def now() -> int:
    """
    Tell the time in milliseconds, the same in all processes of the machine.

    Where the machine's lives can't be told apart, it has to go on over them.
    """
    return round((time.monotonic() if BOOT else time.time()) * 1000)
