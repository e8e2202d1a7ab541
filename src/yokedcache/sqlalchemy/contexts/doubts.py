"""
Connections that the app had in its own hands: did it leave settings behind?

PostgreSQL can be asked, when they come back. What it doesn't tell (an app's own
`app.tenant`) only acts through policies, views and functions, whose answers aren't
kept unless the app says what they vary on.
"""

from __future__ import annotations

from typing import Any

from yokedcache.sqlalchemy.contexts.settings import HARMLESS
from yokedcache.sqlalchemy.statements.sql_functions import family

_NAMES = ", ".join(f"'{name}'" for name in sorted(HARMLESS))
_QUERY = (
    "SELECT pg_catalog.current_setting('role') = 'none'"  # noqa: S608 - constants
    " AND pg_catalog.pg_my_temp_schema() = 0"
    " AND session_user = (SELECT usename FROM pg_catalog.pg_stat_activity"
    " WHERE pid = pg_catalog.pg_backend_pid())"
    " AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_settings"
    f" WHERE source = 'session' AND name NOT IN ({_NAMES}))"
)


def is_clean(dbapi_connection: Any, dialect_name: str) -> bool:
    """
    Tell whether a connection that comes back is as it was when it was opened.

    SQLite can't be asked, and is taken for it. MySQL and MariaDB can't either, but
    `USE` and `SET` stay with their connections, so these are not.
    """
    if dbapi_connection is None or family(dialect_name) == "mysql":
        return dbapi_connection is None
    if dialect_name != "postgresql":
        return True
    try:
        cursor = dbapi_connection.cursor()
        try:
            cursor.execute(_QUERY)
            (clean,) = cursor.fetchone()
        finally:
            cursor.close()
            dbapi_connection.rollback()
    except Exception:  # noqa: BLE001 - what doesn't say counts as set
        return False
    return bool(clean)
