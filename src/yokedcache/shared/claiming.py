"""
One load for all processes: who misses claims it, or waits for whoever has.

A process that has the claim loads, stores and gives it up. The others look again and
again, less often the longer it takes, until the entry is there; if the claim is given up
or runs out without one, they load. Nobody waits longer than for two others.

What is found that way was asked for after each of those who wait began, so it serves them
as any look-up would (rule 11). Nothing else depends on claims.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from yokedcache.errors import PayloadError, StoreError
from yokedcache.shared.keys import shared_key
from yokedcache.shared.looking import Looking
from yokedcache.shared.resting import Rest
from yokedcache.stores.answers import Miss
from yokedcache.stores.versions import word

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from yokedcache.core.entry import Entry, Tally
    from yokedcache.stores.silent import Asking

SOONEST: Final = 0.004
LATEST: Final = 0.1
"""Seconds between two looks, at first and at most."""
SHARE: Final = 0.25
"""The part of the time that was waited already which a rest takes."""
MOST: Final = 2
"""Loads of others that are waited for."""

_TOKEN_BYTES: Final = 9


class Claimed:
    """
    What came of wanting to load: a token to load with, an entry, or that others do.
    """

    __slots__ = ("entry", "others", "token")

    def __init__(
        self,
        *,
        token: bytes | None = None,
        entry: Entry | None = None,
        others: bool = False,
    ) -> None:
        self.token = token
        self.entry = entry
        self.others = others


class Claiming(Looking):
    """
    The claims of a `SharedStore`.
    """

    def claiming(
        self,
        key: Hashable,
        names: Iterable[str],
        *,
        fresh: Callable[[Entry | None], bool],
        owner: Tally,
        copy: bool,
        patience: float,
    ) -> Asking[Claimed]:
        """
        Claim the load of a key, or wait so many seconds for the entry of who has.

        Args:
            fresh: tells if an entry is what is waited for.
        """
        raw = shared_key(key)
        if raw is None or key in self.suspects.keys:  # a claim reads what lies there
            return Claimed()
        asked = self._mirror.expected(key, self.entries.get(key), names)
        token = word(secrets.token_bytes(_TOKEN_BYTES))
        holders: set[bytes] = set()
        began = self._clock()
        while True:
            claiming = self.server.commands.claim(raw, asked.tags, token)
            claiming.at = self._clock()
            try:
                claim = yield claiming
            except StoreError:
                return Claimed()
            if not isinstance(claim.found, Miss):
                entry = None
                with suppress(PayloadError):  # `look` has met it, and counted
                    entry = self._taken(key, claim.found, claiming, copy=copy)
                entry = self._served(entry, owner)
                if fresh(entry):
                    if claim.holder == token:
                        yield from self.releasing(key, token)
                    return Claimed(entry=entry)
            if claim.holder == token:
                return Claimed(token=token)
            if claim.holder is None:
                return Claimed()
            holders.add(claim.holder)
            spent = self._clock() - began
            if spent >= patience or len(holders) > MOST:
                return Claimed(others=True)
            yield Rest(min(max(SOONEST, SHARE * spent), LATEST, patience - spent))

    def releasing(self, key: Hashable, token: bytes) -> Asking[None]:
        """
        Give a claim up; one that can't be ends by itself.
        """
        raw = shared_key(key)
        if raw is not None:
            with suppress(StoreError):
                yield self.server.commands.release(raw, token)
