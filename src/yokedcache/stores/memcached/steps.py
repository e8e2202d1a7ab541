"""
What an operation asks of the servers, one step after the other.

An operation is a generator: it yields a step, is sent what came of it, and says what to
do next. What does the steps (`client`) keeps one connection to each server for as long as
the operation takes, so that what is compared and set is of one life of the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypeVar

from yokedcache.stores import answers

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")

LOOKS: Final = frozenset({"read", "exists", "claim"})
CHANGES: Final = frozenset({"fence", "lift", "renew", "bump", "adopt"})
"""What is given up early, and what others have to be told."""


class Step(NamedTuple):
    """
    One command for one server, which may take a part of the time that is left.
    """

    server: int
    command: str
    arguments: tuple[Any, ...] = ()
    part: float = 1.0


Steps: TypeAlias = "Generator[Step, Any, T]"


class Plan(answers.Operation[R_co]):
    """
    An operation whose result is an `R_co`, still to be done.
    """

    __slots__ = ("place", "steps")

    def __init__(
        self, asked: str, steps: Callable[[], Steps[R_co]], *, place: Any = None
    ) -> None:
        super().__init__(asked)
        self.steps = steps
        self.place = place
        """Where the entry lies that a look-up looks for."""


class Seen(NamedTuple):
    """
    What lies under some keys, and the server's clock then, in milliseconds.
    """

    found: dict[bytes, Any]
    now: int


def get(server: int, keys: list[bytes]) -> Steps[Seen]:
    """
    Read some keys.
    """
    seen: Seen = yield Step(server, "get", (keys,))
    return seen


def gets(server: int, keys: list[bytes], part: float = 1.0) -> Steps[Seen]:
    """
    Read some keys, each with what its next change has to name.
    """
    seen: Seen = yield Step(server, "gets", (keys,), part)
    return seen


def cas(server: int, key: bytes, value: bytes, unique: Any, life: int) -> Steps[bool]:
    """
    Change a key if nobody has since it was read; for so many seconds, or for good (0).
    """
    done: bool = yield Step(server, "cas", (key, value, unique, life))
    return done


def add(server: int, key: bytes, value: bytes, life: int) -> Steps[bool]:
    """
    Put what isn't there.
    """
    done: bool = yield Step(server, "add", (key, value, life))
    return done


def put(server: int, key: bytes, value: bytes, life: int) -> Steps[str | None]:
    """
    Put something, or say why that can't be.
    """
    refused: str | None = yield Step(server, "set", (key, value, life))
    return refused


def drop(server: int, key: bytes) -> Steps[bool]:
    """
    Drop a key; tell whether it was there.
    """
    done: bool = yield Step(server, "delete", (key,))
    return done


def is_young(server: int, origin: bytes, lease: int) -> Steps[bool]:
    """
    Tell whether a server may have lost something within so many milliseconds.
    """
    young: bool = yield Step(server, "young", (origin, lease))
    return young
