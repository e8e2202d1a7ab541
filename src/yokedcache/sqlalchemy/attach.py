"""
`cache.attach`, `cache.detach` and `cache.explain` for sessions and statements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from yokedcache.errors import UsageError
from yokedcache.policy import UNSET
from yokedcache.sqlalchemy.answers.answering import SessionAnswerer
from yokedcache.sqlalchemy.apart import check_apart
from yokedcache.sqlalchemy.asynchronous import AsyncSession
from yokedcache.sqlalchemy.attached import Attachment
from yokedcache.sqlalchemy.install import install, uninstall
from yokedcache.sqlalchemy.telling import touched, wrote
from yokedcache.sqlalchemy.tracking import install as track
from yokedcache.sqlalchemy.transactions.unheard import vouch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from yokedcache.cache import YokedCache
    from yokedcache.machine import Machine
    from yokedcache.stats import Explanation

__all__ = ["attach", "detach", "explain", "touches", "wrote"]


def attach(cache: YokedCache, target: Any, **options: Any) -> Any:
    """
    Answer the statements of a target's sessions from a cache; gives the target.
    """
    _check(options)
    cache.machine.check_open()
    check_apart(cache.machine, _bind_of(target))
    track()
    if options.get("vary", UNSET) is not UNSET:
        vouch(_bind_of(target))
    install(target, SessionAnswerer(Attachment(cache.machine, **options)))
    return target


def _bind_of(target: Any) -> Any:
    """
    Give the engine of a maker of sessions or a session, if it has one as yet.
    """
    if isinstance(target, (Session, AsyncSession)):
        return target.bind
    maker: Any = getattr(target, "session_factory", target)
    return getattr(maker, "kw", {}).get("bind")


def detach(target: Any) -> None:
    """
    Undo `attach`.
    """
    uninstall(target)


def touches(machine: Machine, table: str, others: Iterable[str]) -> None:
    """
    Take down what else a write to a table changes.
    """
    name, also = touched(table, others)
    machine.touched[name] = machine.touched.get(name, frozenset()) | also


def explain(machine: Any, target: Any, session: Session | None = None) -> Explanation:
    """
    Tell how a statement is answered through an attached session.
    """
    if session is None:
        msg = (
            f"can't explain {target!r}: give a key, a cached function with its "
            "arguments, or a statement with session=..."
        )
        raise UsageError(msg, target=repr(target))
    from yokedcache.sqlalchemy.answers.explaining import explain_statement

    return explain_statement(machine, target, session)


def _check(options: dict[str, Any]) -> None:
    known = ("ttl", "tables", "vary")
    for name in options:
        if name not in known:
            msg = f"attach() has no option {name!r}; it has: {', '.join(known)}"
            raise UsageError(msg, option=name)
