"""
Steps on sessions: ends of transactions, savepoints, expiry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.differential.reading import some
from tests.differential.schemas import plain_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.differential.programs import Step
    from tests.differential.sides import Side

_ENDS = frozenset({"commit", "rollback", "close", "expunge_all"})


def _call(name: str) -> Callable[[Step], None]:
    def draw(step: Step) -> None:
        def act(side: Side) -> None:
            if name in _ENDS:
                side.nested[step.which].clear()
            getattr(side.sessions[step.which], name)()

        step.act = act

    return draw


def _of_one(name: str) -> Callable[[Step], None]:
    def draw(step: Step) -> None:
        cls = step.dice.choice(step.schema.classes)
        pick = some(step, cls)
        names = plain_names(cls)
        some_names = step.dice.random() < 0.4 and names and name != "expunge"
        args: Any = ([step.dice.choice(names)],) if some_names else ()
        step.text = f"{name} a {cls.__name__} {args or ''}"

        def act(side: Side) -> None:
            instance = pick(side)
            if instance is not None:
                getattr(side.sessions[step.which], name)(instance, *args)

        step.act = act

    return draw


def _nest(step: Step) -> None:
    def act(side: Side) -> None:
        session = side.sessions[step.which]
        side.nested[step.which].append(session.begin_nested())

    step.act = act


def _unnest(step: Step) -> None:
    way = step.dice.choice(["commit", "rollback"])
    step.text = f"{way} the savepoint"

    def act(side: Side) -> None:
        if side.nested[step.which]:
            getattr(side.nested[step.which].pop(), way)()

    step.act = act


def _forget(step: Step) -> None:
    step.text = "forget what was kept"
    step.act = lambda side: side.held[step.which].clear()


STEPS: dict[str, tuple[Callable[[Step], None], int]] = {
    "commit": (_call("commit"), 6),
    "rollback": (_call("rollback"), 4),
    "close": (_call("close"), 9),
    "flush": (_call("flush"), 2),
    "expire_all": (_call("expire_all"), 1),
    "expunge_all": (_call("expunge_all"), 1),
    "expire": (_of_one("expire"), 1),
    "expunge": (_of_one("expunge"), 1),
    "refresh": (_of_one("refresh"), 1),
    "nest": (_nest, 2),
    "unnest": (_unnest, 2),
    "forget": (_forget, 2),
}
