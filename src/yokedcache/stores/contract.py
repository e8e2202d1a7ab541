"""
What a store promises whose entries many processes share: the contract.

The near side (`shared`) makes operations by a store's `Commands` and has them done by its
`Client`. It trusts in what is promised here, by the rules of the design that each
promise is for, and in nothing else of a store.

**Time.** Each operation takes place at one moment between its sending and its answer, or
not at all; those on the same tags in one order that all processes see. One whose answer
was lost may be sent again: a fence goes by its token, and a bump too many costs misses.
A store that is spread over servers does it on each of them at another moment, and what
it says of a tag may be older than what it says of the entry; its package has to say why
that is safe.

**Versions (rules 1 and 6).** A tag's version is drawn anew from the store's one counter
by every change of the tag, and is never used twice, whatever the store loses (rule 7). It
is written as `versions` says, so that two of them can be compared. Where there are
several counters, each for some of the tags, a note is of all, with blanks between them.

**Entries (rule 3).** One is stored only while every tag of its stamp stands as the stamp
says, unfenced, in the same incarnation; it is given out only if, at a moment of the
look-up, that is so still. What lies under its key and can't be read is a miss.

**Fences (rules 2 and 4).** A tag under a fence is neither served nor stored on. A fence
stands until its own lift or its adoption; neither time nor another writer's lift ends it.
A tag that lost its fences with its version, and can't know it, comes back *born fenced*
(token `BORN`) for at least a lease, in which living writers put theirs back (`renew`).

**Lost memory (rule 7).** A tag that isn't there makes its entries misses. What another
incarnation stamped (a store restored, replaced or emptied) is never given out.

**Bounds.** Expired entries and tags that nothing needs any more go by themselves. Nothing
takes longer the more entries a tag has.
"""

from __future__ import annotations

from typing import (
    TYPE_CHECKING,
    Any,
    Protocol,
    TypeAlias,
    TypeVar,
    runtime_checkable,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Hashable, Iterable

    from yokedcache.stores.answers import (
        Claim,
        Followed,
        Lifted,
        Miss,
        Operation,
        RaisedFence,
        Said,
        Same,
        Stamp,
        TagSet,
        Times,
        Vector,
    )

    Key: TypeAlias = bytes | str
    Tags: TypeAlias = TagSet | Iterable[str]

T = TypeVar("T")


class Hit(Protocol):
    """
    An entry whose vector held, unfenced, at a moment of the look-up.
    """

    @property
    def payload(self) -> bytes | memoryview:
        """
        What was stored, as it was given.
        """

    @property
    def times(self) -> Times:
        """
        When it was made, and until when it is fresh and may be served stale.
        """

    @property
    def vector(self) -> Vector:
        """
        The versions under which it holds.
        """


class Commands(Protocol):
    """
    Makes operations; nothing is done by making one.

    Keys are texts or bytes of any length; tags are at most `MOST_TAGS` in one call. What
    can't be meant is a `UsageError` here, before anything is sent.
    """

    def tags(self, names: Tags) -> TagSet:
        """
        Return a set of tags by their names; a set is returned as it is.
        """

    def read(self, key: Key, tags: Tags = ()) -> Operation[Hit | Miss]:
        """
        Look an entry up, with the tags that it is expected to have.

        A miss says how those stood at a moment of the look-up, and makes none of them.
        """

    def question(self, reading: Any, tags: Any, found: Any) -> Hashable | None:
        """
        Make of a look-up that found an entry what asks if that still stands.

        `None` if the store has no shorter way than to look it up again. `tags` are the
        entry's own, all of them.
        """

    def again(self, question: Any) -> Operation[Same | Hit | Miss]:
        """
        Look an entry up that was found before: `SAME` if everything stands as it did.
        """

    def claim(self, key: Key, tags: Any, token: bytes) -> Operation[Claim]:
        """
        Claim the load of an entry for a lease, unless somebody has; and look it up.

        Nothing is right or wrong by a claim: it spares loads.
        """

    def release(self, key: Key, token: bytes) -> Operation[bool]:
        """
        Give a claim up; tell whether it was still held.
        """

    def exists(self, key: Key, tags: Tags = ()) -> Operation[bool]:
        """
        Tell whether there is an entry that holds.
        """

    def remove(self, key: Key, tags: Tags = ()) -> Operation[bool]:
        """
        Drop an entry; tell whether there was one that held.
        """

    def extend(
        self, key: Key, times: Times, *, life: float, tags: Tags = ()
    ) -> Operation[bool]:
        """
        Give an entry that holds new times, and seconds to live; tell if there was one.
        """

    def stamp(
        self, tags: Tags, *, keep: float = 0.0, noting: bool = True
    ) -> Operation[Stamp]:
        """
        Take the versions of tags, before what they stand for is read (rule 1).

        The stamp's counter is no later than its versions; unless it is to be `noting`,
        it needn't have one. Tags that aren't there are
        made, as `made` says, and live `keep` seconds and a lease at the least.
        """

    def store(
        self, key: Key, payload: bytes, stamp: Stamp, times: Times, *, life: float
    ) -> Operation[str | None]:
        """
        Store an entry for so many seconds if its stamp still holds, or say why not.

        Its tags live at least as long. The stamp may be one that was put together of
        versions that stamps gave before.
        """

    def fence(
        self, tags: Tags, token: bytes, owner: str = ""
    ) -> Operation[RaisedFence]:
        """
        Bump tags and fence them, under a token that was never used before.
        """

    def lift(self, fence: RaisedFence) -> Operation[Lifted]:
        """
        Bump a fence's tags and take it down; tags whose fence was lost are bumped too.
        """

    def renew(self, fence: RaisedFence) -> Operation[int]:
        """
        Vouch for a fence for another lease; tell on how many tags it was lost.

        Where it was lost it is put back, with a bump.
        """

    def adopt(
        self, tags: Tags, token: bytes, *, grace: float = 0.0
    ) -> Operation[list[bool]]:
        """
        Take down, with a bump, a fence whose deadline is past by so many seconds.

        Tells for each tag whether it was.
        """

    def bump(self, tags: Tags) -> Operation[bytes]:
        """
        Make everything that depends on one of the tags unservable; give the version.
        """

    def note(self) -> Operation[bytes | None]:
        """
        Read the counter, before a snapshot is taken (rule 6).
        """


@runtime_checkable
class Following(Commands, Protocol):
    """
    The commands of a store that tells what was changed, as not all can: the backplane.

    **Announcements (rule 8).** Whatever bumps, fences, lifts or adopts announces its tags,
    in the same step, whether they are there or not. Who follows is told of each that was
    announced since, in order, or that this can't be told: of what was trimmed, lost or
    emptied, or is of another incarnation. Nothing is left out in silence.
    """

    def follow(self, position: bytes | None = None) -> Operation[Followed]:
        """
        Give what was announced since a position, and the position that follows.

        Without one, or where it can't be told, a position to begin from.
        """


@runtime_checkable
class Saying(Commands, Protocol):
    """
    The commands of a store that may lie in the application's own database.

    **Announcements inside (rule 2).** What a transaction there says becomes visible in the
    store with its commit, and not at all without one. From then on no entry on its tags is
    given out or stored that was stamped before, however soon; the versions that follow are
    drawn after the commit was visible.
    """

    def say(self, tags: Tags, mark: bytes) -> Said:
        """
        Give what says that tags are changed, to the store of that incarnation alone.

        It fails where another store is found, or none.
        """

    def fold(self) -> Operation[int]:
        """
        Make versions of what was said; give how many.

        Whoever takes a stamp does so. It is for those who only write: what was said and
        isn't folded makes look-ups slower.
        """


@runtime_checkable
class Measuring(Commands, Protocol):
    """
    The commands of a store under whose keys anything may lie, however large.
    """

    def measure(self, key: Key) -> Operation[int]:
        """
        Tell how many bytes lie under a key, without sending them: 0 if it is no text.
        """


@runtime_checkable
class Spread(Commands, Protocol):
    """
    The commands of a store on several servers, none of which takes another's place.
    """

    def copies(self, tag: str) -> tuple[str, ...]:
        """
        Name tags that may stand for one: one on each server, alike in all processes.
        """

    def needed(self, key: Key | None, names: Iterable[str]) -> int:
        """
        Give the place, among those, of one that lies where an entry needs it anyway.

        That is where one of its tags lies, or if none is known the entry itself.
        """


@runtime_checkable
class Placed(Protocol):
    """
    A client that can say where its store is, however the URL was written.
    """

    @property
    def place(self) -> str:
        """
        Name the store: alike in all processes that use it, in no process of another.

        What isn't certain is another store. Nothing secret stands in it.
        """


@runtime_checkable
class Parted(Protocol):
    """
    A client of a store that goes on without a part of it.
    """

    @property
    def partly(self) -> bool:
        """
        Tell whether a part is left alone, having failed, or is not relied on yet.
        """


class Client(Protocol):
    """
    Does a store's operations, for this process.

    What goes wrong on the way or in the store is a `StoreError`, within the limit; so is
    a first use of what can't be a store, with the way out.
    """

    @property
    def commands(self) -> Commands:
        """
        What makes the operations that it does.
        """

    def perform(self, operation: Operation[T], limit: float) -> T:
        """
        Do an operation in the calling thread, within so many seconds.
        """

    def perform_async(self, operation: Operation[T], limit: float) -> Awaitable[T]:
        """
        Do an operation in the running event loop, which isn't held up.

        Its `sent` is drawn from the client's ticket before it is sent.
        """

    def close(self) -> None:
        """
        Let go of what blocking callers opened.
        """

    async def close_async(self) -> None:
        """
        Let go of what was opened for the running loop, and by blocking callers.
        """

    def begin_anew(self) -> None:
        """
        Forget what the parent has opened, in a child after a fork.
        """
