"""
`make consistency`: the history check, one line of a table a contender.

Ends with 1 if a contender that must hold has a violation or a failure, or if a cache
that must answer answered next to nothing. What is done and judged is told in README.md
beside this file.
"""

from __future__ import annotations

import argparse
import random
import sys
from typing import TYPE_CHECKING

from consistency import faults, report
from consistency.cells import PACE
from consistency.contenders import CONTENDERS, Contender
from consistency.crew import PlayerError
from consistency.nemeses import NEMESES
from consistency.places import PLACES, REDIS
from consistency.stage import Load, Outcome, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

LONG = 3600.0
"""Seconds that a contender may take if nothing else is said."""
ANYWHERE = frozenset({"near", "uncached", "yokedcache"})
"""Contenders that share by whatever there is."""
LEAST_HITS = 0.1
"""A cache that answered a smaller share of the reads proves nothing."""

LEAST_NEAR = 0.05
"""So does one with `near` that gave a smaller share of them out without asking."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = parsed(arguments)
    print(f"seed {options.seed}\n", flush=True)
    with Stage.set_up(options.store) as stage:
        if options.fault:
            load = load_of(CONTENDERS["yokedcache"], options)
            complaints = faults.main(stage, load, options)
        else:
            complaints = contend(stage, options)
    print(*complaints, sep="\n\n")
    print("\nconsistency:", "FAILED" if complaints else "passed")
    return 1 if complaints else 0


def contend(stage: Stage, options: argparse.Namespace) -> list[str]:
    """
    Let each contender play; return what is to complain about.
    """
    print(report.head(), flush=True)
    told: list[str] = []
    complaints: list[str] = []
    for name in options.only or CONTENDERS:
        contender = CONTENDERS[name]
        load = load_of(contender, options)
        try:
            with report.progress(contender.title, load) as bar:
                outcome = stage.play(contender, load, bar)
        except PlayerError as error:
            print(f"{contender.title}: broke off", flush=True)
            complaints.append(f"{contender.title}: {error}")
            continue
        print(report.line(contender, outcome), flush=True)
        told += report.examples(contender, outcome)
        complaints += wrong(contender, outcome, _due(load, options))
    print("", *told, sep="\n\n")
    return complaints


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make consistency",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--only", action="append", choices=CONTENDERS, help="may be given several times"
    )
    add(
        "--reads", type=_positive, help="of each contender, instead of its usual number"
    )
    add("--seconds", type=float, help="the most that each may take")
    add("--processes", type=_positive, default=5)
    add("--writers", type=_positive, default=2, help="so many of them also write")
    add("--tasks", type=_positive, help="threads or tasks of a process")
    add("--rows", type=_positive, default=10)
    add("--writes", type=_share, help="share of writes in what these do")
    add("--burst", type=_positive, default=4, help="writes of one row at once")
    add(
        "--store",
        choices=PLACES,
        default=REDIS,
        help="what is shared by; the faults and other libraries know Redis alone",
    )
    add("--seed", type=int, default=random.randrange(10**6), help="for what is drawn")
    trouble = parser.add_argument_group("faults, for this library alone")
    add = trouble.add_argument
    add(
        "--fault",
        action="append",
        choices=[faults.ALL, *NEMESES],
        help="what goes wrong meanwhile; may be given several times",
    )
    add("--every", type=float, default=PACE.every, help="seconds between two of them")
    add(
        "--on-unreachable",
        action="append",
        choices=faults.SETTINGS,
        help="instead of one after the other",
    )
    add("--lease", type=float, default=PACE.lease, help="settings of the cache, ...")
    add("--grace", type=float, default=PACE.grace, help="its orphan_grace")
    add("--ttl", type=float, default=PACE.ttl, help="in seconds, all of them")
    add("--store-timeout", type=float, default=PACE.patience)
    options = parser.parse_args(arguments)
    if options.store != REDIS:
        options.only = options.only or ["yokedcache"]
        if options.fault or not ANYWHERE.issuperset(options.only):
            parser.error(
                f"--store {options.store} is for {', '.join(sorted(ANYWHERE))} alone, "
                "without --fault"
            )
    return options


def load_of(contender: Contender, options: argparse.Namespace) -> Load:
    """
    Give a contender's load.
    """
    return Load(
        reads=options.reads or contender.reads,
        seconds=options.seconds or LONG,
        processes=options.processes,
        writers=options.writers,
        tasks=options.tasks or (4 if options.fault else 8),
        rows=options.rows,
        writes=_or(options.writes, 0.1 if options.fault else 0.025),
        burst=options.burst,
        seed=options.seed,
    )


def _due(load: Load, options: argparse.Namespace) -> int:
    """
    Give how many reads there must be: those asked for, unless time was given for them.
    """
    return 0 if options.seconds else load.reads


def wrong(contender: Contender, outcome: Outcome, due: int = 0) -> list[str]:
    """
    List what fails the run; so do fewer reads than were `due`.
    """
    title, verdict = contender.title, outcome.verdict
    found = []
    if not verdict.reads or not verdict.writes:
        found.append(f"{title}: nothing was tested")
    if contender.must_hold and not verdict.good:
        found.append(f"{title}: no read may be older than what was before it")
    if contender.must_hold and verdict.reads < due:
        found.append(f"{title}: {verdict.reads:,} reads were judged, not {due:,}")
    if contender.must_hold and outcome.failures:
        found.append(f"{title}: no read and no write may fail")
    if contender.near and outcome.near < LEAST_NEAR * verdict.reads:
        found.append(f"{title}: {outcome.near:,} answers near by, so it proves nothing")
    if contender.must_hit and outcome.hit_ratio < LEAST_HITS:
        found.append(f"{title}: answered {outcome.hit_ratio:.1%}, so it proves nothing")
    return found


def _or(given: float | None, usual: float) -> float:
    return usual if given is None else given


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _share(text: str) -> float:
    if not 0 <= (share := float(text)) < 1:
        raise argparse.ArgumentTypeError("must be from 0 to below 1")
    return share


if __name__ == "__main__":
    sys.exit(main())
