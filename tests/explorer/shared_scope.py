"""
What the explorer is to look through: who takes part, and what may go wrong.
"""

from __future__ import annotations


class Scope:
    """
    Who takes part, what may go wrong, and which rule is off.

    `readers` are processes' numbers and kinds; `writers` are those of processes.
    """

    def __init__(
        self,
        readers: tuple[tuple[int, str], ...],
        writers: tuple[int, ...] = (),
        *,
        warm: tuple[int, ...] = (),
        near: tuple[int, ...] = (),
        before: tuple[str, ...] = (),
        claims: bool = False,
        inside: bool = False,
        polls: int = 0,
        evicted: int = 0,
        flushed: int = 0,
        restored: int = 0,
        lapsing: int = 0,
        asking: int = 0,
        dying: int = 0,
        passing: int = 0,
        off: str = "",
    ) -> None:
        self.readers = readers
        self.writers = writers
        self.warm = warm
        """Processes that have the answer when the story begins."""
        self.near = near
        """Those that give it out again without asking, for a while."""
        self.before = before
        """What has happened when the story begins."""
        self.claims = claims
        self.inside = inside
        """Commits announce themselves, inside their own transactions."""
        self.polls = polls
        """How often those ask what was announced."""
        self.asking = asking
        """How often databases are asked of the transactions that fences name."""
        self.budget = {
            "evicted": evicted,
            "flushed": flushed,
            "restored": restored,
            "lapsing": lapsing,
            "asking": asking,
            "dying": dying,
            "passing": passing,
        }
        self.off = off
