"""
Every order of events among a few processes that share a store.

The rules hold, and each of them is needed. What is explored is the library's own near
side, with its plans, claims and orphans, over a model of a store; the rules that a store
keeps (3, 7, bumps of 2 and 4) are switched off in the model. `test_shared_model` holds it
against a real one; that each store keeps to the contract is the matter of
`yokedcache.testing`. `YOKEDCACHE_EXPLORE=deep` tries larger worlds too, for minutes.
"""

from __future__ import annotations

import copy
import functools
import os
import random
from contextlib import closing
from typing import Any

import pytest

from tests.explorer.search import Breach, Outcome, explore
from tests.explorer.shared_scope import Scope
from tests.explorer.shared_world import INQUIRY, TOKENS, SharedWorld
from yokedcache.shared import claiming, fencing, hearing, orphans

F, C, U = "function", "captured", "uncached"
DEEP = os.environ.get("YOKEDCACHE_EXPLORE") == "deep"

KILLED = ("W1 in P3: fences and bumps", "W1 in P3: is killed")
LOST = ("W1 in P3: fences and bumps", "store: the tag is evicted")
LATE = ("W1 in P3: fences and bumps", "time: a lease passes, and nobody vouches")
INQUIRED = (
    "R1 in P1: begins",
    "R1 in P1: asks the store to read",
    "O in P1: asks the database whether it is over",
)
TWO = ((1, F), (2, F))
FOLLOWING = ("L in P1: asks what was announced", "L in P1: hears")
COMMIT = (
    "W1 in P3: fences and bumps",
    "W1 in P3: commits",
    "W1 in P3: bumps, lifts and returns",
)
ASKED = ("time: leases pass", "R1 in P1: begins", "R1 in P1: asks the store to read")
NEAR: dict[str, Any] = {"near": (1,), "warm": (1,)}
UNHEARD = {**NEAR, "before": COMMIT[:2]}
NOTED = (
    "R2 in P2: begins",
    "R2 in P2: asks the store to read",
    "R2 in P2: asks the store to stamp",
)
ANSWERED = "R1 in P1: is answered"
OVERTAKEN = {**NEAR, "before": (*FOLLOWING, *ASKED, *COMMIT, *FOLLOWING)}
FOLLOWED = {
    **NEAR,
    "before": (*FOLLOWING, *ASKED, ANSWERED, FOLLOWING[0], *COMMIT[:2]),
}

SCOPES = {
    "two processes and a writer": (Scope(TWO, (3,)), 1_500),
    "tags that turn up as it reads": (Scope(((1, C), (2, C)), (3,)), 900),
    "a writer killed": (Scope(((1, F),), (3,), warm=(1,), dying=1, passing=1), 300),
    "its fence is adopted": (
        Scope(TWO, (3,), dying=1, passing=1, before=KILLED),
        300,
    ),
    "a dead writer's database is asked": (
        Scope(((1, F),), (3,), warm=(1,), dying=1, lapsing=1, asking=2),
        400,
    ),
    "a slow writer's database is asked": (
        Scope(((1, F), (1, U)), (3,), lapsing=1, asking=2, before=KILLED[:1]),
        500,
    ),
    "a tag evicted": (Scope(((1, F),), (3,), warm=(1,), evicted=1, passing=1), 200),
    "a tag evicted under its fence": (
        Scope((*TWO, (2, U)), (3,), evicted=1, before=LOST),
        300,
    ),
    "all is lost": (Scope(((1, F),), (3,), warm=(1,), flushed=1, passing=1), 200),
    "it restarts as it once was": (
        Scope(((1, F),), (3,), warm=(1,), restored=1),
        300,
    ),
    "answers near by": (
        Scope(((1, F), (1, F)), (3,), near=(1,), warm=(1,), passing=1),
        100,
    ),
    "answers near a writer": (Scope(((1, F),), (1,), near=(1,), warm=(1,)), 10),
    "what is near is followed": (
        Scope(((1, F),), (3,), passing=1, polls=1, **UNHEARD),
        30,
    ),
    "what is near is heard of": (
        Scope(((1, F), (1, F)), (3,), passing=2, polls=2, **FOLLOWED),
        30,
    ),
    "loads are claimed": (Scope(TWO, (), claims=True), 100),
    "a commit announces itself": (Scope(TWO, (3,), inside=True), 300),
    "readers of a process, and such a commit": (
        Scope(((1, F), (1, F)), (3,), inside=True),
        300,
    ),
    "tags turn up late, and such a commit": (
        Scope(((1, C), (2, F)), (3,), inside=True),
        300,
    ),
    "such a writer is killed": (
        Scope(((1, F),), (3,), warm=(1,), dying=1, passing=1, inside=True),
        50,
    ),
    "such a commit near by": (
        Scope(((1, F),), (1,), near=(1,), warm=(1,), inside=True),
        10,
    ),
}
LARGE = {
    "what is near is overtaken": Scope(
        ((1, F), (1, F)), (3,), passing=2, polls=3, **OVERTAKEN
    ),
    "what is near is heard of as all is committed": Scope(
        ((1, F), (1, F)),
        (3,),
        passing=2,
        polls=2,
        near=(1,),
        warm=(1,),
        before=(*FOLLOWING, *ASKED),
    ),
    "readers in one process": Scope(((1, F), (1, F)), (3,)),
    "a writer in a reader's process": Scope(TWO, (1,)),
    "two such writers": Scope(((1, F),), (2, 3), inside=True),
    "such a commit and a tag evicted": Scope(TWO, (3,), evicted=1, inside=True),
    "two writers": Scope(((1, F),), (2, 3)),
    "it restarts as it once was, among two": Scope(
        TWO, (3,), warm=(1,), restored=1, before=("store: is saved",)
    ),
    "it restarts under a commit": Scope(
        ((1, F),), (3,), passing=1, restored=1, before=KILLED[:1]
    ),
    "a writer killed among two": Scope(TWO, (3,), dying=1, passing=1),
    "a tag evicted among two": Scope(TWO, (3,), evicted=1),
    "all is lost among two": Scope(TWO, (3,), flushed=1),
    "loads are claimed under a commit": Scope(TWO, (3,), claims=True),
    "near a commit": Scope(((1, F), (2, F)), (1,), near=(1,), passing=1),
}
WITHOUT = {
    "1": ("versions are taken after the read", Scope(TWO, (3,), off="1")),
    "1-late": (
        "tags that turn up late are taken as they are when it is stored",
        Scope(((1, C), (2, C)), (3,), off="1-late"),
    ),
    "2-before": (
        "nothing is announced before the commit",
        Scope((*TWO, (2, U)), (3,), off="2-before"),
    ),
    "2-after": (
        "tags are bumped before the commit, nothing after it",
        Scope(TWO, (3,), off="2-after"),
    ),
    "2-last-bump": (
        "the fence is lifted without a bump",
        Scope(((1, C),), (3,), off="2-last-bump", before=KILLED[:1]),
    ),
    "3": (
        "the store heeds no fence",
        Scope((*TWO, (2, U)), (3,), off="3", before=KILLED[:1]),
    ),
    "4": (
        "a fence is adopted before its transaction is over",
        Scope(TWO, (3,), dying=1, passing=1, off="4", before=KILLED),
    ),
    "4-bump": (
        "a fence is adopted without a bump",
        Scope(((1, C), (2, F)), (3,), dying=1, passing=1, off="4-bump", before=KILLED),
    ),
    "4-over": (
        "a dead writer's transaction is said to be over, whether it is or not",
        Scope(
            *(((1, F),), (3,)), warm=(1,), dying=1, lapsing=1, asking=2, off="4-over"
        ),
    ),
    "4-over-slow": (
        "so is that of a writer who is only slow",
        Scope(
            ((1, F), (1, F), (1, U)),
            (3,),
            lapsing=1,
            asking=1,
            off="4-over",
            before=(*LATE, *INQUIRED),
        ),
    ),
    "7": (
        "a tag that was lost comes back as if it had no fence",
        Scope((*TWO, (2, U)), (3,), evicted=1, off="7", before=LOST),
    ),
    "7-incarnation": (
        "a store that restarts as it once was takes itself for the one it was",
        Scope(((1, F),), (3,), warm=(1,), restored=1, off="7-incarnation"),
    ),
    "8": (
        "what is near is given out however long ago it was asked",
        Scope(((1, F),), (3,), near=(1,), warm=(1,), passing=1, off="8"),
    ),
    "8-position": (
        "what is near was announced while it was asked about",
        Scope(
            ((1, F), (1, F)), (3,), passing=2, polls=3, off="8-position", **OVERTAKEN
        ),
    ),
    "8-since": (
        "what is near was asked about before it was followed",
        Scope(((1, F),), (3,), passing=1, polls=1, off="8-since", **UNHEARD),
    ),
    "8-vouched": (
        "all is vouched for that was announced before it was heard of",
        Scope(((1, F), (1, F)), (3,), passing=2, polls=2, off="8-vouched", **FOLLOWED),
    ),
    "inside-said": (
        "a commit says nothing",
        Scope(TWO, (3,), inside=True, off="inside-said"),
    ),
    "inside-look": (
        "look-ups heed nothing that was said and isn't folded",
        Scope(((1, F), (2, U)), (3,), warm=(1,), inside=True, off="inside-look"),
    ),
    "inside-drawn": (
        "what was said of a tag that isn't there draws no number",
        Scope(((1, C), (2, C)), (3,), inside=True, off="inside-drawn", before=NOTED),
    ),
    "11": (
        "an answer serves who began after it was asked for",
        Scope(((1, F), (1, F)), (3,), warm=(1,), off="11"),
    ),
}


@pytest.fixture(autouse=True)
def nothing_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Start no thread: what one would do is a step; and draw the same for the same deed.
    """
    monkeypatch.setattr(fencing.Fencing, "_work", lambda _: None)
    monkeypatch.setattr(hearing.Listener, "_work", lambda _: None)
    for module in (fencing, claiming):
        monkeypatch.setattr(module, "secrets", TOKENS)
    # histories wait for each other: nothing is forgotten meanwhile
    monkeypatch.setattr(orphans, "monotonic", lambda: 0.0)
    monkeypatch.setattr(orphans, "_asker", INQUIRY)


def explored(scope: Scope) -> Outcome:
    return explore(functools.partial(SharedWorld, scope))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SCOPES)
def test_no_order_of_events_among_processes_breaks_a_promise(name: str) -> None:
    scope, least = SCOPES[name]
    outcome = explored(scope)
    assert not outcome.story, f"\n{outcome}"
    assert outcome.states >= least
    assert outcome.ends


@pytest.mark.skipif(not DEEP, reason="minutes; YOKEDCACHE_EXPLORE=deep")
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("name", LARGE)
def test_no_order_of_events_in_larger_worlds_breaks_a_promise(name: str) -> None:
    outcome = explored(LARGE[name])
    print(f"{name}: {outcome.states} states")  # noqa: T201 - asked for
    assert not outcome.story, f"\n{outcome}"


@pytest.mark.parametrize("rule", WITHOUT)
def test_without_the_rule_a_promise_breaks(rule: str) -> None:
    what, scope = WITHOUT[rule]
    outcome = explored(scope)
    print(f"rule {rule} off: {what}\n{outcome}")  # noqa: T201 - shown by -rP
    assert outcome.story
    # with the rule the same story ends well
    ruled = copy.copy(scope)
    ruled.off = ""
    with closing(SharedWorld(ruled)) as world:
        for choice in outcome.story:
            if choice in world.choices():
                world.do(choice)
        while choices := list(world.choices()):
            world.do(choices[0])
        world.check_end()


@pytest.mark.timeout(3_600 if DEEP else 60)
@pytest.mark.parametrize("inside", [False, True])
def test_random_histories_of_many_processes_break_nothing(*, inside: bool) -> None:
    scope = Scope(
        ((1, F), (1, C), (2, F), (2, U), (4, F), (4, F)),
        (3, 1, 2),
        near=(4,),
        claims=True,
        inside=inside,
        evicted=1,
        flushed=1,
        dying=1,
        passing=2,
    )
    for seed in range(10_000 if DEEP else 300):
        dice = random.Random(seed)
        story: list[str] = []
        with closing(SharedWorld(scope)) as world:
            try:
                while choices := list(world.choices()):
                    story.append(dice.choice(choices))
                    world.do(story[-1])
                world.check_end()
            except Breach as breach:
                pytest.fail(f"seed {seed}: {breach}\n" + "\n".join(story))
