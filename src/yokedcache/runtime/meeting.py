"""
Where the processes of one user on one machine meet: its run directories.

All that are there are used, since not every process is told of the same ones: a
job of cron knows no `XDG_RUNTIME_DIR`, a service has a `/tmp` of its own.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import Final

ENVIRONMENT: Final = "YOKEDCACHE_RUN_DIR"
_LONGEST: Final = 100
"""Bytes that the name of a socket may have on every system."""
_NAME: Final = 32
"""Bytes that the names of the sockets inside take, at most."""


def meeting_places() -> list[Path]:
    """
    List the directories, each this user's alone; made if they aren't there.
    """
    if not hasattr(os, "getuid"):
        return []
    user = os.getuid()
    told = os.environ.get(ENVIRONMENT)
    parents = (
        [told]
        if told
        else [
            os.environ.get("XDG_RUNTIME_DIR"),
            f"/run/user/{user}",
            tempfile.gettempdir(),
        ]
    )
    whole = {os.path.realpath(parent): None for parent in parents if parent}
    made = [_private(Path(parent) / f"yokedcache-{user}", user) for parent in whole]
    return [place for place in made if place is not None]


def _private(place: Path, user: int) -> Path | None:
    """
    Give the directory if it is this user's and nobody else can reach into it.
    """
    if len(os.fsencode(place)) + _NAME > _LONGEST:
        return None
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        status = place.lstat()
    except OSError:
        return None
    mine = stat.S_ISDIR(status.st_mode) and status.st_uid == user
    return place if mine and not stat.S_IMODE(status.st_mode) & 0o077 else None
