"""
The door to the operations: keys, tags and durations as callers have them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from yokedcache.stores import answers
from yokedcache.stores.answers import TagSet
from yokedcache.stores.arguments import check_token, milliseconds
from yokedcache.stores.sqlite import changing, claims, looking
from yokedcache.stores.sqlite.looking import UNDONE, Question, SqliteHit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from yokedcache.stores.answers import Lifted, Miss, RaisedFence, Stamp, Times
    from yokedcache.stores.sqlite.files import Link
    from yokedcache.stores.sqlite.layout import Names, Place

    Key: TypeAlias = bytes | str
    Tags: TypeAlias = TagSet | Iterable[str]

R_co = TypeVar("R_co", covariant=True)


class Operation(answers.Operation[R_co]):
    """
    An operation whose result is an `R_co`, still to be done.

    First it looks, if it has a `look`; where that is `UNDONE`, or there is none, it
    changes something.
    """

    __slots__ = ("change", "look", "place")

    def __init__(
        self,
        asked: str,
        *,
        look: Callable[[Link], Any] | None = None,
        change: Callable[[Link], R_co] | None = None,
        place: Place | None = None,
    ) -> None:
        super().__init__(asked)
        self.place = place
        self.look = look
        self.change = change


class Commands:
    """
    Makes operations, for one prefix of keys, one lease and one bound of the file.
    """

    def __init__(self, names: Names, *, lease: float, max_bytes: int) -> None:
        self._names = names
        self._lease = milliseconds(lease)
        self._most = max_bytes

    def tags(self, names: Tags) -> TagSet:
        """
        Return a set of tags by their names.
        """
        if isinstance(names, TagSet):
            return names
        return self._names.tags(names)

    def read(self, key: Key, tags: Tags = ()) -> Operation[SqliteHit | Miss]:
        """
        Look an entry up: one statement if it carries no other tags than these, else two.
        """
        place, known = self._names.place(key), self.tags(tags)
        return Operation(
            "read", look=lambda link: looking.look(link, place, known), place=place
        )

    def question(
        self, reading: Operation[Any], tags: TagSet, found: SqliteHit
    ) -> Question | None:
        """
        Make of a look-up that found an entry what asks if that still stands.
        """
        if reading.place is None or tags.digests != found.vector.digests:
            return None
        return Question(reading.place, tags, found)

    def again(self, question: Question) -> Operation[answers.Same | SqliteHit | Miss]:
        """
        Look an entry up that was found before; the payload isn't read if it still stands.
        """
        return Operation(
            "read",
            look=lambda link: looking.look_again(link, question),
            place=question.place,
        )

    def claim(self, key: Key, tags: TagSet, token: bytes) -> Operation[answers.Claim]:
        """
        Claim the load of an entry for a lease, unless somebody has; and look it up.
        """
        place, lease = self._names.place(key), self._lease
        return Operation(
            "claim",
            look=lambda link: claims.find(link, place, tags, token),
            change=lambda link: claims.claim(link, place, tags, token, lease),
            place=place,
        )

    def release(self, key: Key, token: bytes) -> Operation[bool]:
        """
        Give a claim up; tell whether it was still held.
        """
        place = self._names.place(key)
        return Operation(
            "release",
            look=lambda link: claims.is_free(link, place, token),
            change=lambda link: claims.release(link, place, token),
        )

    def exists(self, key: Key, tags: Tags = ()) -> Operation[bool]:
        """
        Tell whether there is an entry that holds.
        """
        place, known = self._names.place(key), self.tags(tags)
        return Operation("exists", look=lambda link: looking.exists(link, place, known))

    def remove(self, key: Key, tags: Tags = ()) -> Operation[bool]:
        """
        Drop an entry; tell whether there was one that held.
        """
        place, known = self._names.place(key), self.tags(tags)
        return Operation(
            "remove", change=lambda link: changing.remove(link, place, known)
        )

    def extend(
        self, key: Key, times: Times, *, life: float, tags: Tags = ()
    ) -> Operation[bool]:
        """
        Give an entry that holds new times, and seconds to live; tell if there was one.
        """
        place, known, spent = (
            self._names.place(key),
            self.tags(tags),
            milliseconds(life),
        )
        return Operation(
            "extend",
            change=lambda link: changing.extend(link, place, known, times, spent),
        )

    def stamp(
        self,
        tags: Tags,
        *,
        keep: float = 0.0,
        noting: bool = True,  # noqa: ARG002 - it comes with the tags, from one file
    ) -> Operation[Stamp]:
        """
        Take the versions of tags, before what they stand for is read.

        Tags that are made for it live `keep` seconds, and a lease at the least.
        """
        known, lease = self.tags(tags), self._lease
        life = max(lease, milliseconds(keep)) if keep else lease

        def look(link: Link) -> Any:
            stamp = looking.read_stamp(link, known)
            return UNDONE if stamp.incomplete else stamp

        return Operation(
            "stamp",
            look=look,
            change=lambda link: changing.make_tags(link, known, lease, life),
        )

    def store(
        self, key: Key, payload: bytes, stamp: Stamp, times: Times, *, life: float
    ) -> Operation[str | None]:
        """
        Store an entry for so many seconds if its stamp still holds, or say why not.
        """
        place, spent = self._names.place(key), milliseconds(life)
        known: dict[str, Any] = {"times": times, "life": spent, "most": self._most}

        def change(link: Link) -> str | None:
            return changing.store(link, place, payload, stamp, **known)

        return Operation("store", change=change)

    def fence(
        self, tags: Tags, token: bytes, owner: str = ""
    ) -> Operation[RaisedFence]:
        """
        Bump tags and fence them, under a token that was never used before.
        """
        check_token(token)
        known, lease = self.tags(tags), self._lease
        return Operation(
            "fence",
            change=lambda link: changing.fence(link, known, lease, token, owner),
        )

    def lift(self, fence: RaisedFence) -> Operation[Lifted]:
        """
        Bump a fence's tags and take it down.
        """
        lease = self._lease
        return Operation("lift", change=lambda link: changing.lift(link, fence, lease))

    def renew(self, fence: RaisedFence) -> Operation[int]:
        """
        Vouch for a fence for another lease; tell on how many tags it was lost.
        """
        lease = self._lease
        return Operation(
            "renew", change=lambda link: changing.renew(link, fence, lease)
        )

    def adopt(
        self, tags: Tags, token: bytes, *, grace: float = 0.0
    ) -> Operation[list[bool]]:
        """
        Take down a fence whose deadline is past by so many seconds.
        """
        known, lease = self.tags(tags), self._lease
        spent = milliseconds(grace) if grace else 0
        return Operation(
            "adopt",
            change=lambda link: changing.adopt(link, known, lease, token, spent),
        )

    def bump(self, tags: Tags) -> Operation[bytes]:
        """
        Make everything that depends on one of the tags unservable.
        """
        known, lease = self.tags(tags), self._lease
        return Operation("bump", change=lambda link: changing.bump(link, known, lease))

    def note(self) -> Operation[bytes | None]:
        """
        Read the counter, before a snapshot is taken.
        """
        return Operation("note", look=looking.note)
