"""
Random programs: steps over two sessions and a writer elsewhere.

A program follows from its schema and its seed. Each step is drawn from a seed of its
own, so that a step means the same whatever steps are left out around it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.differential import reading, sessions, writing
from tests.differential.statements import CONSUMERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.differential.schemas import Schema

LENGTH = 14
STATEMENTS = 30
"""How many statements the programs of one schema have in common."""

STEPS: dict[str, tuple[Callable[[Any], None], int]] = {
    **reading.STEPS,
    **writing.STEPS,
    **sessions.STEPS,
}


class Step:
    """
    One step of a program: what it says, and what it does to a side.
    """

    def __init__(self, program: Program, number: int) -> None:
        self.program = program
        self.schema = program.schema
        self.number = number
        self.dice = dice = random.Random(f"{program.seed}/{number}")
        self.which = dice.randrange(2)
        names = [name for name in STEPS if program.nests or "nest" not in name]
        self.name = dice.choices(names, [STEPS[name][1] for name in names])[0]
        self.text: str | Callable[[], str] = self.name
        self.act: Callable[[Any], Any] = lambda _: None
        STEPS[self.name][0](self)

    def __str__(self) -> str:
        text = self.text if isinstance(self.text, str) else self.text()
        return f"{self.number:3}  session {self.which}  {text}"


@dataclass
class Program:
    """
    A schema, a seed and what follows from them.
    """

    schema: Schema
    seed: str
    length: int = LENGTH
    nests: bool = True
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        dice = random.Random(self.seed)
        pool = [f"{self.schema.number}+{number}" for number in range(STATEMENTS)]
        self.favourites = dice.sample(pool, 4)
        self.consumers = dice.sample(list(CONSUMERS), 3)
        self.options = {
            "expire_on_commit": dice.random() < 0.6,
            "autoflush": dice.random() < 0.8,
        }
        self.steps = [Step(self, number) for number in range(self.length)]
