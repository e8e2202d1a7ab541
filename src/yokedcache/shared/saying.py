"""
What is logged of a store that fails: a line when an outage is noticed, and no more.

Everything else that fails in it is a detail. What a store refuses while it answers is no
outage: that is said once a kind.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from yokedcache.errors import StoreError
from yokedcache.runtime.log import logger, once

if TYPE_CHECKING:
    from yokedcache.core.breaker import Breaker

_FAILED: Final = "a shared store failed: %s"
_LEFT_ALONE: Final = """\
a shared store fails again and again, so it is left alone for a while and the database \
answers: %s"""
_KEEPS_NOTHING: Final = """\
a shared store fails again and again to keep an answer, so it is given none for a while; \
what it has is served: %s"""

_VARIES: Final = re.compile(r"\d+|['\"(].*")
_ENOUGH: Final = 60
"""Characters of a message that tell kinds apart."""


class Outage:
    """
    One outage at a time, of one store.

    Threads may race in it: then a line is said twice.
    """

    __slots__ = ("_ended", "_said")

    def __init__(self) -> None:
        self._said = self._ended = False

    def failed(self, error: StoreError, *, opened: bool, storing: bool) -> None:
        """
        Say that something failed, if nothing has been said of the outage yet.

        Args:
            error: the reason.
            opened: the store is left alone now.
            storing: by those alone who have something to store.
        """
        self._ended = False
        # the text, not the error: a log would keep what it was raised in
        if self._said:
            logger.debug(_FAILED, str(error))
        elif opened:
            self._said = not storing
            logger.warning(_KEEPS_NOTHING if storing else _LEFT_ALONE, str(error))
        else:
            self._said = say(error) and not storing

    def answered(self, *breakers: Breaker) -> None:
        """
        Note that something was answered: what fails next is another outage.
        """
        self._said = self._said and any(one.failing for one in breakers)

    def ended(self) -> None:
        """
        Say that the store answers again, if nothing has failed since it was said.
        """
        if not self._ended:
            self._ended = True
            logger.warning("the shared store answers again")


def say(error: StoreError) -> bool:
    """
    Say that something failed, once a kind; tell whether it was said now.
    """
    text = str(error)
    if once("store_failed", kind_of(error), _FAILED, text):
        return True
    logger.debug(_FAILED, text)
    return False


def kind_of(error: StoreError) -> str:
    """
    Tell what went wrong, and where, by as little as tells it from something else.

    What was asked varies, and so may whatever comes out of the store.
    """
    cause, facts = error.__cause__, error.facts
    if cause is None or isinstance(cause, StoreError):
        said = (error if cause is None else cause).message
        said = _VARIES.sub("", said.replace(str(facts.get("asked")), ""))[:_ENOUGH]
    else:
        said = f"{type(cause).__name__} {getattr(cause, 'sqlite_errorname', '')}"
    told = (facts.get(one, "") for one in ("address", "path", "refusal", "way_out"))
    return " ".join((*map(str, told), said))
