"""
Why there can't be a file of ours at a path, and what would help.

SQLite says of all of it that it is "unable to open database file".
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from yokedcache.errors import StoreError

_BESIDE: Final = ("", "-lock", "-wal", "-shm", "-journal")
_LONGEST_ENDING: Final = len("-lock-journal")
_LONGEST_NAME: Final = 255
_LONGEST_PATH: Final = 512
"""Bytes of a path as SQLite takes it, with what it adds to the name."""

_EFFECTIVE: Final = os.access in os.supports_effective_ids
_WAY_OUT: Final = "take another path, or give it that right"


def check_regular(path: str) -> None:
    """
    Raise if there is something at a path that is no file: a pipe waits for ever.

    Raises:
        StoreError: there is.
    """
    if said := _why_irregular(path):
        raise StoreError(f"{path} can't be the cache's: {said}", path=path)


def why_closed(path: str) -> str:
    """
    Say why a file can't be made, opened or written, and the way out.
    """
    try:
        return (
            _why_too_long(path)
            or _why_no_folder(path)
            or _why_irregular(path)
            or _why_forbidden(path)
            or "it can't be opened, or made there: take another path"
        )
    except OSError as error:
        return f"{error.strerror}: take another path"


def _why_too_long(path: str) -> str:
    name = len(os.fsencode(Path(path).name))
    if name + _LONGEST_ENDING > _LONGEST_NAME:
        most = _LONGEST_NAME - _LONGEST_ENDING
        return (
            f"its name is too long, {name} bytes of at most {most}: take a shorter one"
        )
    whole = len(os.fsencode(path))
    if whole + _LONGEST_ENDING >= _LONGEST_PATH:
        most = _LONGEST_PATH - _LONGEST_ENDING - 1
        return (
            f"its path is too long, {whole} bytes of at most {most}: take a shorter one"
        )
    return ""


def _why_no_folder(path: str) -> str:
    for folder in reversed(Path(path).parents):
        if not os.path.lexists(folder):
            return f"there is no directory {Path(path).parent}: make it, or take another path"
        if not folder.is_dir():
            return (
                f"there is no directory {Path(path).parent}, since {folder} is none: "
                "take another path"
            )
        if not _may(folder, os.X_OK):
            return f"{_who()} may not enter the directory {folder}: {_WAY_OUT}"
    return ""


def _why_irregular(path: str) -> str:
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        return ""
    if stat.S_ISDIR(mode):
        return f"{path} is a directory: name a file in it"
    return "" if stat.S_ISREG(mode) else "it is no regular file: take another path"


def _why_forbidden(path: str) -> str:
    for ending in _BESIDE:
        file = Path(path + ending)
        if file.exists() and not _may(file, os.R_OK | os.W_OK):
            return f"{_who()} may not read and write the file {file}: {_WAY_OUT}"
    folder = Path(path).parent
    if not _may(folder, os.W_OK):
        return f"{_who()} may not write in the directory {folder}: {_WAY_OUT}"
    return ""


def _may(what: Path, how: int) -> bool:
    return os.access(what, how, effective_ids=_EFFECTIVE)


def _who() -> str:
    asked = getattr(os, "geteuid", None)  # not on Windows
    return f"the user of this process ({asked()})" if asked else "this process"
