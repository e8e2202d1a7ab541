"""
Questions of the library's own, asked within a transaction of the application.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_SAVEPOINT = "yokedcache_learning"


@contextlib.contextmanager
def sheltered(dbapi_connection: Any, dialect_name: str) -> Iterator[None]:
    """
    Keep a question of ours that fails from failing the app's transaction.
    """
    if dialect_name != "postgresql" or not _said(
        dbapi_connection, f"SAVEPOINT {_SAVEPOINT}"
    ):
        yield
        return
    try:
        yield
    except BaseException:
        _said(dbapi_connection, f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
        raise
    finally:
        _said(dbapi_connection, f"RELEASE SAVEPOINT {_SAVEPOINT}")


def _said(dbapi_connection: Any, statement: str) -> bool:
    """
    Send a statement; tell whether the server took it.
    """
    cursor = dbapi_connection.cursor()
    try:
        cursor.execute(statement)
    except Exception:  # noqa: BLE001 - in autocommit mode, or the transaction has failed
        return False
    finally:
        cursor.close()
    return True
