"""
Importing the library loads nothing that only some of its users need.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import yokedcache

SOURCE = Path(yokedcache.__file__).parents[1]


@pytest.mark.parametrize(
    "module",
    [
        "asyncio",  # alone as much as all the rest of the import
        "concurrent.futures",
        "fastapi",
        "logging",
        "msgpack",
        "redis",
        "sqlalchemy",
        "sqlglot",
    ],
)
def test_import_leaves_alone(module: str) -> None:
    code = f"import sys; sys.path.insert(0, {str(SOURCE)!r}); import yokedcache; "
    check = f"sys.exit({module!r} in sys.modules)"
    assert (
        subprocess.run(
            [sys.executable, "-S", "-c", code + check], check=False
        ).returncode
        == 0
    )
