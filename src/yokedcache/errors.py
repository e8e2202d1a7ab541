"""
The whole tree of errors, drawn first; this module imports nothing of ours.

    YokedCacheError
    ├── UsageError (ValueError)         yours to mend: a call that can't be meant
    │   ├── SettingsError               an unknown setting, URL scheme or option
    │   ├── DurationError               a TTL that is negative, absurd or unreadable
    │   ├── KeyArgumentError (TypeError)  an argument that can't be part of a key
    │   ├── DeclarationError            a function or target that can't be cached as declared
    │   └── ClosedError                 the cache was closed
    ├── ValueNotStorableError (TypeError)  a result that can't be kept exactly
    ├── PayloadError                    stored bytes that can't be read (a miss, counted)
    ├── StoreError                      the store's fault: unreachable, full, refusing
    └── FreeThreadingError (RuntimeError)  an interpreter that runs without its GIL

Errors carry their facts as attributes, survive pickling, and each class has a
`code` that leads to its paragraph in `docs/errors.md`.
"""

from __future__ import annotations

from typing import Any


class YokedCacheError(Exception):
    """
    Base of every error this library raises.
    """

    code = "YC000"

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts

    def __getattr__(self, name: str) -> Any:
        facts = self.__dict__.get("facts", {})
        if name in facts:
            return facts[name]
        msg = f"{type(self).__name__!r} object has no attribute {name!r}"
        raise AttributeError(msg)

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.facts)


def _rebuild(
    cls: type[YokedCacheError], message: str, facts: dict[str, Any]
) -> YokedCacheError:
    return cls(message, **facts)


class UsageError(YokedCacheError, ValueError):
    """
    The call can't be meant as it was written; the message names the way out.
    """

    code = "YC100"


class SettingsError(UsageError):
    """
    A setting, URL scheme or option that this library doesn't have.
    """

    code = "YC110"


class DurationError(UsageError):
    """
    A duration that is negative, absurd or can't be read.
    """

    code = "YC120"


class KeyArgumentError(UsageError, TypeError):
    """
    An argument that has no canonical form and so can't be part of a key.
    """

    code = "YC130"


class DeclarationError(UsageError):
    """
    A function, dependency or session target that can't be cached as declared.
    """

    code = "YC140"


class ClosedError(UsageError):
    """
    The cache was closed and used again.
    """

    code = "YC150"


class ValueNotStorableError(YokedCacheError, TypeError):
    """
    A value that wouldn't come out of the cache equal and of the same type.
    """

    code = "YC200"


class PayloadError(YokedCacheError):
    """
    Stored bytes that are foreign, truncated, corrupted or of an unknown version.
    """

    code = "YC210"


class StoreError(YokedCacheError):
    """
    The store is at fault: it can't be reached, is full or refuses.
    """

    code = "YC300"


class FreeThreadingError(YokedCacheError, RuntimeError):
    """
    The interpreter runs without its GIL, under which alone this library is safe.
    """

    code = "YC400"
