"""
Whose a key is that was set by hand, where applications may share a store by accident.

Answers of functions and statements have in their keys what tells applications apart;
`user:1` has nothing. Applications differ in the databases that they use, and all processes
of one use the same, wherever their code lies and whatever version it has. So what is set
by hand bears the databases of the process that sets it, and is given to no process
that uses others alone. Whose it is isn't known of a process that has met no database yet,
or has none, or one that doesn't say who it is: such a process is a part of all.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

_DIGEST: Final = 8
_MOST: Final = 64
"""Databases that are borne; what a process of more sets is for all."""


class Belonging:
    """
    The databases that this process uses, as far as it has met them.
    """

    def __init__(self) -> None:
        self._met: set[bytes] = set()

    def meet(self, identity: str) -> None:
        """
        Learn of a database.
        """
        self._met.add(blake2b(identity.encode(), digest_size=_DIGEST).digest())

    def sign(self) -> list[bytes]:
        """
        Give what is borne by what is set here.
        """
        met = sorted(self._met.copy())
        return met if len(met) <= _MOST else []

    def strange(self, signed: list[bytes]) -> bool:
        """
        Tell whether what bears these databases is another application's.
        """
        return bool(signed and self._met) and self._met.isdisjoint(signed)
