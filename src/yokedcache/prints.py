"""
What tells one version of a function from another, where several run side by side.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType


def code_print(function: Any) -> str:
    """
    Give a digest of what a function does: another version of it has other keys.
    """
    digest = blake2b(digest_size=12)
    seen = function
    while seen is not None:
        code = getattr(seen, "__code__", None)
        for part in () if code is None else _parts(code):
            digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
        seen = getattr(seen, "__wrapped__", None)
    return digest.hexdigest()


def _parts(code: CodeType) -> Iterator[str]:
    yield code.co_code.hex()
    yield from code.co_names
    yield from code.co_varnames
    for constant in code.co_consts:
        if hasattr(constant, "co_code"):
            yield from _parts(constant)
        elif isinstance(constant, frozenset):
            yield repr(sorted(map(repr, constant)))
        else:
            yield repr(constant)
