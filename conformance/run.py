"""
SQLAlchemy's own ORM tests, run twice: plainly, and with every read answered by us.

    python conformance/run.py                                  SQLite, the newest series
    python conformance/run.py --sqlalchemy 2.0.58
    python conformance/run.py --database postgresql+asyncpg    a private server is started
    python conformance/run.py -k test_query --again            part of it, plain run anew

Whatever passes plainly has to pass with us; the exit status says whether it did.
The suite comes from SQLAlchemy's source distribution and runs under its own
configuration, in a child process; what was downloaded and the results of plain
runs are kept in `.conformance`.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PROJECT = Path(__file__).resolve().parent.parent
KEPT = PROJECT / ".conformance"
SERIES_20 = PROJECT / ".venv-sqlalchemy20" / "bin" / "python"
NEEDED = (
    "msgpack", "sqlglot", "pytest", "pytest-xdist", "greenlet", "aiosqlite",
    "asyncpg", "psycopg[binary]", "psycopg2-binary",
)  # fmt: skip
MOST_NAMES = 40


@dataclass
class Outcome:
    """
    What one run of the suite came to, test by test.
    """

    passed: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)
    counts: collections.Counter[str] = field(default_factory=collections.Counter)

    @property
    def total(self) -> int:
        return len(self.passed) + len(self.failed) + len(self.skipped)

    @classmethod
    def read(cls, report: Path) -> Outcome:
        found = cls()
        for case in ET.parse(report).getroot().iter("testcase"):  # our own child's file
            name = f"{case.get('classname')}::{case.get('name')}"
            bad = [child for child in case if child.tag in {"failure", "error"}]
            if bad:
                found.failed[name] = (bad[0].get("message") or "").split("\n")[0]
            elif case.find("skipped") is not None:
                found.skipped.add(name)
            else:
                found.passed.add(name)
        return found


def main(arguments: Sequence[str] | None = None) -> int:
    options = parsed(arguments)
    KEPT.mkdir(exist_ok=True)
    (KEPT / ".gitignore").write_text("*\n", encoding="utf-8")
    python = interpreter(options.sqlalchemy)
    suite = source(options.sqlalchemy)
    with database(options.database, options.dburi) as uri:
        plain = plain_outcome(python, suite, uri, options)
        ours = run(python, suite, uri, options, mode=options.mode)
    return report(plain, ours, options)


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sqlalchemy", metavar="VERSION", default=installed())
    parser.add_argument("--database", default="sqlite", help="with a driver, if wanted")
    parser.add_argument("--dburi", help="a prepared database, instead of a private one")
    parser.add_argument("--mode", choices=["replay", "on"], default="replay")
    parser.add_argument("--tests", nargs="+", default=["test/orm"])
    parser.add_argument("-k", dest="keyword", help="as for pytest")
    parser.add_argument("-n", dest="jobs", default="2", help="as for pytest-xdist")
    parser.add_argument("--again", action="store_true", help="repeat the plain run")
    return parser.parse_args(arguments)


def installed() -> str:
    try:
        return metadata.version("sqlalchemy")
    except metadata.PackageNotFoundError:
        return "2.1.9"


def interpreter(version: str) -> Path:
    """
    Find a Python that has this SQLAlchemy, or make an environment for it.
    """
    own = KEPT / f"venv-{version}" / "bin" / "python"
    for python in (Path(sys.executable), SERIES_20, own):
        if python.exists() and _version_in(python) == version:
            return python
    print(f"making an environment with SQLAlchemy {version}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(own.parent.parent)], check=True)
    subprocess.run(
        [str(own), "-m", "pip", "install", "-q", f"sqlalchemy=={version}", *NEEDED],
        check=True,
    )
    return own


def _version_in(python: Path) -> str:
    asked = "import pytest, xdist, sqlalchemy; print(sqlalchemy.__version__)"
    answer = subprocess.run(
        [str(python), "-c", asked], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip()


def source(version: str) -> Path:
    """
    Get the source distribution, which has the tests in it.
    """
    place = KEPT / f"sqlalchemy-{version}"
    if not place.exists():
        with tempfile.TemporaryDirectory() as folder:
            pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps"]
            wanted = ["--no-binary", "sqlalchemy", f"sqlalchemy=={version}"]
            subprocess.run([*pip, *wanted, "-d", folder], check=True)
            (archive,) = Path(folder).glob("*.tar.gz")
            with tarfile.open(archive) as packed:
                packed.extractall(KEPT, filter="data")
    return place


@contextlib.contextmanager
def database(name: str, uri: str | None) -> Iterator[str | None]:
    """
    Give the URL of a database that the suite may use; None is its own SQLite.
    """
    dialect, _, driver = name.partition("+")
    if uri or dialect == "sqlite":
        yield uri or (f"sqlite+{driver}://" if driver else None)
        return
    if dialect != "postgresql":
        sys.exit(f"no private server for {name!r}: give --dburi")
    sys.path.insert(0, str(PROJECT))
    from tests.services.postgres import Postgres  # noqa: PLC0415 - with the server only

    with Postgres().running() as server:
        made = server.create_database()
        try:
            with server.connect(made.name) as connection:
                for statement in (
                    "CREATE SCHEMA test_schema",
                    "CREATE SCHEMA test_schema_2",
                    "CREATE EXTENSION IF NOT EXISTS hstore",
                    "CREATE EXTENSION IF NOT EXISTS citext",
                ):
                    connection.execute(statement)
            yield made.url(driver or "psycopg")
        finally:
            server.drop_database(made)


def plain_outcome(
    python: Path, suite: Path, uri: str | None, options: argparse.Namespace
) -> Outcome:
    """
    Run the suite without us, unless that was done before.
    """
    parts = [options.sqlalchemy, options.database, sys.implementation.cache_tag]
    parts += [*options.tests, options.keyword or ""]
    name = re.sub(r"[^\w.+-]+", "-", "-".join(parts)).strip("-")
    kept = KEPT / "plain" / f"{name}.xml"
    if options.again or not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        unfinished = kept.with_suffix(".part")
        _pytest(python, suite, uri, options, unfinished, {}, [])
        unfinished.replace(kept)
    return Outcome.read(kept)


def run(
    python: Path, suite: Path, uri: str | None, options: argparse.Namespace, mode: str
) -> Outcome:
    """
    Run the suite with the plug-in beside this file.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = [str(PROJECT / "src"), str(PROJECT / "conformance")]
        environment = {
            "PYTHONPATH": os.pathsep.join(path),
            "YOKEDCACHE_CONFORMANCE_COUNTS": folder,
            "YOKEDCACHE_CONFORMANCE_MODE": mode,
        }
        results = Path(folder, "results.xml")
        _pytest(python, suite, uri, options, results, environment, ["-p", "plugin"])
        outcome = Outcome.read(results)
        for file in Path(folder).glob("counts-*.json"):
            outcome.counts.update(json.loads(file.read_text(encoding="utf-8")))
    return outcome


def _pytest(  # noqa: PLR0917 - one command line
    python: Path,
    suite: Path,
    uri: str | None,
    options: argparse.Namespace,
    results: Path,
    environment: dict[str, str],
    more: list[str],
) -> None:
    command = [str(python), "-s", "-m", "pytest", *options.tests, *more]
    command += ["-q", "--tb=short", "--maxfail=100000", "-r", "fE"]
    # The suite depends on its own order, and on no plug-in of ours.
    command += ["-p", "no:randomly", "-p", "no:anyio", "-n", options.jobs]
    command += ["--junitxml", str(results)]
    if options.keyword:
        command += ["-k", options.keyword]
    if uri:
        command += ["--dburi", uri]
    # Without user packages the suite takes the installed SQLAlchemy, extensions
    # and all, not the sources that lie beside it.
    chosen = {**os.environ, "PYTHONNOUSERSITE": "1", **environment}
    print("$", " ".join(command), flush=True)
    ended = subprocess.run(command, cwd=suite, env=chosen, check=False)
    if ended.returncode not in {0, 1}:
        sys.exit(f"pytest couldn't run the suite (status {ended.returncode})")


def report(plain: Outcome, ours: Outcome, options: argparse.Namespace) -> int:
    """
    Print both results side by side; 1 if a test fails or is missing only with us.
    """
    new = {name: why for name, why in ours.failed.items() if name not in plain.failed}
    lost = plain.passed - ours.passed - set(ours.failed)
    print(f"\nSQLAlchemy {options.sqlalchemy} on {options.database}")
    print(f"{'':<22}{'plain':>10}{options.mode:>10}")
    for label in ("passed", "failed", "skipped"):
        before, now = len(getattr(plain, label)), len(getattr(ours, label))
        print(f"{label:<22}{before:>10}{now:>10}")
    print(f"{'new failures':<22}{'':>10}{len(new):>10}")
    print(f"{'not run any more':<22}{'':>10}{len(lost):>10}")
    for reason, count in ours.counts.most_common():
        print(f"  statements: {reason:<30}{count:>8}")
    for name in [*sorted(new), *sorted(lost)][:MOST_NAMES]:
        print(f"NEW {name}: {new.get(name, 'not run')}")
    if not ours.total or not ours.counts:
        print("nothing was tested")
        return 1
    return 1 if new or lost else 0


if __name__ == "__main__":
    sys.exit(main())
