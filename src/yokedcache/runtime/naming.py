"""
What stands in keys for this process and for its cached functions.
"""

from __future__ import annotations

import os
from typing import Final, Protocol
from weakref import WeakValueDictionary

from yokedcache.core.classes import call_process
from yokedcache.runtime.forks import after_fork

_process = ""


class Named(Protocol):
    """
    Something whose token in keys is this process's own.
    """

    def shared_name(self) -> str | None:
        """
        Give what stands for it in every process; `None` if nothing does.
        """


named: Final[WeakValueDictionary[str, Named]] = WeakValueDictionary()
"""Whose token in keys is whose."""


def this_process() -> str:
    """
    Give the name that no other process has, nor had.
    """
    return _process


def _call_this_process() -> None:
    global _process  # noqa: PLW0603 - the process's
    _process = os.urandom(8).hex()
    call_process(f"{_process}.")


_call_this_process()
after_fork(_call_this_process)
