"""
Look-ups whose answer was seen before, and of which it is asked whether it still stands.

What an entry's key and its tags hold was compared once and found to fit. If they hold the
very same later, in the same incarnation of the server, then the entry holds just as it
did: nothing has to be taken apart again.

Of a long entry the first bytes are compared, and how many there are. They have the moment
in which it was made, and a checksum over all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from yokedcache.stores.redis.wire import bulk
from yokedcache.stores.versions import MARK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from yokedcache.stores.redis.layout import TagSet
    from yokedcache.stores.redis.results import Hit

KEPT: Final = 1024
"""
Bytes of a payload that are compared, and kept for it.

Its own checksum is among the first of them (`codec.frame`).
"""

GETEX: Final = b"*2\r\n$5\r\nGETEX\r\n"


class Question:
    """
    What lay under an entry's key and its tags, of which there are some, when it held.
    """

    __slots__ = ("_mark", "_seen", "_size", "_values", "asked", "key", "packed", "tags")

    def __init__(self, key: bytes, tags: TagSet, found: Hit) -> None:
        data = found.data
        self.key = key
        self.tags = tags
        self.asked = bulk(key)
        self._seen = data[: found.head + KEPT]
        self._size = len(data)
        self._values: list[bytes | None] = list(found.vector.versions)
        self._mark = found.vector.versions[0][:MARK]
        self.packed = GETEX + bulk(key) + ask_tags(tags)

    def answered(self, data: Any, values: Sequence[bytes | None], mark: bytes) -> bool:
        """
        Tell whether everything stands as it did.
        """
        return mark == self._mark and self.stands(data, values)

    def stands(self, data: Any, values: Sequence[bytes | None]) -> bool:
        """
        Tell it where each value is known to be of the present incarnation.
        """
        return (
            values == self._values
            and data.__class__ is bytes
            and len(data) == self._size
            and data.startswith(self._seen)
        )


def ask_tags(tags: TagSet) -> bytes:
    """
    Write the command that reads tags.
    """
    return b"*%d\r\n$4\r\nMGET\r\n%b" % (tags.count + 1, tags.asked)
