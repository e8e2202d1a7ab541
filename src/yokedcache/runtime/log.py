"""
The library's logger, and lines that are said once.

`logging` is imported with the first line: most processes never have one, and
importing the library should cost little.
"""

from __future__ import annotations

from typing import Final

from yokedcache.runtime.forks import Guard, after_fork

NAME: Final = "yokedcache"

_said: dict[tuple[str, str], None] = {}
"""In the order in which it was said."""
_guard = Guard()
_MOST = 10_000
"""Lines that are remembered; of more the oldest are forgotten, and may be said again."""


class Logger:
    """
    The part of a `logging.Logger` that the library uses.
    """

    def warning(self, message: str, *args: object, depth: int = 0) -> None:
        """
        Log a warning, as said `depth` calls above the caller.
        """
        import logging

        logging.getLogger(NAME).warning(message, *args, stacklevel=2 + depth)

    def debug(self, message: str, *args: object) -> None:
        """
        Log a detail.
        """
        import logging

        logging.getLogger(NAME).debug(message, *args, stacklevel=2)


logger: Final = Logger()


def once(topic: str, subject: str, message: str, *args: object) -> bool:
    """
    Log a warning once for a topic and subject; tell whether it was said now.
    """
    with _guard:
        if (topic, subject) in _said:
            return False
        while len(_said) >= _MOST:
            del _said[next(iter(_said))]
        _said[topic, subject] = None
    logger.warning(message, *args, depth=1)
    return True


raise_faults = False
"""Let the library's own faults out; for its tests, which must see them."""


def own_fault(error: Exception, where: str) -> None:
    """
    Log a fault of this library that the application must not suffer from.
    """
    if raise_faults:
        raise error
    once(
        "internal_error",
        f"{where}:{type(error).__qualname__}",
        "a fault of yokedcache in %s: %s; the database answers instead. Please report it.",
        where,
        repr(error),  # the text: a log would keep what it was raised in
    )


def forget() -> None:
    """
    Let every line be said again; for tests.
    """
    with _guard:
        _said.clear()


def _after_fork() -> None:
    """
    Let a child say its own lines.
    """
    _said.clear()


after_fork(_after_fork)
