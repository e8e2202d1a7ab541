"""
dogpile.cache over a dictionary; it takes no keywords without a key maker.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from dogpile.cache import make_region
from dogpile.cache.util import kwarg_function_key_generator

_region = make_region(function_key_generator=kwarg_function_key_generator)
_region.configure("dogpile.cache.memory", expiration_time=300)
_numbers = count()


def synchronous(function: Any) -> Any:
    return _region.cache_on_arguments(namespace=f"f{next(_numbers)}")(function)
