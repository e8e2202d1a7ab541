"""
The library's logger, and lines that are said once.
"""

from __future__ import annotations

import logging
import threading

logger = logging.getLogger("yokedcache")

_said: set[tuple[str, str]] = set()
_guard = threading.Lock()
_MOST = 10_000


def once(topic: str, subject: str, message: str, *args: object) -> bool:
    """
    Log a warning once for a topic and subject; tell whether it was said now.
    """
    with _guard:
        if (topic, subject) in _said or len(_said) >= _MOST:
            return False
        _said.add((topic, subject))
    logger.warning(message, *args)
    return True


def forget() -> None:
    """
    Let every line be said again; for tests.
    """
    with _guard:
        _said.clear()
