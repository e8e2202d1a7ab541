"""
What a process looks up in a shared store: asked, or proven for its caller already.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from yokedcache.core.tags import SESSIONS, holds, unfenced
from yokedcache.errors import PayloadError, StoreError
from yokedcache.shared.keys import key_tag, shared_key
from yokedcache.shared.payloads import StrangerError, imprint, unpack
from yokedcache.shared.tagging import is_shared
from yokedcache.shared.timing import possible
from yokedcache.shared.unreadable import PAYLOAD, STRANGER, say
from yokedcache.stores.answers import OVERSIZED, SAME, UNREADABLE, Miss, digest_of
from yokedcache.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from yokedcache.core.entry import Entry, Tally
    from yokedcache.core.tags import Vector
    from yokedcache.shared.belonging import Belonging
    from yokedcache.shared.fencing import Fencing
    from yokedcache.shared.hearing import Listener
    from yokedcache.shared.mirror import Mirror
    from yokedcache.shared.server import Server
    from yokedcache.shared.suspects import Suspects
    from yokedcache.shared.tagging import Asked
    from yokedcache.shared.timing import Timing
    from yokedcache.stores.answers import Operation
    from yokedcache.stores.contract import Hit
    from yokedcache.stores.silent import Asking


class Looking(MemoryStore):
    """
    The look-ups of a `SharedStore`.
    """

    server: Server
    suspects: Suspects
    unreadable: int
    missed: dict[str, int]
    belonging: Belonging
    _fencing: Fencing
    _listener: Listener | None
    _mirror: Mirror
    _timing: Timing
    _wall: Callable[[], float]

    def fetch(self, key: Hashable) -> None:
        """
        Give nothing: what is kept here has to be proven for whoever asks (`look`).
        """

    def near(self, key: Hashable, ticket: float) -> Entry | None:
        """
        Give the entry under a key if it was proven since a caller began.
        """
        entry = self.entries.get(key)
        if entry is None or entry.proven <= ticket:
            return None
        return entry if holds(entry.vector) and unfenced(entry.vector) else None

    def look(
        self,
        key: Hashable,
        ticket: float,
        names: Iterable[str] = (),
        *,
        owner: Tally | None = None,
        copy: bool = True,
        near: bool = False,
    ) -> Asking[Entry | None]:
        """
        Look an entry up, asking after the caller began; see `Silent.look`.
        """
        entry = self.near(key, ticket)
        if entry is None and near:
            entry = self._near_by(key, owner)
        if entry is not None:
            return entry
        suspected = self.suspects.keys
        if suspected and key in suspected and (yield from self._is_oversized(key)):
            return None
        entry = self.entries.get(key)
        reading, asked = self._question(key, entry, names)
        if reading is None:
            return None
        try:
            found = yield reading
        except StoreError:
            self.suspects.failed(key, reading.at)
            return None
        if isinstance(found, Miss):
            yield from self._missing(key, found, asked)
            return None
        if found is SAME and entry is not None:
            entry.proven = reading.sent
            self._bring_near(entry, reading.at)
        else:
            entry = self._read(key, found, reading, copy=copy)
        return self._served(entry, owner)

    def _missing(self, key: Hashable, found: Miss, asked: Asked) -> Asking[None]:
        """
        Count a miss, learn how its tags stand, and see to fences that were left up.
        """
        self._missed(found.reason)
        with self._lock:
            self._mirror.learn(asked, found.stamp)
            self._forget(key)
        yield from self._fencing.adopting(asked.names, found.stamp.states, self._wall())

    def _is_oversized(self, key: Hashable) -> Asking[bool]:
        """
        Ask if something is too large to be read, and count it then.
        """
        oversized = yield from self.suspects.measuring(key)
        if oversized:
            self._missed(OVERSIZED)
            with self._lock:
                self._forget(key)
        return oversized

    def _missed(self, reason: str) -> None:
        """
        Count a miss by its reason.
        """
        self.missed[reason] = self.missed.get(reason, 0) + 1
        if reason in UNREADABLE:
            self._count(reason)

    def _read(
        self, key: Hashable, found: Hit, reading: Operation[Any], *, copy: bool
    ) -> Entry | None:
        """
        Take over an entry that the shared store says holds, or count it.
        """
        try:
            return self._taken(key, found, reading, copy=copy)
        except StrangerError:
            self._count(STRANGER)
        except PayloadError as error:
            self._count(PAYLOAD, _told(error))
        return None

    def _count(self, kind: str, said: str = "") -> None:
        """
        Count an answer that can't be read.
        """
        self.unreadable += 1
        say(kind, said)

    def _question(
        self, key: Hashable, entry: Entry | None, names: Iterable[str]
    ) -> tuple[Operation[Any] | None, Asked]:
        """
        Give what is to be asked for a key, and of which tags; `None` if nothing can be.
        """
        if entry is not None and entry.question is not None:
            vector = entry.vector
            if holds(vector) and unfenced(vector):
                own = (str(tag.name) for tag, _ in vector if is_shared(tag.name))
                return self.asking(entry), self._mirror.asked(own)
        asked = self._mirror.expected(key, entry, names)
        raw = shared_key(key)
        if raw is None:
            return None, asked
        reading: Operation[Any] = self.server.commands.read(raw, asked.tags)
        reading.at = self._clock()
        return reading, asked

    def _served(self, entry: Entry | None, owner: Tally | None) -> Entry | None:
        """
        Give an entry that the shared store says holds, unless this process says other.
        """
        pulse = self.pulse.value
        if entry is None or not (holds(entry.vector) and unfenced(entry.vector)):
            return None
        if pulse is not None and not entry.careful:
            entry.pulse = pulse
        entry.owner = entry.owner or owner
        return entry

    def _near_by(self, key: Hashable, owner: Tally | None) -> Entry | None:
        """
        Give the entry under a key if it may be given out without asking.

        Not while anything here wants more to be asked: a transaction that has written
        or locked, or a load whose answer others will be given.
        """
        entry = self.entries.get(key)
        if entry is None or self.pulse.value is None:
            return None
        if self._clock() >= entry.plain_until and not self.stays_near(entry):
            return None
        return self._served(entry, owner)

    def stays_near(self, entry: Entry) -> bool:
        """
        Tell whether an entry may be given out for longer, since all changes are heard.

        Those under plain keys may not: others put other values there, and name no tag.
        """
        listener = self._listener
        if listener is None:
            return False
        listener.wanted()
        changed = key_tag(entry.key)
        if changed is None:
            return False
        tags = (*self._digests(entry), digest_of(changed))
        until = listener.backplane.until(entry.asked, tags)
        entry.plain_until = min(entry.soft_until, until)
        return self._clock() < entry.plain_until

    def _digests(self, entry: Entry) -> tuple[bytes, ...]:
        own = (str(tag.name) for tag, _ in entry.vector if is_shared(tag.name))
        return self._mirror.asked(own).digests

    def _bring_near(self, entry: Entry, asked: float) -> None:
        """
        Let an entry be given out for a while after it was asked about.

        Not if it was heard meanwhile that others were changing it (rule 8).
        """
        entry.asked = asked
        until = asked + self.near_for if self.near_for else -math.inf
        listener = self._listener
        if listener is not None:
            listener.wanted()
            if listener.backplane.changed(asked, self._digests(entry)):
                until = -math.inf
        entry.plain_until = min(entry.soft_until, until)

    def known(self, key: Hashable) -> Entry | None:
        """
        Give an entry of which nothing is to be asked but whether it still stands.
        """
        entry = self.entries.get(key)
        if (
            entry is None
            or entry.question is None
            or entry.pulse != self.pulse.value
            or self._clock() >= entry.soft_until
            or (self.suspects.keys and key in self.suspects.keys)
        ):
            return None
        return entry

    def asking(self, entry: Entry) -> Operation[Any]:
        """
        Ask whether an entry that is `known` still stands.
        """
        asking: Operation[Any] = self.server.commands.again(entry.question)
        asking.at = self._clock()
        return asking

    def stands(self, entry: Entry, asking: Operation[Any], found: Any) -> bool:
        """
        Tell whether it does, and nothing happened in this process meanwhile.
        """
        if found is not SAME:
            return False
        entry.proven = asking.sent
        self._bring_near(entry, asking.at)
        return entry.pulse == self.pulse.value

    def _taken(
        self, key: Hashable, found: Hit, reading: Operation[Any], *, copy: bool
    ) -> Entry | None:
        """
        Take over an entry that the shared store says holds; `None` if it isn't for here.

        What isn't is kept nowhere, so nobody has to ask again whose it is.

        Raises:
            PayloadError: it can't be read.
        """
        if not possible(found.times):
            raise PayloadError("the stored payload was made at no moment")
        entry = self.entries.get(key)
        seen = imprint(found.payload, found.times.born)
        told = None
        if entry is None or entry.imprint != seen:
            told = unpack(found.payload, self.belonging, copy=copy)
            names = told.names
        else:
            names = tuple(str(tag.name) for tag, _ in entry.vector)
        with self._lock:
            vector = self._mirror.learn_hit(names, found)
        if vector is None:
            raise PayloadError(
                "the stored payload has other tags than it is kept under"
            )
        if not self._is_ours(key, names, vector):
            return None
        if told is not None:
            entry = self._timing.entry(told, vector, found.times, len(found.payload))
            entry.imprint = seen
        if entry is None:  # pragma: no cover - it was told, then
            return None
        entry.vector, entry.proven = vector, reading.sent
        entry.careful = SESSIONS in names
        self._bring_near(entry, reading.at)
        own = self._mirror.asked(name for name in names if is_shared(name))
        entry.question = self.server.commands.question(reading, own.tags, found)
        if told is not None:  # whole by now: others may give it out at once
            MemoryStore.put(self, key, entry)
        return entry

    def _is_ours(self, key: Hashable, names: tuple[str, ...], vector: Vector) -> bool:
        """
        Tell whether what another process found may be right here, too.
        """
        if not self._mirror.is_heard(key, vector):
            return False
        if self.belonging.uses(names):
            return True
        if key in self.entries:  # this process has other databases for the same call
            self._count(STRANGER)
        return False

    def _forget(self, key: Hashable) -> None:
        entry = self.entries.get(key)
        if entry is not None and entry.queue:
            self._drop(entry)


def _told(error: PayloadError) -> str:
    """
    Say what is wrong with a payload, and nothing of what it holds.
    """
    cause = error.__cause__
    if cause is None:
        return error.message
    return f"the stored payload can't be taken apart ({type(cause).__name__})"
