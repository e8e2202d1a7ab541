"""
What tells one version of a function from another, where several run side by side.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType


def code_print(*parts: Any) -> str:
    """
    Give a digest of what functions do: another version of them has other keys.

    Text among them counts as it is.
    """
    digest = blake2b(digest_size=12)
    for part in parts:
        seen = part
        while seen is not None:
            for text in _said(seen):
                digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
            seen = getattr(seen, "__wrapped__", None)
        digest.update(b"\1")
    return digest.hexdigest()


def _said(part: Any) -> Iterator[str]:
    if isinstance(part, str):
        yield part
    code = getattr(part, "__code__", None)
    if code is not None:
        yield from _parts(code)


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
