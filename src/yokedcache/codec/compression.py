"""
Large payloads made smaller: by zstd where that is installed, else by zlib.

The first byte says by which. A process that lacks zstd can't read what others wrote with
it: that is a payload that can't be read, and so a miss.
"""

from __future__ import annotations

import importlib
import zlib
from functools import cache
from typing import Any, Final

from yokedcache.errors import PayloadError

SMALLEST: Final = 2048
"""Bytes of a payload that is worth the time."""

_WORTH: Final = 0.9
"""The part of a payload that must be left at most, or it stays as it is."""

_ZLIB: Final = b"\x01"
_ZSTD: Final = b"\x02"
_MODULES: Final = ("compression.zstd", "backports.zstd")


@cache
def zstd() -> Any | None:
    """
    Give the module that knows zstd: Python's own from 3.14 on, or its backport.
    """
    for name in _MODULES:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


def compress(data: bytes) -> bytes | None:
    """
    Make a payload smaller; `None` if that gains nothing.
    """
    if len(data) < SMALLEST:
        return None
    module = zstd()
    if module is None:
        small = _ZLIB + zlib.compress(data, 1)
    else:
        small = _ZSTD + module.compress(data, 1)
    return small if len(small) <= len(data) * _WORTH else None


def decompress(data: bytes | memoryview, limit: int) -> bytes:
    """
    Give a payload back, of so many bytes at most, or raise `PayloadError`.
    """
    kind, packed = bytes(data[:1]), data[1:]
    module = zstd() if kind == _ZSTD else None
    if kind == _ZLIB:
        opened: Any = zlib.decompressobj()
    elif module is not None:
        opened = module.ZstdDecompressor()
    elif kind == _ZSTD:
        raise PayloadError("the stored payload is compressed by zstd, which isn't here")
    else:
        raise PayloadError("the stored payload is compressed by nobody knows what")
    try:
        whole: bytes = opened.decompress(packed, limit + 1)
    except Exception as error:
        message = f"the stored payload can't be decompressed: {error}"
        raise PayloadError(message) from error
    if len(whole) > limit:
        message = f"the stored payload is larger than the limit of {limit} bytes"
        raise PayloadError(message, limit=limit)
    if not opened.eof:
        raise PayloadError("the stored payload is compressed, and has no end")
    return whole
