"""
Where the suite runs: a Python with the wanted SQLAlchemy, its tests, a database.

What is made or downloaded is kept in `.conformance`.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).resolve().parent.parent
KEPT = PROJECT / ".conformance"
_PROJECTS = (
    PROJECT / ".venv" / "bin" / "python",
    PROJECT / ".venv-sqlalchemy20" / "bin" / "python",
)
NEEDED = (
    "msgpack", "sqlglot", "pytest", "pytest-xdist", "greenlet", "aiosqlite",
    "asyncpg", "psycopg[binary]", "psycopg2-binary",
)  # fmt: skip


@dataclass(frozen=True)
class Environment:
    """
    A Python, the SQLAlchemy that it has, and the sources of that.
    """

    python: Path
    version: str
    suite: Path


def environment(wanted: str) -> Environment:
    """
    Find an environment with this version or series of SQLAlchemy, or make one.
    """
    KEPT.mkdir(exist_ok=True)
    (KEPT / ".gitignore").write_text("*\n", encoding="utf-8")
    python, version = _interpreter(wanted)
    return Environment(python, version, _source(version))


def _interpreter(wanted: str) -> tuple[Path, str]:
    own = KEPT / f"venv-{wanted}" / "bin" / "python"
    for python in (Path(sys.executable), *_PROJECTS, own):
        version = _version_in(python) if python.exists() else ""
        if f"{version}.".startswith(f"{wanted}."):
            return python, version
    print(f"making an environment with SQLAlchemy {wanted}", flush=True)
    exact = wanted if wanted.count(".") > 1 else f"{wanted}.*"
    subprocess.run([sys.executable, "-m", "venv", str(own.parent.parent)], check=True)
    subprocess.run(
        [str(own), "-m", "pip", "install", "-q", f"sqlalchemy=={exact}", *NEEDED],
        check=True,
    )
    return own, _version_in(own)


def _version_in(python: Path) -> str:
    asked = "import pytest, xdist, sqlalchemy; print(sqlalchemy.__version__)"
    answer = subprocess.run(
        [str(python), "-c", asked], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip()


def _source(version: str) -> Path:
    """
    Get the source distribution, which has the tests in it.
    """
    place = KEPT / f"sqlalchemy-{version}"
    if not (place / "test" / "orm").exists():
        with tempfile.TemporaryDirectory() as folder:
            pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps"]
            # Its metadata are all that is built; the wheel wouldn't have the tests.
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
