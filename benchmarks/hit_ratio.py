"""
Section `hit_ratio`: what each eviction policy makes of the same requests.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

from measure import Effort, Line, Spread
from policies import POLICIES
from traces import KEYS, TRACES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies import Policy

TITLE = "Hit ratio, in %, at a cache of 1% and of 10% of the keys"

ROOMS = {"1%": KEYS // 100, "10%": KEYS // 10}
REQUESTS, REQUESTS_QUICK = 300_000, 60_000


def measure(effort: Effort) -> Iterator[Line]:
    """
    Run every trace through every policy; ours must have the best mean.
    """
    requests = REQUESTS_QUICK if effort.quick else REQUESTS
    ratios: dict[str, list[float]] = {name: [] for name in POLICIES}
    spent = dict.fromkeys(POLICIES, 0.0)
    for title, trace in TRACES.items():
        keys = list(trace(requests))
        for share, room in ROOMS.items():
            for name, policy in POLICIES.items():
                began = time.perf_counter()
                ratios[name].append(_hits(policy(room), keys) / len(keys) * 100)
                spent[name] += (time.perf_counter() - began) / len(keys)
            figure = ", ".join(
                f"{name} {found[-1]:.1f}" for name, found in ratios.items()
            )
            yield Line(f"{title}, {share}", figure)
    runs = len(TRACES) * len(ROOMS)
    cost = ", ".join(f"{name} {s / runs * 1e6:.2f}" for name, s in spent.items())
    yield Line("µs a request", cost)
    yield from _means(ratios)


def _means(ratios: dict[str, list[float]]) -> Iterator[Line]:
    means = {name: statistics.mean(found) for name, found in ratios.items()}
    for name, mean in means.items():
        if name != "ours":
            # turned round, since a bar is what must not be exceeded
            worse = Spread.of([mean / means["ours"]])
            yield Line("mean", f"{means['ours']:.1f} / {mean:.1f}", name, worse, 1.0)


def _hits(policy: Policy, keys: list[int]) -> int:
    ask = policy.ask
    return sum(map(ask, keys))
