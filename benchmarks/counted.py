"""
What `instructions` has counted: so many reads, in a process of its own.

    python benchmarks/counted.py CONTENDER SHAPE URL CALLS
"""

from __future__ import annotations

import gc
import sys

import recipe
from reads import reader
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker


def main() -> None:
    """
    Read, with nothing collected meanwhile: when garbage is found is chance.
    """
    contender, shape, url, calls = sys.argv[1:]
    maker = sessionmaker(create_engine(url))
    if contender == "recipe":
        recipe.attach(maker)
    elif contender != "uncached":
        from yokedcache import YokedCache  # noqa: PLC0415 - the others know nothing of it

        cache = YokedCache("memory://")
        cache.attach(maker if contender == "ours" else sessionmaker(maker.kw["bind"]))
    read = reader(shape, maker)
    gc.collect()
    gc.freeze()
    gc.disable()
    for _ in range(int(calls)):
        read()


if __name__ == "__main__":
    main()
