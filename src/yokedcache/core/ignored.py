"""
What is handed to functions but is no part of their keys.

Sessions, engines, connections, requests, clients, loggers and locks are the
means of a call, not its subject. They are known by dotted class names, matched
over the MRO, so that no library is imported to be recognised.
"""

from __future__ import annotations

from typing import Final
from weakref import ref

from yokedcache.core.classes import dotted_names

_NAMES: Final = {
    "sqlalchemy.orm.session.Session",
    "sqlalchemy.orm.session.sessionmaker",
    "sqlalchemy.orm.scoping.scoped_session",
    "sqlalchemy.ext.asyncio.session.AsyncSession",
    "sqlalchemy.ext.asyncio.session.async_sessionmaker",
    "sqlalchemy.ext.asyncio.scoping.async_scoped_session",
    "sqlalchemy.engine.base.Engine",
    "sqlalchemy.engine.base.Connection",
    "sqlalchemy.ext.asyncio.engine.AsyncEngine",
    "sqlalchemy.ext.asyncio.engine.AsyncConnection",
    "starlette.requests.HTTPConnection",
    "starlette.requests.Request",
    "starlette.websockets.WebSocket",
    "starlette.responses.Response",
    "starlette.background.BackgroundTask",
    "flask.wrappers.Request",
    "httpx.Client",
    "httpx.AsyncClient",
    "httpx._client.Client",
    "httpx._client.AsyncClient",
    "requests.sessions.Session",
    "redis.client.Redis",
    "redis.asyncio.client.Redis",
    "redis.cluster.RedisCluster",
    "redis.asyncio.cluster.RedisCluster",
    "logging.Logger",
    "logging.LoggerAdapter",
    "_thread.lock",
    "_thread.RLock",
    "threading._RLock",
    "threading.Condition",
    "threading.Event",
    "threading.Semaphore",
    "asyncio.locks.Lock",
    "asyncio.locks.Condition",
    "asyncio.locks.Event",
    "asyncio.locks.Semaphore",
    "yokedcache.YokedCache",
    "yokedcache.cache.YokedCache",
}

_TYPES: Final[set[type]] = set()
_known: dict[ref[type], bool] = {}
_MOST_CLASSES: Final = 4096


def register_ignored(what: type | str) -> None:
    """
    Leave values of a class, and of classes derived from it, out of all keys.

    Args:
        what: The class, or its dotted name if it should not be imported.
    """
    if isinstance(what, str):
        _NAMES.add(what)
    else:
        _TYPES.add(what)
    _known.clear()


def is_ignored(value: object) -> bool:
    """
    Tell whether a value is no part of a key.
    """
    # type() and not __class__, which a proxy answers for somebody else.
    known = _known.get(ref(type(value)))
    return is_ignored_class(type(value)) if known is None else known


def is_ignored_class(cls: type) -> bool:
    """
    Tell whether the values of a class are no part of a key.
    """
    if len(_known) >= _MOST_CLASSES:  # classes made on the fly must not pile up
        _known.clear()
    named = not _NAMES.isdisjoint(dotted_names(cls))
    verdict = named or not _TYPES.isdisjoint(cls.__mro__)
    _known[ref(cls)] = verdict
    return verdict
