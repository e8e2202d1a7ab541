"""
Exceptions that are kept, and raised again for each caller.
"""

from __future__ import annotations

from typing import Any


def raise_anew(error: Exception) -> Any:
    """
    Raise a copy: a shared exception would gather the tracebacks of all callers.
    """
    twin = type(error).__new__(type(error), *error.args)
    twin.__dict__.update(error.__dict__)
    twin.args = error.args
    twin.__cause__ = error.__cause__
    twin.__suppress_context__ = error.__suppress_context__
    raise twin
