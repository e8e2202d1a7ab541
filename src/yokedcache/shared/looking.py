"""
What a process looks up in a shared store: asked, or proven for its caller already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from yokedcache.core.tags import SESSIONS, holds, unfenced
from yokedcache.errors import PayloadError, StoreError
from yokedcache.shared.keys import shared_key
from yokedcache.shared.payloads import imprint, unpack
from yokedcache.shared.tagging import is_shared
from yokedcache.stores.answers import SAME, Miss
from yokedcache.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from yokedcache.core.entry import Entry, Tally
    from yokedcache.shared.fencing import Fencing
    from yokedcache.shared.mirror import Mirror
    from yokedcache.shared.server import Server
    from yokedcache.shared.timing import Timing
    from yokedcache.stores.answers import Operation
    from yokedcache.stores.contract import Hit
    from yokedcache.stores.silent import Asking


class Looking(MemoryStore):
    """
    The look-ups of a `SharedStore`.
    """

    server: Server
    unreadable: int
    _fencing: Fencing
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
    ) -> Asking[Entry | None]:
        """
        Look an entry up, asking after the caller began; see `Silent.look`.
        """
        near = self.near(key, ticket)
        if near is not None:
            return near
        entry = self.entries.get(key)
        if entry is not None and self._known(entry):
            asked = self._mirror.asked(
                str(tag.name) for tag, _ in entry.vector if is_shared(tag.name)
            )
            reading: Operation[Any] = self.server.commands.again(entry.question)
        else:
            raw = shared_key(key)
            if raw is None:
                return None
            asked = self._mirror.expected(key, entry, names)
            reading = self.server.commands.read(raw, asked.tags)
        try:
            found = yield reading
        except StoreError:
            return None
        if found is SAME and entry is not None:
            entry.proven = reading.sent
            return self._served(key, entry, owner)
        if not isinstance(found, Miss):
            entry = self._taken(key, found, reading, copy=copy)
            return self._served(key, entry, owner)
        with self._lock:
            self._mirror.learn(asked, found.stamp)
            self._forget(key)
        yield from self._fencing.adopting(asked.names, found.stamp.states, self._wall())
        return None

    @staticmethod
    def _known(entry: Entry) -> bool:
        """
        Tell whether it is only to be asked if an entry still stands as it did.
        """
        vector = entry.vector
        return entry.question is not None and holds(vector) and unfenced(vector)

    def _served(
        self, key: Hashable, entry: Entry | None, owner: Tally | None
    ) -> Entry | None:
        """
        Give an entry that the shared store says holds, unless this process says other.
        """
        pulse = self.pulse.value
        if entry is None or not (holds(entry.vector) and unfenced(entry.vector)):
            return None
        if not self._mirror.is_heard(key, entry):
            return None
        if pulse is not None and not entry.careful:
            entry.pulse = pulse
        entry.owner = entry.owner or owner
        return entry

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
        ):
            return None
        return entry

    def asking(self, entry: Entry) -> Operation[Any]:
        """
        Ask whether an entry that is `known` still stands.
        """
        return self.server.commands.again(entry.question)

    def stands(self, entry: Entry, asking: Operation[Any], found: Any) -> bool:
        """
        Tell whether it does, and nothing happened in this process meanwhile.
        """
        if found is not SAME:
            return False
        entry.proven = asking.sent
        return entry.pulse == self.pulse.value

    def _taken(
        self, key: Hashable, found: Hit, reading: Operation[Any], *, copy: bool
    ) -> Entry | None:
        """
        Take over an entry that the shared store says holds.
        """
        entry = self.entries.get(key)
        seen = imprint(found.payload, found.times.born)
        told = None
        if entry is None or entry.imprint != seen:
            try:
                told = unpack(found.payload, copy=copy)
            except PayloadError:
                self.unreadable += 1
                return None
            names = told.names
        else:
            names = tuple(str(tag.name) for tag, _ in entry.vector)
        with self._lock:
            vector = self._mirror.learn_hit(names, found)
        if vector is None:
            self.unreadable += 1
            return None
        if told is not None:
            entry = self._timing.entry(told, vector, found.times, len(found.payload))
            entry.imprint = seen
            MemoryStore.put(self, key, entry)
        if entry is None:  # pragma: no cover - it was told, then
            return None
        entry.vector, entry.proven = vector, reading.sent
        entry.careful = SESSIONS in names
        own = self._mirror.asked(name for name in names if is_shared(name))
        entry.question = self.server.commands.question(reading, own.tags, found)
        return entry

    def _forget(self, key: Hashable) -> None:
        entry = self.entries.get(key)
        if entry is not None and entry.queue:
            self._drop(entry)
