"""
Several operations on one connection, step by step together: one trip for each step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from yokedcache.errors import StoreError
from yokedcache.stores.redis.wire import RefusedError, Request

if TYPE_CHECKING:
    from yokedcache.stores.redis.incarnation import Link
    from yokedcache.stores.redis.operations import Operation
    from yokedcache.stores.redis.wire import Steps


def lockstep(operations: list[Operation[Any]], link: Link) -> Steps[list[Any]]:
    """
    Do operations; give the result of each, or the error that ended it.
    """
    results: list[Any] = [None] * len(operations)
    steps = [operation.steps(link) for operation in operations]
    asked: dict[int, Request] = {}
    for place in range(len(steps)):
        step(steps[place], None, place, asked, results)
    while asked:
        answers = yield packet(asked)
        asked = sent_on(steps, asked, answers, results)
    return results


def packet(asked: dict[int, Request]) -> Request:
    """
    Make one request of what several operations ask.
    """
    return Request(
        b"".join(request.packed for request in asked.values()),
        sum(request.count for request in asked.values()),
    )


def sent_on(
    steps: list[Any],
    asked: dict[int, Request],
    answers: list[Any],
    results: list[Any],
) -> dict[int, Request]:
    """
    Give each operation its answers; give what they ask next.
    """
    following: dict[int, Request] = {}
    start = 0
    for place, request in asked.items():
        end = start + request.count
        step(steps[place], answers[start:end], place, following, results)
        start = end
    return following


def step(
    steps: Any,
    answers: list[Any] | None,
    place: int,
    following: dict[int, Request],
    results: list[Any],
) -> None:
    """
    Give an operation its answers; take what it asks next, or what came of it.
    """
    try:
        following[place] = steps.send(answers)
    except StopIteration as stop:
        results[place] = stop.value
    except (RefusedError, StoreError) as error:
        results[place] = error
