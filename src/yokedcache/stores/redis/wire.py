"""
Commands as the bytes that a server reads, and what it refused as a value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator

    T = TypeVar("T")
    Steps = Generator["Request", list[Any], T]


def bulk(text: bytes) -> bytes:
    """
    Write one word of a command.
    """
    return b"$%d\r\n%b\r\n" % (len(text), text)


def command(*words: bytes) -> bytes:
    """
    Write a whole command.
    """
    return b"*%d\r\n%b" % (len(words), b"".join(map(bulk, words)))


class Refusal:
    """
    What a server answers instead of what it was asked for: an error's code and text.

    `error` is the exception that the client library made of it.
    """

    __slots__ = ("code", "error", "text")

    def __init__(self, code: str, text: str, error: Exception | None = None) -> None:
        self.code = code
        self.text = text
        self.error = error

    def __repr__(self) -> str:
        return f"<Refusal {self.code}: {self.text}>"


class RefusedError(Exception):
    """
    Ends an operation that the server refused; the drivers make a `StoreError` of it.
    """

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal

    @property
    def of_a_replica(self) -> bool:
        """
        Tell whether it was refused by what isn't the primary any more.
        """
        return self.refusal.code == READ_ONLY


def fine(answer: Any) -> Any:
    """
    Return an answer that is none of refusal.
    """
    if isinstance(answer, Refusal):
        raise RefusedError(answer)
    return answer


class Request:
    """
    Commands to be sent in one go, and how many answers they have.
    """

    __slots__ = ("count", "packed")

    def __init__(self, packed: bytes, count: int = 1) -> None:
        self.packed = packed
        self.count = count


NO_SCRIPT: Final = "NOSCRIPT"
READ_ONLY: Final = "READONLY"
WRONG_TYPE: Final = "WRONGTYPE"
MOVED: Final = "MOVED"
ASK: Final = "ASK"
TRY_AGAIN: Final = "TRYAGAIN"
CROSS_SLOT: Final = "CROSSSLOT"
NO_PERMISSION: Final = "NOPERM"
NO_AUTH: Final = "NOAUTH"
STRANGER: Final = "WRONGPASS"
NO_SCRIPTS: Final = "NOSCRIPTS"
"""Ours: no server has a word for it."""

FOREIGN: Final = "it answers as nothing does that speaks Redis' protocol"
"""What is said of a server of another kind."""
