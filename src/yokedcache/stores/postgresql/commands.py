"""
The door to the operations: keys, tags and durations as callers have them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from yokedcache.errors import UsageError
from yokedcache.stores.answers import Claim, Lifted, Miss, RaisedFence, Said, TagSet
from yokedcache.stores.arguments import check_token, milliseconds
from yokedcache.stores.postgresql.layout import (
    Place,
    place,
    schema_of,
    tag_set,
    write_owner,
)
from yokedcache.stores.postgresql.operations import (
    PATIENCE,
    Operation,
    PostgresHit,
    Settled,
    flag,
    read_again,
    read_flag,
    read_found,
    read_integer,
    read_stamp,
    write_array,
    write_float,
    write_integer,
    write_tags,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from yokedcache.stores import answers
    from yokedcache.stores.answers import Stamp, Times
    from yokedcache.stores.postgresql.operations import Value

    Key: TypeAlias = bytes | str
    Tags: TypeAlias = TagSet | Iterable[str]

_MARK: Final = re.compile(r"[A-Za-z0-9_-]{8}")
_KEY = frozenset({1})
_STORED = frozenset({1, 9})
"""The places of what isn't text among the values of a call."""


class Question(NamedTuple):
    """
    An entry and its tags as they were found: whether all that stands is to be asked.
    """

    place: Place
    tags: TagSet
    known: tuple[bytes, ...]


class Commands:
    """
    Makes operations, for one prefix of keys and one lease.
    """

    def __init__(self, prefix: str, *, lease: float) -> None:
        self.schema = schema_of(prefix)
        self._lease = milliseconds(lease)
        self._spent = write_integer(self._lease)

    def tags(self, names: Tags) -> TagSet:
        """
        Return a set of tags by their names.
        """
        return tag_set(names)

    def read(self, key: Key, tags: Tags = ()) -> Operation[PostgresHit | Miss]:
        """
        Look an entry up: one statement, whatever tags it has.
        """
        at, known = place(key), tag_set(tags)
        return Operation(
            "read",
            self._name("look"),
            [*_entry(at, known), flag(value=True), PATIENCE],
            lambda row: read_found(row, known),
            changes=False,
            raw=_KEY,
            place=at,
        )

    def question(
        self, reading: Operation[Any], tags: TagSet, found: PostgresHit
    ) -> Question | None:
        """
        Make of a look-up that found an entry what asks if that still stands.
        """
        if reading.place is None or tags.digests != found.vector.digests:
            return None
        return Question(reading.place, tags, found.known)

    def again(self, question: Question) -> Operation[answers.Same | PostgresHit | Miss]:
        """
        Look an entry up that was found before; the payload isn't read if it still stands.
        """
        at, known, told = question
        return Operation(
            "read",
            self._name("look"),
            [*_entry(at, known), flag(value=True), PATIENCE, *told],
            lambda row: read_again(row, known),
            changes=False,
            raw=_KEY,
            place=at,
        )

    def claim(self, key: Key, tags: TagSet, token: bytes) -> Operation[Claim]:
        """
        Claim the load of an entry for a lease, unless somebody has; and look it up.
        """
        at = place(key)

        def made(row: Any) -> Claim:
            return Claim(row[0], read_found(row[1:], tags))

        operation = Operation(
            "claim",
            self._name("claim"),
            [*_entry(at, tags), token, self._spent, PATIENCE],
            made,
            raw=_KEY,
            place=at,
        )
        # a row within a row would be one value
        operation.call = operation.call.replace(b"*", b"c.holder, (c.seen).*", 1)
        operation.call += b" c"
        return operation

    def release(self, key: Key, token: bytes) -> Operation[bool]:
        """
        Give a claim up; tell whether it was still held.
        """
        row = write_integer(place(key).row)
        return Operation(
            "release", self._name("release"), [row, token, PATIENCE], read_flag
        )

    def exists(self, key: Key, tags: Tags = ()) -> Operation[bool]:
        """
        Tell whether there is an entry that holds.
        """
        values = [*_entry(place(key), tag_set(tags)), flag(value=False), PATIENCE]
        return Operation(
            "exists",
            self._name("look"),
            values,
            lambda row: row[0] == b"hit",
            changes=False,
            raw=_KEY,
        )

    def remove(self, key: Key, tags: Tags = ()) -> Operation[bool]:
        """
        Drop an entry; tell whether there was one that held.
        """
        values = [*_entry(place(key), tag_set(tags)), PATIENCE]
        return Operation("remove", self._name("remove"), values, read_flag, raw=_KEY)

    def extend(
        self, key: Key, times: Times, *, life: float, tags: Tags = ()
    ) -> Operation[bool]:
        """
        Give an entry that holds new times, and seconds to live; tell if there was one.
        """
        values = [
            *_entry(place(key), tag_set(tags)),
            *_times(times),
            write_integer(milliseconds(life)),
            PATIENCE,
        ]
        return Operation("extend", self._name("extend"), values, read_flag, raw=_KEY)

    def stamp(
        self,
        tags: Tags,
        *,
        keep: float = 0.0,
        noting: bool = True,  # noqa: ARG002 - it comes with the tags
    ) -> Operation[Stamp]:
        """
        Take the versions of tags, before what they stand for is read.

        Tags that are made for it live `keep` seconds, and a lease at the least.
        """
        known = tag_set(tags)
        life = max(self._lease, milliseconds(keep)) if keep else self._lease
        return Operation(
            "stamp",
            self._name("stamp"),
            [write_tags(known), write_integer(life), self._spent, PATIENCE],
            lambda row: read_stamp(row, known),
        )

    def store(
        self, key: Key, payload: bytes, stamp: Stamp, times: Times, *, life: float
    ) -> answers.Operation[str | None]:
        """
        Store an entry for so many seconds if its stamp still holds, or say why not.
        """
        spent = milliseconds(life)
        if (flaw := stamp.unusable) is not None:
            return Settled("store", flaw)
        vector = stamp.vector
        at, tags = place(key), TagSet(vector.digests)
        versions = write_array([version.decode() for version in vector.versions])
        values = [
            *(write_integer(at.row), at.key, stamp.mark, write_tags(tags), versions),
            *(*_times(times), write_integer(spent), bytes(payload), PATIENCE),
        ]

        def made(row: Any) -> str | None:
            return None if row[0] is None else row[0].decode()

        return Operation("store", self._name("store"), values, made, raw=_STORED)

    def fence(
        self, tags: Tags, token: bytes, owner: str = ""
    ) -> Operation[RaisedFence]:
        """
        Bump tags and fence them, under a token that was never used before.
        """
        check_token(token)
        known = tag_set(tags)
        return Operation(
            "fence",
            self._name("fence"),
            [write_tags(known), token, _text(owner), self._spent, PATIENCE],
            lambda row: RaisedFence(known, token, owner, row[0] or b""),
        )

    def lift(self, fence: RaisedFence) -> Operation[Lifted]:
        """
        Bump a fence's tags and take it down.
        """
        return Operation(
            "lift",
            self._name("lift"),
            [write_tags(fence.tags), fence.token, self._spent, PATIENCE],
            lambda row: Lifted(row[0] or b"", read_integer(row[1])),
        )

    def renew(self, fence: RaisedFence) -> Operation[int]:
        """
        Vouch for a fence for another lease; tell on how many tags it was lost.
        """
        return Operation(
            "renew",
            self._name("renew"),
            [
                *(write_tags(fence.tags), fence.token, _text(fence.owner)),
                *(self._spent, PATIENCE),
            ],
            lambda row: read_integer(row[0]),
        )

    def adopt(
        self, tags: Tags, token: bytes, *, grace: float = 0.0
    ) -> Operation[list[bool]]:
        """
        Take down a fence whose deadline is past by so many seconds.
        """
        known = tag_set(tags)
        spent = write_integer(milliseconds(grace) if grace else 0)
        return Operation(
            "adopt",
            self._name("adopt"),
            [write_tags(known), token, spent, self._spent, PATIENCE],
            lambda row: [done == ord("1") for done in row[0] or b""],
        )

    def bump(self, tags: Tags) -> Operation[bytes]:
        """
        Make everything that depends on one of the tags unservable.
        """
        values = [write_tags(tag_set(tags)), b"", self._spent, PATIENCE]
        return Operation("bump", self._name("lift"), values, lambda row: row[0] or b"")

    def say(self, tags: Tags, mark: bytes) -> Said:
        """
        Give what says, in a transaction of the same database, that tags are changed.

        It is sent as it is, with other statements around it: so all in it is our own.
        """
        told, known = write_tags(tag_set(tags)).decode(), mark.decode()
        if not _MARK.fullmatch(known):
            raise UsageError(f"{known!r} is no incarnation's mark")
        # S608: numbers and a mark that is a plain word
        sql = f"SELECT {self._name('say')}('{told}', '{known}')"
        return Said(sql, f"{self.schema} {known}")

    def fold(self) -> Operation[int]:
        """
        Make versions of what was said; give how many.
        """
        return Operation(
            "fold",
            self._name("fold"),
            [self._spent, PATIENCE],
            lambda row: read_integer(row[0]),
        )

    def note(self) -> Operation[bytes | None]:
        """
        Read the counter, before a snapshot is taken.
        """
        return Operation(
            "note", self._name("note"), [PATIENCE], lambda row: row[0], changes=False
        )

    def _name(self, function: str) -> str:
        return f"{self.schema}.{function}"


def _entry(at: Place, tags: TagSet) -> list[Value]:
    return [write_integer(at.row), at.key, write_tags(tags)]


def _times(times: Times) -> list[Value]:
    given = (times.born, times.fresh_until, times.stale_until)
    return [write_float(time) for time in given]


def _text(owner: str) -> bytes:
    return write_owner(owner).encode()
