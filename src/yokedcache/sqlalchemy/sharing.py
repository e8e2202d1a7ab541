"""
What a store that processes share needs of SQLAlchemy: how to write what it answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from yokedcache.runtime import switching
from yokedcache.sqlalchemy.answers import driver

if TYPE_CHECKING:
    from yokedcache.core.entry import Entry


def install() -> None:
    """
    Have rows and mapped objects written, and greenlets wait.
    """
    from yokedcache.shared.payloads import Form, register_form
    from yokedcache.sqlalchemy.answers.playing import Kept
    from yokedcache.sqlalchemy.answers.recordings import Recording
    from yokedcache.sqlalchemy.functions.albums import FORM

    def packed(entry: Entry) -> Any:
        kept: Kept = entry.value
        return kept.recording.packed()

    def unpacked(plain: Any) -> tuple[Any, None]:
        return Kept(Recording.unpacked(plain)), None

    register_form("rows", Form(lambda e: isinstance(e.value, Kept), packed, unpacked))
    register_form("objects", FORM)
    switching.install(driver.in_greenlet, driver.wait)
