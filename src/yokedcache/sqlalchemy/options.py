"""
Options for one statement: `FromCache` and `NoCache`.

They travel with the statement's loader options, so that relationships loaded
lazily by what it returned follow them too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.orm.interfaces import UserDefinedOption

from yokedcache.core.durations import optional_seconds
from yokedcache.machine import checked_tags

if TYPE_CHECKING:
    from collections.abc import Iterable

    from yokedcache.core.durations import Duration


class FromCache(UserDefinedOption):
    """
    Answer this statement from the cache, whatever its session's `tables` say.

    Args:
        ttl: how long its rows live: seconds, `timedelta` or `"5m"`.
        tags: names that its rows depend on besides the tables they were read from.
    """

    propagate_to_loaders = True

    def __init__(
        self, *, ttl: Duration | None = None, tags: Iterable[str] = ()
    ) -> None:
        super().__init__()
        self.ttl = optional_seconds(ttl)
        self.tags = tuple(sorted(set(checked_tags(tags))))

    def __repr__(self) -> str:
        return f"FromCache(ttl={self.ttl!r}, tags={self.tags!r})"


class NoCache(UserDefinedOption):
    """
    Execute this statement on the database, and keep nothing.
    """

    propagate_to_loaders = True

    def __repr__(self) -> str:
        return "NoCache()"


def option_of(statement: Any) -> FromCache | NoCache | None:
    """
    Give the option that a statement carries; the last one given counts.
    """
    options = getattr(statement, "_with_options", ())
    if not options:
        return None
    for option in reversed(options):
        if isinstance(option, (FromCache, NoCache)):
            return option
    return None
