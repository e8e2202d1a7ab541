"""
Which database a URL leads to, however it is written: the same for all its processes.
"""

from __future__ import annotations

from typing import Any, Final

from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn

_REFUSED: Final = "none"
"""No value of `sslmode`: libpq reads all that it is told, and connects to nobody."""

_PLACE: Final = ("service", "host", "hostaddr", "port", "dbname", "options")


def place_of(facts: dict[str, Any]) -> str:
    """
    Name the servers and the database.

    libpq itself says what it makes of a URL's facts: of services, environment and user too.
    """
    conninfo = make_conninfo("", **{**facts, "sslmode": _REFUSED})
    connection = PGconn.connect_start(conninfo.encode())
    try:
        said = {
            one.keyword.decode(): (one.val or b"").decode(errors="surrogateescape")
            for one in connection.info
        }
        usual = "" if said["hostaddr"] else connection.host.decode()
    finally:
        connection.finish()
    if not said["dbname"]:  # a service that its file doesn't name, as yet
        return repr(("postgresql", *(facts.get(name) for name in _PLACE)))
    servers = _servers(said["host"] or usual, said["hostaddr"], said["port"])
    # poolers of many databases go by an option, or by what stands behind the role's name
    tenant = said["user"].rpartition(".")
    which = (said["dbname"], said["options"], tenant[2] if tenant[1] else "")
    return repr(("postgresql", servers, *which))


def _servers(hosts: str, addresses: str, ports: str) -> list[tuple[str, ...]]:
    """
    Put each server's host, address and port together, in an order that isn't the URL's.
    """
    names = [host if host[:1] in "/@" else host.lower() for host in hosts.split(",")]
    columns = [names, addresses.split(","), ports.split(",")]
    count = max(map(len, columns))
    return sorted(
        zip(*(c * count if len(c) == 1 else c for c in columns), strict=False)
    )
