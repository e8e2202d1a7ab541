"""
Models of libraries, at the level of a module so that they can be found by name.
"""

from __future__ import annotations

from typing import Any

import pydantic


class Model(pydantic.BaseModel):
    """
    A model with everything that a model may have.
    """

    model_config = pydantic.ConfigDict(extra="allow")
    parts: list[int] = []
    unset: str = "u"
    _private: list[int] = pydantic.PrivateAttr(default_factory=list)


try:
    import attrs
    import msgspec
except ImportError:
    pass
else:

    class Struct(msgspec.Struct):
        """
        A Struct whose types aren't asked for on reading.
        """

        number: int
        rest: Any = None

    class Changing(msgspec.Struct):
        """
        A Struct that calling changes.
        """

        number: int

        def __post_init__(self) -> None:
            self.number += 1

    @attrs.define
    class Attrs:
        """
        An attrs class with slots.
        """

        number: int
        rest: Any = None
