"""
The interpreters of contenders: the project's own, or one with a peer's pins.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.environments import PROJECT, environment

if TYPE_CHECKING:
    from consistency.contenders import Contender

PEERS = Path(__file__).resolve().parent / "peers"
PLACE = PROJECT / ".consistency"
NEEDED = ("psycopg", "psycopg-binary", "redis", "sqlalchemy", "greenlet")
"""What the harness and the contenders import besides a peer, in the versions here."""


def interpreter(contender: Contender) -> Path:
    """
    Give the Python of a contender, making its environment if it isn't there.
    """
    if not contender.peers:
        return Path(sys.executable)
    return environment(contender.module, *NEEDED, folder=PEERS, home=PLACE)


def surroundings(contender: Contender) -> dict[str, str]:
    """
    Give the environment variables of its processes.

    Peers aren't shown this library's sources: one of them has our name.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith("YOKEDCACHE_")}
    if run_directory := os.environ.get("YOKEDCACHE_RUN_DIR"):
        kept["YOKEDCACHE_RUN_DIR"] = run_directory
    path = [PROJECT] if contender.peers else [PROJECT, PROJECT / "src"]
    return kept | {"PYTHONPATH": os.pathsep.join(map(str, path))}
