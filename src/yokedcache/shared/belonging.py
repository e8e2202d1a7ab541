"""
Whose a key is that was set by hand, where applications may share a store by accident.

Answers of functions and statements have in their keys what tells applications apart;
`user:1` has nothing. Applications differ in the databases that they use, and all processes
of one use the same, wherever their code lies and whatever version it has. So what is set
by hand bears the databases of the process that sets it, and is given to no process
that uses others alone.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

_DIGEST: Final = 8
_MOST: Final = 64
"""Databases that are borne: a process of more has tests in it."""


class Belonging:
    """
    The databases that this process uses, as far as it has met them.
    """

    def __init__(self) -> None:
        self._met: set[bytes] = set()
        self._awaits = False

    def meet(self, identity: str | None) -> None:
        """
        Learn of a database; `None` for one of which it isn't known yet which it is.
        """
        if identity is None:
            self._awaits = True
            return
        self._met.add(blake2b(identity.encode(), digest_size=_DIGEST).digest())

    def sign(self) -> list[bytes]:
        """
        Give what is borne by what is set here: nothing, if no database was met.
        """
        return sorted(self._met.copy())[:_MOST]

    def strange(self, signed: list[bytes]) -> bool:
        """
        Tell whether what bears these databases may be another application's.

        Who uses no database is taken for a part of all: a script, or a worker.
        """
        if not signed:
            return False
        return self._met.isdisjoint(signed) if self._met else self._awaits
