"""
Keys that every process understands.

A key in this process may hold what means nothing elsewhere: the number of a cached
function, or a class that its name doesn't lead to. Here it is given the form that other
processes of the same application make of the same call, or one that is this process's.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from yokedcache.core.keys import PLAIN, canonical
from yokedcache.errors import KeyArgumentError
from yokedcache.runtime.naming import named, this_process

if TYPE_CHECKING:
    from collections.abc import Hashable


_KEY_BYTES: Final = 15
_KEY_TAG: Final = "key:"


def is_plain(key: Hashable) -> bool:
    """
    Tell whether a key is one of `cache.get` and its kin, which an application sets by hand.
    """
    return isinstance(key, tuple) and bool(key) and key[0] == PLAIN


def key_tag(key: Hashable) -> str | None:
    """
    Name the tag that is announced where the answer of one call is dropped or loaded anew.

    No entry has it, and it is never made. `None` if there is nothing to be announced of a
    key: plain ones, and those that only this process understands.
    """
    if not isinstance(key, tuple) or not key or is_plain(key):
        return None
    raw = shared_key(key)
    if raw is None:
        return None
    return _KEY_TAG + blake2b(raw, digest_size=_KEY_BYTES).hexdigest()


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
