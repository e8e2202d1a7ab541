"""
Counts what a cache asks its store for: an answer near by is one for which it asks nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from consistency.acts import LookUps
    from yokedcache import YokedCache


class Counting:
    """
    The commands of a store; those that look something up are counted.
    """

    def __init__(self, commands: Any, look_ups: LookUps) -> None:
        self._commands = commands
        self._look_ups = look_ups

    def __getattr__(self, name: str) -> Any:
        return getattr(self._commands, name)

    def read(self, *told: Any, **options: Any) -> Any:
        """
        Look an entry up.
        """
        self._look_ups.add()
        return self._commands.read(*told, **options)

    def again(self, question: Any) -> Any:
        """
        Ask whether an entry still stands.
        """
        self._look_ups.add()
        return self._commands.again(question)


def count_look_ups(cache: YokedCache, look_ups: LookUps) -> None:
    """
    Have a cache's look-ups counted, if it has answers near by.
    """
    machine = cache.machine
    if machine.settings.near:
        server: Any = getattr(machine.store, "server")  # noqa: B009 - of a shared store
        look_ups.count = 0
        server.commands = Counting(server.commands, look_ups)
