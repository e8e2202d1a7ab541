"""
The lock of the interpreter, on which this library relies.

A hit reads dictionaries and counters that others write, one step of the interpreter
at a time. Nothing here has been tried where such steps run side by side.
"""

from __future__ import annotations

import sys

from yokedcache.errors import FreeThreadingError


def check_gil() -> None:
    """
    Refuse to work in an interpreter that runs without its GIL.
    """
    enabled = getattr(sys, "_is_gil_enabled", None)
    if enabled is not None and not enabled():
        msg = (
            "yokedcache has not been tried without the GIL and would rather not "
            "guess: run Python with PYTHON_GIL=1 (or -X gil=1), or a build that has it"
        )
        raise FreeThreadingError(msg)
