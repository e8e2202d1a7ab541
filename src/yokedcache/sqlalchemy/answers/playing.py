"""
How a hit is played.

Through a template where there is one, else through the loader over raw rows.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from yokedcache.sqlalchemy.answers.rows import Recording, replay
from yokedcache.sqlalchemy.answers.stamping import stamped, usable
from yokedcache.sqlalchemy.answers.templates import template_of

if TYPE_CHECKING:
    from sqlalchemy.engine import CursorResult

    from yokedcache.sqlalchemy.answers.blueprints import Template
    from yokedcache.sqlalchemy.answers.statement_calls import Hit, StatementCall

WORTHWHILE = 2
"""Hits after which a template is made: fewer don't pay for making it."""

MOST = 4
"""Compiled statements of the same SQL whose templates are kept."""


class Kept:
    """
    What is kept of a statement in near memory: its rows, and templates of them.

    A template belongs to one compiled statement: statements that differ in what
    they map, or in their options, may have the same SQL, and so the same rows.
    """

    __slots__ = ("_plays", "_templates", "recording")

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._plays = 0
        # replaced whole: other threads read it meanwhile
        self._templates: tuple[tuple[weakref.ref[Any], Template | None], ...] = ()

    def template_for(self, compiled: Any) -> Template | None:
        """
        Give the template for a compiled statement, if it was made.
        """
        for reference, template in self._templates:
            if reference() is compiled:
                return template
        return None

    def template(self, call: StatementCall) -> Template | None:
        """
        Give the template for a call's statement, made when it is worthwhile.
        """
        compiled = call.prepared.compiled
        for reference, template in self._templates:
            if reference() is compiled:
                return template
        self._plays += 1
        if self._plays < WORTHWHILE:
            return None
        self._plays = 0
        made = template_of(
            compiled,
            call.statement,
            lambda: replay(call.prepared, self.recording, again=True),
        )
        kept = [pair for pair in self._templates if pair[0]() is not None]
        self._templates = ((weakref.ref(compiled), made), *kept[: MOST - 1])
        return made


def play(call: StatementCall, plan: Hit) -> CursorResult[Any]:
    """
    Give a result of recorded rows.
    """
    recording, kept = plan.recording, plan.kept
    if kept is not None:
        template = kept.template(call)
        if (
            template is not None
            and usable(template, call.session, call.execution_options)
            and not _is_awaited(call)
        ):
            if plan.learn is not None:
                plan.learn(call)
            played: Any = stamped(
                call.prepared.compiled,
                template,
                lambda: replay(call.prepared, recording),
            )
            return played  # type: ignore[no-any-return]
    return replay(call.prepared, recording)


def _is_awaited(call: StatementCall) -> bool:
    """
    Tell whether an eager loader, begun by others of the same load, wants the instances.

    It lies in the load above, by their path, and takes in who is loaded there by the
    loader, whatever options that statement has itself.
    """
    above = (call.execution_options or {}).get("sa_top_level_orm_context")
    if above is None:
        return False
    statement: Any = call.statement
    path = statement._compile_options._current_path.path
    length = len(path)
    return any(len(k) > length and k[:length] == path for k in above.post_load_paths)
