"""
Every order of events in small worlds: the rules hold, and each of them is needed.

`YOKEDCACHE_EXPLORE=deep` tries larger worlds too, for minutes.
"""

from __future__ import annotations

import functools
import os
import random
from contextlib import closing

import pytest

from tests.explorer.search import Outcome
from tests.explorer.search import explore as explored
from tests.explorer.world import Scope, World

F, C, S, H = "function", "captured", "statement", "connected"
N, L = "snapshot", "floating"
ROW: tuple[int, ...] = (0,)
DEEP = os.environ.get("YOKEDCACHE_EXPLORE") == "deep"

SCOPES = {
    "two writers": (Scope((F, F), (ROW, ROW)), 3_400),
    "lost commit": (Scope((F, C), (ROW,), lost=1), 1_700),
    "everything fails": (
        Scope((F, F), (ROW,), lost=1, failing=1, cancelled=1, impatient=1),
        7_500,
    ),
    "loads fail in turn": (Scope((F, F, F, F), (), failing=3), 4_000),
    "warm": (Scope((F, F), (ROW, ROW), warm="fresh"), 500),
    "stale": (Scope((F, F), (ROW,), warm="stale", cancelled=1), 500),
    "two rows": (Scope((C, S), ((0, 1),), rows=2), 1_500),
    "statements": (Scope((S, S), (ROW,), unshared=1), 3_000),
    "a function and a statement": (Scope((F, S), (ROW,)), 2_000),
    "statements fail": (
        Scope((S, S), (), failing=1, cancelled=1, impatient=1, unshared=1),
        400,
    ),
    "snapshot": (Scope((N, S), (ROW,), lost=1), 1_000),
    "two snapshots": (Scope((N, N), (ROW,), warm="fresh"), 1_000),
}
LARGE = {
    "three readers": Scope((F, F, S), (ROW,)),
    "three readers, one of them connected": Scope((F, F, H), (ROW,)),
    "warm snapshot": Scope((N, S), (ROW, ROW), warm="fresh"),
    "floating": Scope((L, S), (ROW, ROW), warm="fresh"),
    "statements": Scope((S, S, H), (ROW,), unshared=1),
    "statements and writers": Scope((S, S), (ROW, ROW), lost=1),
    "statements fail": Scope(
        (S, S), (ROW,), failing=1, cancelled=1, impatient=1, unshared=1
    ),
    "writers and a statement": Scope((F, S), (ROW, ROW), lost=1),
    "rows and writers": Scope((C, S), (ROW, (0, 1)), rows=2),
    "many readers": Scope((F, F, C, S), (ROW,)),
    "readers and writers": Scope((F, F, S), (ROW, ROW)),
    "lost among many": Scope((F, F, S), (ROW, ROW), lost=1),
    "two rows": Scope((C, C, S), (ROW, (0, 1)), rows=2),
    "failing": Scope((F, F, F), (ROW,), failing=2, cancelled=1, impatient=1),
    "stale": Scope((F, F, S), (ROW, ROW), warm="stale", lost=1),
    "snapshots": Scope((N, N, S), (ROW, ROW), warm="fresh"),
    "snapshots of rows": Scope((N, L, S), (ROW, (0, 1)), rows=2),
}
WITHOUT = {
    "1": "versions are taken after the read",
    "2-before": "nothing is announced before the commit",
    "2-after": "tags are bumped before the commit, nothing after it",
    "2-last-bump": "the fence is lifted without a bump",
    "3": "fences are not looked at when stamping and storing",
    "4": "the fence of a lost commit is lifted at once",
    "6": "a snapshot is served and stores what is valid now",
    "6-floating": "what was served first binds nobody",
    "6-skew": "nobody looks whether what was served holds in the snapshot",
    "6-late": "the counter is noted after the snapshot was made",
    "11": "a flight serves everyone who waits",
}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SCOPES)
def test_no_order_of_events_breaks_a_promise(name: str) -> None:
    scope, least = SCOPES[name]
    outcome = explore(scope)
    assert not outcome.story, f"\n{outcome}"
    assert outcome.states >= least
    assert outcome.ends


@pytest.mark.skipif(not DEEP, reason="minutes; YOKEDCACHE_EXPLORE=deep")
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("name", LARGE)
def test_no_order_of_events_breaks_a_promise_in_larger_worlds(
    name: str,
) -> None:
    outcome = explore(LARGE[name])
    print(f"{name}: {outcome.states} states")  # noqa: T201 - asked for
    assert not outcome.story, f"\n{outcome}"


def explore(scope: Scope) -> Outcome:
    return explored(functools.partial(World, scope))


def scope_for(rule: str, *, off: bool) -> Scope:
    """
    A world small enough to find a counterexample at once.
    """
    if rule.startswith("6"):
        alone = rule in {"6-floating", "6-skew"}
        warm, kind = ("fresh", L) if alone else ("", N)
        return Scope((kind, S), (ROW,), warm=warm, off=rule if off else "")
    readers = (F, F) if rule == "11" else (F, F, H)
    return Scope(readers, (ROW,), lost=int(rule == "4"), off=rule if off else "")


@functools.cache
def counterexample(rule: str) -> Outcome:
    return explore(scope_for(rule, off=True))


@pytest.mark.parametrize("rule", WITHOUT)
def test_without_the_rule_a_promise_breaks(rule: str) -> None:
    outcome = counterexample(rule)
    print(f"rule {rule} off: {WITHOUT[rule]}\n{outcome}")  # noqa: T201 - shown by -rP
    assert outcome.story
    assert len(outcome.story) <= 16


def test_without_rule_11_statements_break_it_too() -> None:
    outcome = explore(Scope((S, S), (ROW,), off="11"))
    assert outcome.story
    assert len(outcome.story) <= 16


@pytest.mark.parametrize("rule", WITHOUT)
def test_with_the_rule_the_same_story_ends_well(rule: str) -> None:
    with closing(World(scope_for(rule, off=False))) as world:
        for choice in counterexample(rule).story:
            if choice in world.choices():
                world.do(choice)
        while choices := list(world.choices()):
            world.do(choices[0])
        world.check_end()


def test_random_histories_of_a_large_world_break_nothing() -> None:
    scope = Scope(
        (F, F, F, C, S, S, H, N, L),
        (ROW, (0, 1), (1,)),
        rows=2,
        warm="stale",
        lost=1,
        failing=2,
        cancelled=2,
        impatient=2,
        unshared=2,
    )
    for seed in range(20_000 if DEEP else 400):
        dice = random.Random(seed)
        story: list[str] = []
        with closing(World(scope)) as world:
            while choices := list(world.choices()):
                story.append(dice.choice(choices))
                world.do(story[-1])
            world.check_end()
            assert all(actor.finished for actor in world.actors), story
