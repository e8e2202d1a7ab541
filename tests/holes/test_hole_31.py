"""
Hole 31: what holds under the GIL isn't claimed without it.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import yokedcache
from yokedcache import YokedCache, cached
from yokedcache.errors import FreeThreadingError

SOURCE = Path(yokedcache.__file__).parents[1]


def test_hole_31_without_the_gil_no_cache_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    with pytest.raises(FreeThreadingError, match="PYTHON_GIL=1") as raised:
        YokedCache()
    assert isinstance(raised.value, RuntimeError)
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


def test_hole_31_with_it_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: True, raising=False)
    with YokedCache() as sync:
        assert not sync.stats().total.hits


APP = """
import sys
sys._is_gil_enabled = lambda: False
from yokedcache import cached
from yokedcache.errors import FreeThreadingError

@cached
def called():
    return 1

try:
    called()
except FreeThreadingError as error:
    print(error.code)
"""


def test_hole_31_a_function_without_a_cache_says_it_too() -> None:
    assert cached
    done = subprocess.run(
        [sys.executable, "-c", APP],
        check=False,
        capture_output=True,
        text=True,
        env=dict(os.environ, PYTHONPATH=str(SOURCE)),
    )
    assert done.stdout.split() == ["YC400"], done.stderr
