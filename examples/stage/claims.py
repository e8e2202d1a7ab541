"""
Everything that the demo says is checked; a claim that fails gives exit status 1.
"""

from __future__ import annotations


class Claims:
    """
    The claims made so far.
    """

    def __init__(self, *, timed: bool = True) -> None:
        self.timed = timed
        """Claims about speed are made, too."""
        self.held = 0
        self.failed: list[str] = []

    def check(self, claim: str, holds: bool, seen: object = None) -> bool:  # noqa: FBT001
        """
        Note a claim, and tell whether it holds.
        """
        if holds:
            self.held += 1
        else:
            self.failed.append(
                claim if seen is None else f"{claim} (seen: {seen!r:.300})"
            )
        return holds
