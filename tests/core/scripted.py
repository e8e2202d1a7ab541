"""
A scripted host for the plans: a list of expected operations and answers.
"""

from __future__ import annotations

from typing import Any

import pytest

from yokedcache.core import operations as ops
from yokedcache.core.entry import Entry, Lifetime
from yokedcache.core.flights import Flight, Role, Seat
from yokedcache.core.freshness import Verdict
from yokedcache.core.operations import (
    Found,
    Land,
    Load,
    Loaded,
    Seal,
    Sealed,
    Store,
    TakeStamp,
)
from yokedcache.core.plans import Answer, answer_call
from yokedcache.core.tags import Fence, Stamp, Vector


def make(value: object, vector: Vector = ()) -> Entry:
    return Entry(
        value,
        copier=None,
        vector=vector,
        born=0.0,
        cost=0.0,
        lifetime=Lifetime(10.0),
        weight=1,
    )


ENTRY = make("stored")
NEWER = make("loaded")
NOTHING = Found(None, Verdict.GONE)
STAMP = Stamp((), 0, fenced=False)
LOADED = Loaded("loaded")
SEALED = Sealed(NEWER)
ALONE = Seat(Role.ALONE)
FENCE = Fence(())


class Cancelled(BaseException):
    """
    Something that no plan may swallow.
    """


Script = list[tuple[type[ops.Op[Any]], Any]]


def run(
    plan: ops.Plan[Any], script: Script, asked: list[ops.Op[Any]] | None = None
) -> Any:
    """
    Drive a plan through a script to its end; note what it asked for.
    """
    asked = [] if asked is None else asked
    op: Any = next(plan)
    for number, (kind, answer) in enumerate(script):
        asked.append(op)
        assert type(op) is kind, f"step {number}: {type(op).__name__}"
        last = number == len(script) - 1
        try:
            thrown = isinstance(answer, BaseException)
            op = plan.throw(answer) if thrown else plan.send(answer)
        except StopIteration as stop:
            assert last, f"it ended at step {number}"
            return stop.value
    pytest.fail(f"it goes on with {type(op).__name__}")


def leading() -> Seat:
    return Seat(Role.LEAD, Flight("k", 1))


def waiting(*, landed: bool = True, sealed: Sealed | None = None) -> Seat:
    flight = Flight("k", 1)
    flight.landed, flight.sealed = landed, sealed
    return Seat(Role.WAIT, flight)


def call(*, ticket: int = 1, force: bool = False) -> ops.Plan[Answer]:
    return answer_call("k", ("t",), ticket=ticket, force=force)


def load(seat: Seat, *, refused: str | None = None) -> Script:
    flown: Script = [(Land, None)] if seat.role is Role.LEAD else []
    return [
        (TakeStamp, STAMP),
        (Load, LOADED),
        (Seal, SEALED),
        (Store, refused),
        *flown,
    ]
