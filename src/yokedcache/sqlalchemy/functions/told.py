"""
What an app tells engines, connections and sessions, as parts of keys.

Execution options (`schema_translate_map` first of all) and a session's `info` change
what a function reads over it, or are read by the function itself. A statement has
their effect in its SQL and parameters; the key of a function has to have them as such.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.orm import Session

from yokedcache.core.keys import canonical
from yokedcache.errors import KeyArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from yokedcache.runtime.context import OpenCapture

SCHEMAS: Final = "schema_translate_map"

NO_SCHEMAS: Final = b""
"""The form of no map at all."""

UNKEYABLE: Final = b"?"
"""Stands for a map that has no form: no key covers it."""

_NO_SCHEMA: Final = "_none"
"""Under which SQLAlchemy repeats, in the app's own map, what stands for no schema."""

_HARMLESS: Final = frozenset({
    "autoflush", "compiled_cache", "identity_token", "insertmanyvalues_page_size",
    "isolation_level", "logging_token", "max_row_buffer", "no_parameters",
    "populate_existing", "postgresql_deferrable", "postgresql_readonly",
    "prebuffer_rows", "preserve_rowcount", "render_nulls", "stream_results",
    "synchronize_session", "yield_per",
})  # fmt: skip
"""
Options of SQLAlchemy that change no rows, or (isolation) are judged elsewhere.
"""

_LIBRARIES: Final = ("advanced_alchemy.",)
"""Packages that keep their own book-keeping in a session's `info`."""


class Told:
    """
    Parts of a key, and whether something is missing in them.
    """

    __slots__ = ("complete", "parts")

    def __init__(self) -> None:
        self.parts: tuple[bytes, ...] = ()
        self.complete = True

    def add(self, values: Mapping[Any, Any]) -> None:
        """
        Add pairs, in an order that depends on nothing but what they are.
        """
        forms = []
        for pair in values.items():
            try:
                forms.append(canonical(pair))
            except KeyArgumentError:
                own = type(pair[1]).__module__.startswith(_LIBRARIES)
                self.complete = self.complete and own
        self.parts = tuple(sorted(forms))


def options_told(options: Mapping[str, Any]) -> Told | None:
    """
    Give what of execution options is part of a key; `None` if nothing is.
    """
    if not options:
        return None
    mine = {name: options[name] for name in options if name not in _HARMLESS}
    schemas = mine.pop(SCHEMAS, None)
    if schemas:
        mine[SCHEMAS] = _as_given(schemas)
    if not mine:
        return None
    told = Told()
    told.add(mine)
    return told


def schemas_of(options: Mapping[str, Any]) -> bytes:
    """
    Give the form of the map of schemas among execution options.
    """
    schemas = options.get(SCHEMAS)
    if not schemas:
        return NO_SCHEMAS
    try:
        return canonical(_as_given(schemas))
    except KeyArgumentError:
        return UNKEYABLE


def _as_given(schemas: Mapping[Any, Any]) -> dict[Any, Any]:
    """
    Give a map of schemas without what SQLAlchemy adds to it as it is first used.
    """
    given = dict(schemas)
    if None in given:
        given.pop(_NO_SCHEMA, None)
    return given


def info_told(info: Mapping[Any, Any] | None) -> Told | None:
    """
    Give what of a session's `info` is part of a key; `None` if nothing is.
    """
    if not info:
        return None
    told = Told()
    told.add(dict(info))
    return told


def info_of(session: Session) -> Mapping[Any, Any] | None:
    """
    Give what an app keeps in a session's `info`, and make none if there is none.
    """
    if type(session).info is Session.info:
        return session.__dict__.get("info")
    return session.info


def unkeyed(capture: OpenCapture, schemas: bytes) -> str | None:
    """
    Name why what is read through a map of schemas may not go into a capture's result.
    """
    if not schemas or capture.varied or schemas in capture.schemas:
        return None
    return "schema_translate_map"
