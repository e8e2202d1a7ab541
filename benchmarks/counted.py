"""
What `instructions` has counted: so many reads, in a process of its own.

    python benchmarks/counted.py CONTENDER SHAPE URL CALLS

The contender `fill` counts nothing: it makes the tables that the others read.
"""

from __future__ import annotations

import gc
import sys

import recipe
from reads import check_served, reader
from schema import fill
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker


def main() -> None:
    """
    Read, with nothing collected meanwhile: when garbage is found is chance.
    """
    contender, shape, url, calls = sys.argv[1:]
    engine = create_engine(url)
    if contender == "fill":
        fill(engine)
        return
    maker = sessionmaker(engine)
    if contender == "recipe":
        recipe.attach(maker)
    elif contender != "uncached":
        from yokedcache import YokedCache  # noqa: PLC0415 - the others know nothing of it

        cache = YokedCache("memory://")
        cache.attach(maker if contender == "ours" else sessionmaker(engine))
    read = reader(shape, maker)
    if contender == "ours":
        check_served(engine, read)
    gc.collect()
    gc.freeze()
    gc.disable()
    for _ in range(int(calls)):
        read()


if __name__ == "__main__":
    main()
