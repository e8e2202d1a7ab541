"""
How a hit is played.

Through a template where there is one, else through the loader over raw rows.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from yokedcache.sqlalchemy.rows import Recording, replay
from yokedcache.sqlalchemy.stamping import Template, stamped, usable
from yokedcache.sqlalchemy.templates import template_of

if TYPE_CHECKING:
    from sqlalchemy.engine import CursorResult

    from yokedcache.sqlalchemy.calls import Hit, StatementCall

WORTHWHILE = 2
"""Hits after which a template is made: fewer don't pay for making it."""


class Kept:
    """
    What is kept of a statement in near memory: its rows, and a template of them.

    A template belongs to one compiled statement: statements that differ in what
    they map may have the same SQL, and so the same rows.
    """

    __slots__ = ("_compiled", "_plays", "_template", "recording")

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._plays = 0
        self._compiled: weakref.ref[Any] | None = None
        self._template: Template | None = None

    def template_for(self, compiled: Any) -> Template | None:
        """
        Give the template for a compiled statement, if it was made.
        """
        if self._compiled is None or self._compiled() is not compiled:
            return None
        return self._template

    def template(self, call: StatementCall) -> Template | None:
        """
        Give the template for a call's statement, made when it is worthwhile.
        """
        compiled = call.prepared.compiled
        if self._compiled is not None and self._compiled() is compiled:
            return self._template
        self._plays += 1
        if self._plays < WORTHWHILE:
            return None
        self._plays = 0
        self._template = template_of(
            compiled,
            call.statement,
            lambda: replay(call.prepared, self.recording, again=True),
        )
        self._compiled = weakref.ref(compiled)
        return self._template


def play(call: StatementCall, plan: Hit) -> CursorResult[Any]:
    """
    Give a result of recorded rows.
    """
    recording, kept = plan.recording, plan.kept
    if kept is not None:
        template = kept.template(call)
        if template is not None and usable(
            template, call.session, call.execution_options
        ):
            if plan.learn is not None:
                plan.learn(call)
            return stamped(call.prepared.compiled, template)  # type: ignore[return-value]
    return replay(call.prepared, recording)
