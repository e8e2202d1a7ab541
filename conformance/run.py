"""
SQLAlchemy's own ORM tests, run plainly and with our part in them.

    python conformance/run.py                                  everything
    python conformance/run.py --sqlalchemy 2.1 --database sqlite --mode on
    python conformance/run.py --database postgresql+asyncpg    a private server is started
    python conformance/run.py -k test_query --again            part of it, plain run anew

Whatever passes plainly has to pass with us (in mode `on` but for the tests that
`allowed-on.txt` lists); the exit status says whether it did. The suite comes from
SQLAlchemy's source distribution and runs under its own configuration, in a child
process; what was downloaded and all results are kept in `.conformance`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from environments import KEPT, PROJECT, Environment, database, environment
from outcomes import Difference, Outcome, allowed, compare

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST_NAMES = 100
WHOLE = ["test/orm"]


def main(arguments: Sequence[str] | None = None) -> int:
    options = parsed(arguments)
    good = True
    for wanted, name in itertools.product(options.sqlalchemy, options.database):
        chosen = environment(wanted)
        with database(name, options.dburi) as uri:
            suite = Suite(chosen, name, uri, options)
            for verdict in suite.runs():
                good = good and verdict
    print("\nconformance:", "passed" if good else "FAILED")
    return 0 if good else 1


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--sqlalchemy", nargs="+", metavar="VERSION", default=["2.1", "2.0"])
    add("--database", nargs="+", metavar="NAME", default=["sqlite", "postgresql"])
    add("--dburi", help="a prepared database, instead of a private one")
    add("--mode", nargs="+", choices=["replay", "on"], default=["replay", "on"])
    add("--tests", nargs="+", default=WHOLE)
    add("-k", dest="keyword", help="as for pytest")
    add("-n", dest="jobs", default="2", help="as for pytest-xdist")
    add("--again", action="store_true", help="repeat the plain run")
    return parser.parse_args(arguments)


class Suite:
    """
    The runs on one version of SQLAlchemy and one database.
    """

    def __init__(
        self,
        chosen: Environment,
        name: str,
        uri: str | None,
        options: argparse.Namespace,
    ) -> None:
        self.chosen = chosen
        self.database = name if "+" in name or name == "sqlite" else f"{name}+psycopg"
        self.uri = uri
        self.options = options

    def runs(self) -> Iterator[bool]:
        """
        Make the plain run and those of each mode; yield whether each was good.
        """
        plain = self.plain()
        for mode in self.options.mode:
            yield self.report(plain, self.ours(mode), mode)

    def plain(self) -> Outcome:
        """
        Run the suite without us, unless that was done before.
        """
        kept = self._kept("plain")
        if self.options.again or not kept.exists():
            unfinished = kept.with_suffix(".part")
            self._pytest(unfinished, {}, [])
            unfinished.replace(kept)
        return Outcome.read(kept)

    def _kept(self, mode: str) -> Path:
        parts = [self.chosen.version, self.database, sys.implementation.cache_tag]
        parts += [*self.options.tests, self.options.keyword or ""]
        name = re.sub(r"[^\w.+-]+", "-", "-".join(parts)).strip("-")
        kept = KEPT / mode / f"{name}.xml"
        kept.parent.mkdir(parents=True, exist_ok=True)
        return kept

    def ours(self, mode: str) -> Outcome:
        """
        Run the suite with the plug-in beside this file.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = [str(PROJECT / "src"), str(PROJECT / "conformance")]
            variables = {
                "PYTHONPATH": os.pathsep.join(path),
                "YOKEDCACHE_CONFORMANCE_COUNTS": folder,
                "YOKEDCACHE_CONFORMANCE_MODE": mode,
            }
            results = self._kept(mode)
            self._pytest(results, variables, ["-p", "plugin"])
            outcome = Outcome.read(results)
            for file in Path(folder).glob("counts-*.json"):
                outcome.counts.update(json.loads(file.read_text(encoding="utf-8")))
        return outcome

    def _pytest(
        self, results: Path, variables: dict[str, str], more: list[str]
    ) -> None:
        options = self.options
        command = [str(self.chosen.python), "-s", "-m", "pytest", *options.tests]
        command += [*more, "-q", "--tb=short", "--maxfail=100000", "-r", "fE"]
        # The suite depends on its own order, and on no plug-in of ours.
        command += ["-p", "no:randomly", "-p", "no:anyio", "-n", options.jobs]
        command += ["--junitxml", str(results)]
        if options.keyword:
            command += ["-k", options.keyword]
        if self.uri:
            command += ["--dburi", self.uri]
        # Without user packages the suite takes the installed SQLAlchemy, extensions
        # and all, not the sources that lie beside it.
        chosen = {**os.environ, "PYTHONNOUSERSITE": "1", **variables}
        print("$", " ".join(command), flush=True)
        ended = subprocess.run(command, cwd=self.chosen.suite, env=chosen, check=False)
        if ended.returncode not in {0, 1}:
            sys.exit(f"pytest couldn't run the suite (status {ended.returncode})")

    def report(self, plain: Outcome, ours: Outcome, mode: str) -> bool:
        """
        Print both results side by side; true if only what may differ does.
        """
        entries = allowed(self.chosen.version, self.database) if mode == "on" else {}
        whole = self.options.tests == WHOLE and not self.options.keyword
        difference = compare(plain, ours, entries, whole=whole)
        print(f"\nSQLAlchemy {self.chosen.version} on {self.database}")
        print(f"{'':<24}{'plain':>10}{mode:>10}")
        for label in ("passed", "failed", "skipped"):
            before, now = len(getattr(plain, label)), len(getattr(ours, label))
            print(f"{label:<24}{before:>10}{now:>10}")
        _print_difference(difference)
        print(f"{'answered by us':<24}{'':>10}{ours.answered:>10.1%}")
        for reason, count in ours.counts.most_common():
            print(f"  statements: {reason:<40}{count:>8}")
        if not ours.total or not ours.counts:
            print("nothing was tested")
            return False
        return difference.good


def _print_difference(difference: Difference) -> None:
    for label, found in (
        ("differ, as allowed", difference.allowed),
        ("new failures", difference.new),
        ("not run any more", difference.lost),
        ("allowed for nothing", difference.stale),
    ):
        print(f"{label:<24}{'':>10}{len(found):>10}")
    for name, why in sorted(difference.new.items())[:MOST_NAMES]:
        print(f"NEW {name}: {why}")
    for name in sorted(difference.lost)[:MOST_NAMES]:
        print(f"LOST {name}")
    for name in sorted(difference.stale):
        print(f"STALE {name}")


if __name__ == "__main__":
    sys.exit(main())
