"""
Operations: what is called, with what, and what is made of the row that comes back.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, Final, TypeVar

from yokedcache.stores import answers
from yokedcache.stores.answers import SAME, Miss, Same, Stamp, TagSet, Times, Vector
from yokedcache.stores.postgresql.layout import numbers, read_digests, read_states

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from yokedcache.stores.postgresql.layout import Place

    Value = bytes | None
    Row = Sequence[Value]

R_co = TypeVar("R_co", covariant=True)

PATIENCE: Final = b"patience"
"""Stands for how long may be waited, which is known when it is sent."""

_INTEGER: Final = Struct(">q")
_FLOAT: Final = Struct(">d")
_COUNT: Final = Struct(">i")


class Operation(answers.Operation[R_co]):
    """
    An operation whose result is an `R_co`, still to be done: one call of a function.

    `values` are bytes as they are sent; those in `raw` are no texts.
    """

    __slots__ = ("call", "changes", "made", "place", "raw", "values")

    def __init__(
        self,
        asked: str,
        call: str,
        values: Sequence[Value],
        made: Callable[[Row], R_co],
        *,
        changes: bool = True,
        raw: frozenset[int] = frozenset(),
        place: Place | None = None,
    ) -> None:
        super().__init__(asked)
        marks = ", ".join(f"${number + 1}" for number in range(len(values)))
        # S608: the name is our own, of a schema that is a plain word
        self.call = f"SELECT * FROM {call}({marks})".encode()  # noqa: S608
        self.values = values
        self.made = made
        self.changes = changes
        self.raw = raw
        self.place = place


class Settled(answers.Operation[R_co]):
    """
    One whose result is known without asking.
    """

    __slots__ = ("result",)

    def __init__(self, asked: str, result: R_co) -> None:
        super().__init__(asked)
        self.result = result


class PostgresHit:
    """
    An entry whose vector held, unfenced, when it was read.
    """

    __slots__ = ("known", "payload", "times", "vector")

    def __init__(self, row: Row, tags: TagSet) -> None:
        _, _, _, born, fresh, stale, digests, versions, _, payload = row
        self.payload = payload or b""
        times = [_FLOAT.unpack(time)[0] for time in (born, fresh, stale) if time]
        self.times = Times(*times)
        own = tags.digests if digests is None else read_digests(digests)
        self.vector = Vector(own, (versions or b"").split())
        size = str(len(self.payload)).encode()
        self.known = (versions or b"", *map(write_float, times), size)
        """What it is known by, as `look` is told it."""


def write_integer(number: int) -> bytes:
    """
    Write a whole number.
    """
    return str(number).encode()


def write_float(number: float) -> bytes:
    """
    Write a time, exactly.
    """
    return repr(float(number)).encode()


def write_array(items: Sequence[object]) -> bytes:
    """
    Write numbers, or texts without anything that would have to be quoted.
    """
    return ("{" + ",".join(map(str, items)) + "}").encode()


def write_tags(tags: TagSet) -> bytes:
    """
    Write the numbers of tags.
    """
    return write_array(numbers(tags.digests))


def read_integer(value: Value) -> int:
    """
    Read a whole number, of four bytes or eight.
    """
    made = _COUNT if value is not None and len(value) == _COUNT.size else _INTEGER
    number: int = made.unpack(value or b"")[0]
    return number


def read_flag(row: Row) -> bool:
    """
    Read a row that is a yes or a no.
    """
    return row[0] == b"\1"


def read_found(row: Row, tags: TagSet) -> PostgresHit | Miss:
    """
    Read what a look-up found.
    """
    state, at, mark, *_, told, _ = row
    if state == b"hit":
        return PostgresHit(row, tags)
    states = read_states(told, tags.count, read_integer(at))
    return Miss((state or b"").decode(), Stamp(tags, states, mark or b""))


def read_again(row: Row, tags: TagSet) -> Same | PostgresHit | Miss:
    """
    Read what was found of an entry that is known.
    """
    return SAME if row[0] == b"same" else read_found(row, tags)


def read_stamp(row: Row, tags: TagSet) -> Stamp:
    """
    Read a stamp.
    """
    at, mark, counter, made, told = row
    states = read_states(told, tags.count, read_integer(at))
    places = frozenset(int(place) for place in (made or b"").split())
    return Stamp(tags, states, mark or b"", counter, places)


def flag(value: Any) -> bytes:
    """
    Write a yes or a no.
    """
    return b"t" if value else b"f"
