"""
See it work: a blog on SQLite, read through yokedcache and without it.

    make demo

Everything shown is checked while it is shown; the exit status is 0 only if all
of it is true. `--rows 5000` is quick, `--rows 1000000` takes its time.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from blog import functions, sessions
from blog.seed import seed
from stage import crowd, freshness, reads, screen
from stage.claims import Claims
from stage.counter import Statements

QUICK = 20_000
"""Below this number of rows little time is spent on measuring."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="See yokedcache work.")
    parser.add_argument("--rows", type=int, default=200_000, help="rows in the blog")
    parser.add_argument(
        "--untimed",
        action="store_true",
        help="claim nothing about speed: for machines that do other things meanwhile",
    )
    return parser.parse_args()


def main() -> int:
    began = time.perf_counter()
    asked = arguments()
    rows = asked.rows
    console, claims = screen.make_console(), Claims(timed=not asked.untimed)
    with tempfile.TemporaryDirectory(prefix="yokedcache-demo-") as folder:
        play(console, claims, Path(folder) / "blog.db", rows)
    console.print()
    took = screen.duration(time.perf_counter() - began)
    if claims.failed:
        console.print(
            f"[bold red]{len(claims.failed)} claims are not true[/], {claims.held} are:"
        )
        for claim in claims.failed:
            console.print(f"  - {claim}", markup=False, soft_wrap=True)
        return 1
    console.print(
        f"[bold green3]All {claims.held} claims checked and true[/], in {took}."
    )
    console.print(
        "The blog is in examples/blog, what to read next in docs/gentle-introduction.md."
    )
    return 0


def play(console: screen.Console, claims: Claims, file: Path, rows: int) -> None:
    budget = 0.05 if rows < QUICK else 0.4
    engine, async_engine = sessions.connect(file)
    began = time.perf_counter()
    made = seed(engine, rows)
    took = screen.duration(time.perf_counter() - began)
    console.print()
    console.print(
        "[bold]yokedcache[/]: makes a SQLAlchemy application fast without making it wrong"
    )
    console.print(
        f"A blog of {made:,} rows on SQLite, in a temporary folder (made in {took})"
    )
    statements = Statements(engine, async_engine.sync_engine)
    loop = asyncio.new_event_loop()
    try:
        reads.play(console, claims, statements, loop, budget=budget)
        freshness.play(console, claims, statements, engine, loop)
        crowd.play(console, claims, statements, loop, async_engine)
        summary(console, claims)
    finally:
        loop.run_until_complete(async_engine.dispose())
        loop.close()
        engine.dispose()
        sessions.cache.sync.close()


def summary(console: screen.Console, claims: Claims) -> None:
    """
    What the cache says of itself: one explanation, and its counts.
    """
    functions.dashboard()
    explained = sessions.cache.explain(functions.dashboard)
    tables = [name.partition("@")[0] for name in explained.depends_on]
    claims.check("explain names the tables", "table:comments" in tables, tables)
    total = sessions.cache.stats().total
    bypassed = ", ".join(f"{number} {why}" for why, number in total.bypasses.items())
    screen.title(console, "4  What the cache says of it")
    console.print(
        f"  explain(dashboard)  {explained.reason}, depends on {', '.join(tables[1:])}"
    )
    console.print(
        f"  stats()             {total.hits:,} hits, {total.shared:,} from another's load, "
        f"{total.loads:,} loads"
    )
    console.print(
        f"                      sent to the database unasked, by reason: {bypassed or 'none'}"
    )


if __name__ == "__main__":
    sys.exit(main())
