"""
Environments for the peers, made when first needed, beside the project's own.

Each is named by its requirements file and by a digest of what is in it, so that
a changed pin makes a new one. Ours is put on the path, not installed; what it
needs is installed in the versions that this interpreter has.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
PLACE = PROJECT / ".bench"
OURS = ("msgpack", "sqlalchemy", "sqlglot")
"""What yokedcache and its integrations import."""


def environment(
    name: str, *extra: str, folder: Path = HERE / "peers", home: Path = PLACE
) -> Path:
    """
    Give the interpreter of a peers' environment, making it if it isn't there.
    """
    file = folder / f"requirements-{name}.txt"
    pins = [
        line
        for line in (file.read_text().splitlines() if file.exists() else [])
        if line and not line.startswith("#")
    ]
    wanted = [*pins, *map(_as_here, extra)]
    digest = hashlib.sha256(repr((sys.version, wanted)).encode()).hexdigest()[:8]
    place = home / f"{name}-{digest}"
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not (place / ".whole").exists():
        for old in home.glob(f"{name}-????????"):
            shutil.rmtree(old)
        _make(place, python, wanted)
        (place / ".whole").touch()
    return python


def surroundings() -> dict[str, str]:
    """
    Give the environment variables that processes of ours are started with.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith("YOKEDCACHE_")}
    return kept | {"PYTHONPATH": str(PROJECT / "src"), "PYTHONHASHSEED": "0"}


def _as_here(package: str) -> str:
    return f"{package}=={importlib.metadata.version(package)}"


def _make(place: Path, python: Path, wanted: list[str]) -> None:
    print(f"making {place.relative_to(PROJECT)}: {' '.join(wanted)}", file=sys.stderr)
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv:
        _run(uv, "venv", "--quiet", "--python", sys.executable, place)
        _run(uv, "pip", "install", "--quiet", "--python", python, *wanted)
    else:
        _run(sys.executable, "-m", "venv", place)
        _run(python, "-m", "pip", "install", "--quiet", *wanted)


def _run(*command: str | Path) -> None:
    clean = {
        k: v for k, v in os.environ.items() if k not in {"VIRTUAL_ENV", "PYTHONPATH"}
    }
    subprocess.run(command, check=True, env=clean, stdin=subprocess.DEVNULL)
