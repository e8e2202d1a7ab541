"""
What lies under an entry's key and can't be read: said once a kind, with a way out.
"""

from __future__ import annotations

from typing import Final

from yokedcache.runtime.log import once
from yokedcache.stores.answers import OVERSIZED

_APART: Final = "give each application a prefix of its own: YokedCache(url, prefix=...)"
_SPOILT: Final = (
    "something else writes there, or the store spoils what it has: see its own log, its "
    "disk and its memory"
)
# no other prefix: processes of one application hear each other's commits under theirs
_ALIKE: Final = "run the same version of yokedcache everywhere"
_KINDS: Final = {
    "foreign": ("something that isn't ours lies there", _APART),
    OVERSIZED: (
        "it is larger than any entry",
        _APART,
    ),
    "truncated": ("it isn't as long as it says", _SPOILT),
    "corrupted": ("it isn't what was stored", _SPOILT),
    "stranger": (
        "another application has stored it, one that uses other databases",
        f"{_APART}; or one and the same to those that mean to share keys",
    ),
    "other_layout": ("another version of yokedcache has stored it", _ALIKE),
}

STRANGER: Final = "stranger"
"""The kind of what another application has stored, with other databases."""

PAYLOAD: Final = "payload"
"""The kind of what a store gave out whole, and its codec can't take apart."""


def say(kind: str, said: str = "") -> None:
    """
    Log that an entry of a shared store is a miss, as it can't be read.

    Args:
        kind: the reason of a miss (`UNREADABLE`), or `PAYLOAD`.
        said: what is wrong with a payload.
    """
    what, way_out = _KINDS.get(kind, (said or kind, f"{_ALIKE}; {_SPOILT}"))
    once(
        "unreadable",
        kind,
        "an entry of the shared store is a miss, as it can't be read: %s. What is stored "
        "next takes its place. If there are more (`unreadable` in the statistics): %s",
        what,
        way_out,
    )
