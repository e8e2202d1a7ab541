"""
A small web application as users deploy it, for ASGI and for WSGI servers.

`/read` gives the name, `/write?name=...` commits another one, `/stats` what the cache
of this worker has done. Every answer says which process gave it.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import sqlalchemy as sa
from sqlalchemy import orm

from yokedcache import YokedCache, cached

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

URL = os.environ["APP_DATABASE"]
engine = sa.create_engine(URL)
cache = YokedCache(**json.loads(os.environ.get("APP_SETTINGS", "{}")))
sessions = orm.sessionmaker(engine)
cache.attach(sessions)
things = sa.table("things", sa.column("id"), sa.column("name"))
NAME = sa.select(things.c.name).where(things.c.id == 1)


@cached(cache=cache, ttl=600)
def name_by_function() -> str | None:
    """
    Read the name in a cached function.
    """
    with sessions() as session:
        return session.scalar(NAME)


def answer(path: str, query: str) -> dict[str, Any]:
    """
    Do what a path says.
    """
    told: dict[str, Any] = {"pid": os.getpid()}
    if path == "/read":
        with sessions() as session:
            told["statement"] = session.scalar(NAME)
        told["function"] = name_by_function()
    elif path == "/write":
        with sessions.begin() as session:
            name = parse_qs(query)["name"][0]
            session.execute(sa.update(things).values(name=name))
    else:
        stats = cache.sync.stats()
        told["hits"] = stats.total.hits
        told["several"] = stats.several_processes
    return told


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """
    Serve a request of an ASGI server.
    """
    if scope["type"] != "http":
        return
    body = answer(scope["path"], scope["query_string"].decode())
    start = {"type": "http.response.start", "status": 200, "headers": []}
    await send(start)
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


def wsgi(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """
    Serve a request of a WSGI server.
    """
    body = answer(environ["PATH_INFO"], environ["QUERY_STRING"])
    start("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]
