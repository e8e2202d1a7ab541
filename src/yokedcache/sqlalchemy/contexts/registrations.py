"""
Notices when somebody begins or ceases to listen, whatever to.

SQLAlchemy tells nobody, and comparing all lists at every look-up costs. So its two
private doors, through which every registration goes, are watched. What was judged
of engines is judged anew then, and cached functions that may stand under the new
listener are dropped: their keys don't say whether it was there.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy.event.registry import _EventKey

from yokedcache.core.tags import LISTENERS
from yokedcache.sqlalchemy.contexts.listeners import (
    ON_ENGINES,
    ON_SESSIONS,
    moment,
    only_watches,
    own_function,
    place,
)
from yokedcache.sqlalchemy.transactions import sending
from yokedcache.sqlalchemy.transactions.blame import Blame
from yokedcache.sqlalchemy.transactions.fences import bump_everywhere

_key: Any = _EventKey
_listen: Any = _EventKey.listen
_remove: Any = _EventKey.remove
_WATCHED: Final = ON_ENGINES | ON_SESSIONS


def install() -> None:
    """
    Begin to notice.
    """
    _key.listen, _key.remove = _noticed_listen, _noticed_remove
    moment.watched = True
    moment.number += 1


def uninstall() -> None:
    """
    Give SQLAlchemy its own doors back.
    """
    _key.listen, _key.remove = _listen, _remove
    moment.watched = False


def _noticed_listen(key: Any, *args: Any, **kw: Any) -> None:
    _listen(key, *args, **kw)
    if key.identifier not in _WATCHED:
        return
    own = own_function(key.fn)
    if own is not None and key.identifier in sending.AROUND:
        sending.listen()
    if own is None or (not kw.get("retval") and only_watches(key.identifier, own)):
        return
    _begin_anew(key.identifier)
    blame = Blame()
    blame.note(f"a listener: {place(own)}", ())
    bump_everywhere((LISTENERS,), blame)


def _noticed_remove(key: Any) -> None:
    _remove(key)
    _begin_anew(key.identifier)


def _begin_anew(name: str) -> None:
    if name in ON_ENGINES:
        moment.number += 1
