"""
Making a failing program small: fewer steps that still differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.differential.programs import Program, Step
    from tests.differential.running import Arena, Difference

ATTEMPTS = 200
"""How often a program is run again to make it smaller."""


def minimise(
    arena: Arena, program: Program, found: Difference
) -> tuple[list[Step], Difference]:
    """
    Give few steps of a program on which the sides differ, and how.

    Halves are left out first, then quarters, then single steps (delta debugging).
    """
    steps = list(program.steps)
    if found.step is not None:
        steps = steps[: found.step.number + 1]
    left = ATTEMPTS
    size = max(len(steps) // 2, 1)
    while left:
        smaller = None
        for start in range(0, len(steps), size):
            rest = steps[:start] + steps[start + size :]
            left -= 1
            seen = arena.run(program, rest)
            if seen is not None:
                smaller = rest, seen
                break
            if not left:
                break
        if smaller is not None:
            steps, found = smaller
        elif size == 1:
            break
        else:
            size //= 2
    return steps, found
