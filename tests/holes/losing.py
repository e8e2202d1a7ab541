"""
Commits that the database fails, and what is cached meanwhile.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

from tests.support.held import LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.holes.asking import Asker
    from tests.support.databases import Blog


def is_uncached(blog: Blog, ask: Asker) -> bool:
    """
    Tell whether every answer comes from the database.
    """
    ask()
    with blog.counted() as sent:
        ask()
    return len(sent) >= 4


class Failing:
    """
    Does something in a thread of its own, and expects the database to fail it.
    """

    def __init__(self, deed: Callable[[], Any]) -> None:
        self._deed = deed
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._deed()
        except DBAPIError as error:
            self._error = error

    def end(self) -> None:
        """
        Wait until it has failed.
        """
        self._thread.join(LIMIT)
        assert self._error is not None
