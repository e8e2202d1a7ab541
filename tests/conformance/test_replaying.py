"""
Mode `replay` answers every read from bytes, and lets nothing wrong go by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import replaying
from replaying import Replaying
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from yokedcache.sqlalchemy.install import install

if TYPE_CHECKING:
    from collections.abc import Iterator


class Replayed(Session):
    """
    A session class of its own: the harness takes them all.
    """


@pytest.fixture
def mode() -> Replaying:
    made = Replaying()
    install(Replayed, made)
    return made


@pytest.fixture
def session(mode: Replaying) -> Iterator[Session]:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with Replayed(engine) as made:
        yield made
    engine.dispose()


def test_rows_go_through_the_codec(session: Session, mode: Replaying) -> None:
    assert session.execute(text("SELECT 1, 'a', NULL")).all() == [(1, "a", None)]
    assert mode.counts["replayed"] == mode.counts["answered"] == 1


def test_a_codec_that_changes_a_value_fails_the_test(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    plainly = replaying.load

    def load(data: bytes) -> Any:
        description, rows, *rest = plainly(data)  # type: ignore[misc]
        return description, tuple((str(row[0]),) for row in rows), *rest

    monkeypatch.setattr(replaying, "load", load)

    with pytest.raises(AssertionError, match="rows changed"):
        session.execute(text("SELECT 1"))


def test_an_error_of_the_database_is_no_bypass(
    session: Session, mode: Replaying
) -> None:
    with pytest.raises(OperationalError, match="no such table"):
        session.execute(text("SELECT * FROM nowhere"))

    assert not mode.counts
