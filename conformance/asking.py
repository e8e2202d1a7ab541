"""
What a test's expectations of statements are held against, with the cache on.

A statement that was answered isn't sent, so a test that counts what is sent
differs; that is what a cache is for. It still has to ask for the same: whatever
the suite's asserter doesn't find in what was sent, it has to find in what was
asked, which is what was sent or answered, without what was stored in advance.
"""

from __future__ import annotations

import contextlib
import copy
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from outcomes import COUNTED
from sqlalchemy.testing.assertsql import (
    SQLAsserter,
    SQLCursorExecuteObserved,
    SQLExecuteObserved,
)

from yokedcache.sqlalchemy.answers import facade, quick

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session

    from yokedcache.sqlalchemy.answers.statement_calls import Hit, StatementCall


class Answered(SQLExecuteObserved):
    """
    A statement that was answered, as the suite observes one that was sent.
    """


class Advance(SQLExecuteObserved):
    """
    A statement that was sent to store its answer in advance.
    """


class Asking:
    """
    Stands beside the suite's asserters and tells them what was answered.
    """

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self._open: list[Any] = []
        self._silent = False
        self._unclear = False
        self.answered = 0

    def install(self) -> None:
        """
        Stand beside every asserter and every hit from now on.
        """
        self._watch_asserters()
        self._watch_hits()

    def so_far(self) -> list[tuple[Any, int]]:
        """
        Give how much the open asserters have seen.
        """
        return [(asserter, len(asserter.accumulated)) for asserter in self._open]

    def in_advance(self, before: list[tuple[Any, int]]) -> None:
        """
        Take what was sent since `so_far` for no statement of the test's.
        """
        for asserter, length in before:
            for observed in asserter.accumulated[length:]:
                observed.__class__ = Advance

    @contextlib.contextmanager
    def silence(self) -> Iterator[None]:
        """
        Take a hit meanwhile for the one that was before.
        """
        self._silent = True
        try:
            yield
        finally:
            self._silent = False

    def _watch_asserters(self) -> None:
        begin, close, judge = (
            SQLAsserter.__init__,
            SQLAsserter._close,
            SQLAsserter.assert_,
        )

        def __init__(asserter: Any) -> None:  # noqa: N807 - in its place
            begin(asserter)
            self._open.append(asserter)

        def _close(asserter: Any) -> None:
            self._open.remove(asserter)
            close(asserter)
            asserter.everything = asserter._final

        def assert_(asserter: Any, *rules: Any) -> None:
            self._judge(asserter, lambda: judge(asserter, *map(_fresh, rules)))

        for method in (__init__, _close, assert_):
            setattr(SQLAsserter, method.__name__, method)

    def _judge(self, asserter: Any, judge: Any) -> None:
        observed = asserter.everything
        asserter._final = _without(Answered, observed)
        try:
            judge()
        except AssertionError as sent:
            asserter._final = _without(Advance, observed)
            if not self._unclear:
                judge()
            self.complaints.append(f"{COUNTED} {str(sent).splitlines()[0]}")

    def _watch_hits(self) -> None:
        play, select, get = facade.play, quick.Quick.select, quick.Quick.get

        def played(call: StatementCall, plan: Hit) -> Any:
            prepared = call.prepared
            sent = (prepared.sql, prepared.parameters)
            self._answered(prepared.compiled, call.statement, call.parameters, sent)
            return play(call, plan)

        def selected(
            short: quick.Quick, session: Session, statement: Any, options: Any
        ) -> Any:
            given = select(short, session, statement, options)
            if given is not quick.MISSED:
                compiled = statement.compile(dialect=session.bind.dialect)
                self._answered(compiled, statement, None, (str(compiled), ()))
            return given

        def got(short: quick.Quick, *args: Any) -> Any:
            given = get(short, *args)
            if given is not quick.MISSED:
                self._unclear = True
                self.answered += 1
            return given

        facade.play = played
        quick.Quick.select = selected  # type: ignore[method-assign]
        quick.Quick.get = got  # type: ignore[method-assign]

    def _answered(
        self, compiled: Any, statement: Any, parameters: Any, sent: tuple[str, Any]
    ) -> None:
        if self._silent:
            return
        self.answered += 1
        context = SimpleNamespace(
            compiled=compiled,
            compiled_parameters=[compiled.construct_params(parameters, _check=False)],
            dialect=compiled.dialect,
            execution_options={},
            statement=sent[0],
        )
        single = isinstance(parameters, dict)
        many, one = (None, parameters) if single else (parameters, None)
        for asserter in self._open:
            observed = Answered(context, statement, many, one)
            observed.statements.append(
                SQLCursorExecuteObserved(*sent, context, executemany=False)
            )
            asserter.accumulated.append(observed)

    def begin_test(self) -> None:
        """
        Forget the last test.
        """
        self.complaints.clear()
        self._open.clear()
        self._unclear = False


def _fresh(rule: Any) -> Any:
    """
    Copy a rule, which is used up by being held against statements.
    """
    made = copy.copy(rule)
    if hasattr(rule, "rules"):
        made.rules = type(rule.rules)(map(_fresh, rule.rules))
    return made


def _without(kind: type, observed: list[Any]) -> list[Any]:
    """
    Copy statements but those of one kind; holding rules against them uses them up.
    """
    kept = [copy.copy(one) for one in observed if type(one) is not kind]
    for one in kept:
        one.statements = list(one.statements)
    return kept
