"""
How the walkers of values say where inside a value they got stuck.

Keys, copies and codecs walk values of any shape. The one that meets something
it can't take raises a `Flaw`; every container on the way out adds its step, so
that a path costs nothing until there is something to say.
"""

from __future__ import annotations

import reprlib


class Flaw(Exception):  # noqa: N818  (never leaves the module that called the walker)
    """
    What is wrong with a part of a value, and the way from the whole to it.
    """

    def __init__(self, culprit: object, reason: str) -> None:
        super().__init__(reason)
        self.culprit = culprit
        self.reason = reason
        self.steps: list[str] = []

    def at(self, step: str) -> None:
        """
        Add the step that led here.
        """
        self.steps.append(step)

    def path(self, name: str) -> str:
        """
        Spell the way to the culprit, beginning with the name of the whole.
        """
        steps = list(reversed(self.steps))
        if len(steps) > LONGEST_PATH:
            steps = [*steps[:LONGEST_PATH], "..."]
        return name + "".join(steps)


LONGEST_PATH = 12
"""Steps shown of a path; a circle would fill the screen."""


def item(key: object) -> str:
    """
    Spell the step into an item of a list or mapping.
    """
    try:
        return f"[{reprlib.repr(key)}]"
    except Exception:  # noqa: BLE001  (a broken repr must not hide the flaw)
        return "[...]"


def type_name(value: object) -> str:
    """
    Name a value's class as a reader would look for it.
    """
    cls = type(value)
    if cls.__module__ == "builtins":
        return cls.__qualname__
    return f"{cls.__module__}.{cls.__qualname__}"
