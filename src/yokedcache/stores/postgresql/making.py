"""
The schema, put together from this package's files, and told from another version's.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

from yokedcache.errors import StoreError
from yokedcache.stores.postgresql.layout import LAYOUT

_KIND: Final = "yokedcache "
_PARTS: Final = ("tables", "looking", "said", "changing", "entries")


class Schema:
    """
    A schema as one process uses it, whose layout it compares once.
    """

    __slots__ = ("_name", "asking", "compared", "making")

    def __init__(self, name: str) -> None:
        self._name = name
        self.making = making(name)
        """What makes it."""
        self.asking = (
            "SELECT pg_catalog.obj_description("
            f"pg_catalog.to_regclass('{name}.tags'), 'pg_class')"
        ).encode()
        """What asks for its layout."""
        self.compared = False

    def compare(self, said: bytes | None) -> None:
        """
        Raise if a layout isn't ours: what is called alike may do something else there.

        Where there is none as yet, the schema is made, or what is there instead told.

        Raises:
            StoreError: it is another version's.
        """
        text = (said or b"").decode("utf-8", "replace")
        if text.startswith(_KIND) and text != LAYOUT:
            name = self._name
            msg = (
                f"the schema {name} was made by another version of yokedcache ({text!r}, "
                f"this one makes {LAYOUT!r}) and is left alone: DROP SCHEMA {name} "
                "CASCADE, or take another prefix"
            )
            raise StoreError(msg)
        self.compared = True


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
