"""
Hole 7: what watches over lost commits says nothing of those that are over.
"""

from __future__ import annotations

from typing import Any

import pytest

from yokedcache.sqlalchemy.transactions.blame import Blame
from yokedcache.sqlalchemy.transactions.fences import Fences
from yokedcache.sqlalchemy.transactions.orphans import Orphan


@pytest.mark.parametrize("over", [False, True])
def test_hole_07_a_commit_that_is_over_is_not_said_to_be_taken_for_it(
    said: pytest.LogCaptureFixture, *, over: bool
) -> None:
    backend: Any = object()
    fences = Fences(("table:users",), Blame(), backend)
    if over:
        fences.lift()
    Orphan(fences, backend, grace=0.0).judge({backend: "it is gone"})
    assert not fences.up
    assert ("is taken to be over" in said.text) is not over
