"""
Keys that every process understands.

A key in this process may hold what means nothing elsewhere: the number of a cached
function, or a class that its name doesn't lead to. Here it is given the form that other
processes of the same application make of the same call, or one that is this process's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from yokedcache.core.keys import canonical
from yokedcache.errors import KeyArgumentError
from yokedcache.runtime.naming import named, this_process

if TYPE_CHECKING:
    from collections.abc import Hashable


def shared_key(key: Hashable) -> bytes | None:
    """
    Give the form of a key that every process makes of it; `None` if it has none.
    """
    parts: Any = key
    token = parts[0] if isinstance(key, tuple) and parts else None
    if isinstance(token, str) and (owner := named.get(token)) is not None:
        name = owner.shared_name()
        parts = (name or f"{token}@{this_process()}", *parts[1:])
    try:
        return canonical(parts)
    except KeyArgumentError:
        return None
