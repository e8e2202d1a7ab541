"""
What is known to be set on a connection after a run of statements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import pytest

from yokedcache.policy import UNSET
from yokedcache.sqlalchemy.contexts.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def left() -> WeakSet[Settings]:
    return WeakSet()


@pytest.fixture
def run(left: WeakSet[Settings]) -> Callable[..., Settings]:
    def send(*statements: str, undone: bool = True) -> Settings:
        settings = Settings(left)
        settings.check_out()
        ends: dict[str, Any] = {
            "COMMIT": settings.commit,
            "ROLLBACK": settings.rollback,
            "in": settings.check_in,
            "out": settings.check_out,
        }
        for statement in statements:
            if statement in ends:
                ends[statement]()
            else:
                settings.read(statement, "pg:1", undone=undone)
        return settings

    return send


@pytest.mark.parametrize(
    "statements",
    [
        ["SET search_path = b", "ROLLBACK"],
        ["SET LOCAL search_path = b", "COMMIT"],
        ["SET search_path = b", "COMMIT", "RESET search_path", "COMMIT"],
        ["SET search_path = b", "COMMIT", "SET search_path TO DEFAULT", "COMMIT"],
        ["SET search_path = b", "COMMIT", "RESET ALL", "COMMIT"],
        ["SET search_path = b", "RESET search_path"],
        ["SET ROLE x", "COMMIT", "RESET ROLE", "COMMIT"],
        ["SET ROLE x", "COMMIT", "SET ROLE NONE", "COMMIT"],
        ["SET TIME ZONE 'UTC'", "COMMIT", "RESET timezone", "COMMIT"],
        ["SET TIME ZONE 'UTC'", "COMMIT", "SET TIME ZONE LOCAL", "COMMIT"],
        ["SELECT f()", "COMMIT", "DISCARD ALL", "COMMIT"],
        ["SET statement_timeout = 0", "COMMIT"],
        ["SET TRANSACTION READ ONLY"],
    ],
)
def test_nothing_is_set(
    run: Callable[..., Settings], left: Any, statements: list[str]
) -> None:
    assert run(*statements).reason(UNSET) is None
    assert not left


@pytest.mark.parametrize(
    "statements",
    [
        ["SET search_path = b"],
        ["SET LOCAL search_path = b"],
        ["SET search_path = b", "COMMIT", "RESET search_path", "ROLLBACK"],
        ["SET search_path = b", "COMMIT", "RESET timezone", "COMMIT"],
        ["SET search_path = b", "COMMIT", "ROLLBACK"],
        ["SET search_path = b", "SET LOCAL search_path = c", "COMMIT"],
        ["RESET search_path", "SET search_path = b", "COMMIT"],
        ["SET ROLE x", "COMMIT", "RESET ALL", "COMMIT"],
        ["SET SESSION AUTHORIZATION x", "COMMIT", "RESET ROLE", "COMMIT"],
        ["SELECT f()", "COMMIT", "RESET ALL", "COMMIT"],
        ["SET statement_timeout = 0; SET ROLE x", "COMMIT"],
        ["RESET ALL; SET ROLE x", "COMMIT"],
        ["/* RESET ALL */ SET ROLE x", "COMMIT"],
        ["SET lock_wait_timeout = 1, time_zone = 'UTC'", "COMMIT"],
    ],
)
def test_something_is_set(run: Callable[..., Settings], statements: list[str]) -> None:
    settings = run(*statements)
    assert settings.reason(UNSET) == "context"
    assert settings.reason(None) is None
    assert settings.reason("covered") is None
    settings.close()


def test_what_cant_be_undone_is_set_at_once(
    run: Callable[..., Settings], left: Any
) -> None:
    settings = run("PRAGMA case_sensitive_like = 1", "ROLLBACK", undone=False)
    assert settings.reason(UNSET) == "context"
    assert list(left) == [settings]
    settings.close()
    assert not left


def test_what_an_earlier_turn_left_is_covered_once_it_is_set_again(
    run: Callable[..., Settings],
) -> None:
    left_behind = ("SET search_path = b", "COMMIT", "in", "out")
    assert run(*left_behind).reason("mine") == "context"
    assert run(*left_behind, "SET ROLE x").reason("mine") == "context"
    assert run(*left_behind, "SET search_path = c").reason("mine") is None
    assert run(*left_behind).reason(None) is None


def test_two_vary_values_on_one_turn_are_nobodys(
    run: Callable[..., Settings],
) -> None:
    settings = run()
    settings.note_vary("a")
    assert settings.under == "a"
    settings.note_vary("b")
    assert settings.under not in {"a", "b"}
    settings.check_out()
    assert settings.under is UNSET
