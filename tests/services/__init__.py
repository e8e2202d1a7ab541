"""
Real servers for the tests: found or installed, started privately, stopped.

`base` says what a service is, `processes` runs child processes with less than
root's rights, and each server has a file of its own (`postgres`, `mariadb`, `memcached`) or a folder
(`redis`). `proxy` stands in front of any of them and breaks connections. `fixtures`
gives them to tests, and `python -m tests.services ensure` (what `make services`
calls) lists what is found and installs what is missing.

A new server is a file with a `Service` in it, a line in `SERVICES`, and a fixture.
No instance uses a standard port, and a missing server is a failure, never a skip.
"""

from __future__ import annotations

from tests.services.base import MissingServiceError, Program, Service
from tests.services.mariadb import MariaDB, MariaDBDatabase, MariaDBServer
from tests.services.memcached import Memcached, MemcachedServer
from tests.services.postgres import Postgres, PostgresDatabase, PostgresServer
from tests.services.redis import KINDS

__all__ = [
    "SERVICES",
    "MariaDB",
    "MariaDBDatabase",
    "MariaDBServer",
    "Memcached",
    "MemcachedServer",
    "MissingServiceError",
    "Postgres",
    "PostgresDatabase",
    "PostgresServer",
    "Program",
    "Service",
]

SERVICES: tuple[Service, ...] = (Postgres(), MariaDB(), Memcached(), *KINDS)
"""
All services, in the order in which `ensure` lists them.
"""
