"""
Whose an answer is, where applications may share a store without meaning to.

1. An answer that was read from a database is given only to a process that uses that one.
   Two deployments of the same code have the same functions, under the same names: what
   tells them apart is the database behind. A process that hasn't met it yet asks it once.
2. What was read from no database, such as `user:1` that was set by hand, bears the
   databases of the process that stored it, and is given to no process that uses others
   alone. All processes of one application use the same, wherever its code lies and
   whatever version it has. Whose it is isn't known of a process that has met no database
   yet, or has none, or one that doesn't say who it is: such a process is a part of all.
   Applications that have chosen a prefix mean to share it: there nothing is borne.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from yokedcache.core.tags import ANY_DATABASE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_DIGEST: Final = 8
_MOST: Final = 64
"""Databases that are borne; what a process of more sets is for all."""
_TABLE: Final = "table:"


class Belonging:
    """
    The databases that this process uses, as far as it has met them.
    """

    def __init__(self, *, marks: bool = True) -> None:
        self._marks = marks
        self._met: set[str] = set()
        self._digests: set[bytes] = set()

    def meet(self, identity: str) -> None:
        """
        Learn of a database.
        """
        # of a server and a schema, answers without tables bear the server alone
        self._met |= {identity, identity.partition("/")[0]}
        if self._marks:
            digest = blake2b(identity.encode(), digest_size=_DIGEST).digest()
            self._digests.add(digest)

    def uses(self, names: Iterable[str]) -> bool:
        """
        Tell whether this process uses all the databases that an answer was read from.
        """
        return self._met.issuperset(_databases(names))

    def sign(self, names: Iterable[str]) -> list[bytes]:
        """
        Give what an answer of these tags bears.
        """
        if any(_databases(names)):
            return []  # they tell
        met = sorted(self._digests.copy())
        return met if len(met) <= _MOST else []

    def strange(self, signed: list[bytes]) -> bool:
        """
        Tell whether what bears these databases is another application's.
        """
        return bool(signed and self._digests) and self._digests.isdisjoint(signed)


def _databases(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if name.startswith(ANY_DATABASE):
            yield name[len(ANY_DATABASE) :]
        elif name.startswith(_TABLE):
            _, at, identity = name.rpartition("@")
            if at:
                yield identity
