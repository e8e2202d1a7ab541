"""
An exception that is kept is raised as it came to the caller whose load it ended.
"""

from __future__ import annotations

import traceback

import pytest

from yokedcache import YokedCache, cached


def test_first_caller_gets_the_exception_itself() -> None:
    owner = YokedCache()
    with owner:
        raised: list[LookupError] = []

        @cached(cache=owner, errors={LookupError: "30s"})
        def find(name: str) -> str:
            raised.append(LookupError(name))
            raise raised[-1]

        with pytest.raises(LookupError) as first:
            find("x")
        with pytest.raises(LookupError) as second:
            find("x")
        assert first.value is raised[0]
        assert "find" in {frame.name for frame in traceback.extract_tb(first.tb)}
        assert second.value is not raised[0]
        assert len(raised) == 1
        counts = owner.stats().by_name[f"{find.__module__}.{find.__qualname__}"]
        assert (counts.hits, counts.loads) == (1, 1)
