"""
The schema, put together from this package's files.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

from yokedcache.stores.postgresql.layout import LAYOUT

_PARTS: Final = ("tables", "looking", "said", "changing", "entries")


@cache
def making(schema: str) -> bytes:
    """
    Give the statements that make a schema unless it is there.

    Each is told the isolation that it needs, whatever the role's own is.
    """
    parts = "\n".join(map(_read, _PARTS))
    text = _read("making").replace("@PARTS", parts).replace("@LAYOUT", LAYOUT)
    # two make it, one after the other; who waits for the other too long is gone
    begin = (
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = '1s'"
    )
    whole = f"{begin}; {text} COMMIT"
    return whole.replace("@", schema).encode()


def _read(name: str) -> str:
    return (files(__package__) / "sql" / f"{name}.sql").read_text(encoding="utf-8")
