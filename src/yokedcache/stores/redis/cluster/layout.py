"""
Where things lie in a Cluster.

    {prefix}:{name}:n           an island's counter
    {prefix}:{name}:l           its log
    {prefix}:{name}:t:{digest}  a tag of it
    {prefix}:e:{digest}         an entry

The braces around an island's name are part of its keys, those around the others are not.
"""

from __future__ import annotations

from binascii import crc_hqx
from typing import TYPE_CHECKING, Final

from yokedcache.stores.redis.layout import Layout, TagSet, word
from yokedcache.stores.redis.wire import bulk

if TYPE_CHECKING:
    from collections.abc import Iterable

SLOTS: Final = 16384

NAMES: Final = (
    *(10, 263, 25, 7, 61, 166, 54, 43, 11, 116, 24, 33, 60, 77, 59, 42),
    *(12, 115, 27, 5, 63, 74, 56, 41, 103, 114, 26, 4, 62, 75, 57, 40),
)
"""
What islands are called: so that the slots of their names lie evenly among all slots.
"""

ISLANDS: Final = len(NAMES)


def slot_of(key: bytes) -> int:
    """
    Return the slot of a key that has no hash tag, or of a hash tag.
    """
    return crc_hqx(key, 0) % SLOTS


class Island:
    """
    The slot of a share of the tags, and how its keys begin.
    """

    __slots__ = ("counter", "log", "slot", "tag")

    def __init__(self, prefix: str, name: int) -> None:
        self.slot = slot_of(b"%d" % name)
        self.counter = f"{prefix}:{{{name}}}:n".encode()
        self.log = f"{prefix}:{{{name}}}:l".encode()
        self.tag = f"{prefix}:{{{name}}}:t:".encode()


class Share:
    """
    Those of some tags that lie on one island, and their places among all of them.
    """

    __slots__ = ("asked_each", "island", "places", "tags")

    def __init__(self, island: Island, places: list[int], tags: TagSet) -> None:
        self.island = island
        self.places = places
        self.tags = tags
        self.asked_each = [bulk(key) for key in tags.keys]


class SpreadTags(TagSet):
    """
    Tags that are asked for together, though they lie on several islands.
    """

    __slots__ = ("shares",)

    def __init__(
        self, digests: bytes, keys: tuple[bytes, ...], shares: tuple[Share, ...]
    ) -> None:
        super().__init__(digests, keys)
        self.shares = shares


class ClusterLayout(Layout):
    """
    The names of all keys under one prefix, in a Cluster.
    """

    def __init__(self, prefix: str = "yc") -> None:
        super().__init__(prefix)
        self.islands = tuple(Island(prefix, name) for name in NAMES)

    def tags_of(self, digests: Iterable[bytes]) -> SpreadTags:
        """
        Return a set of tags, by their digests in order.
        """
        found = list(digests)
        self.check_size(found)
        places: dict[int, list[int]] = {}
        for place, digest in enumerate(found):
            places.setdefault(digest[0] % ISLANDS, []).append(place)
        keys = tuple(self.islands[one[0] % ISLANDS].tag + word(one) for one in found)
        shares = tuple(
            Share(
                self.islands[island],
                here,
                TagSet(
                    b"".join(found[at] for at in here), tuple(keys[at] for at in here)
                ),
            )
            for island, here in places.items()
        )
        return SpreadTags(b"".join(found), keys, shares)
