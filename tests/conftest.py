"""
Set what holds for every test.

Servers as fixtures, one event loop, how hard Hypothesis tries, and no blocking call
of ours inside an event loop.
"""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import HealthCheck, settings

from tests.support.leaving import nothing_left
from yokedcache.runtime import log

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blockbuster import BlockBuster

pytest_plugins = ["tests.services.fixtures", "tests.services.redis.fixtures"]

# A machine under load is slow, not wrong: no deadlines anywhere.
settings.register_profile("dev", deadline=None)
# The gate judges a change, so it tries the same examples each time ...
settings.register_profile(
    "ci", deadline=None, derandomize=True, max_examples=100, print_blob=True
)
# ... and the search for new ones has the night.
settings.register_profile(
    "nightly",
    deadline=None,
    max_examples=5_000,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev")
)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """
    Run async tests on asyncio: SQLAlchemy knows no other loop.
    """
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def nobody_else_is_seen() -> Iterator[None]:
    """
    Keep test processes from noticing each other: numbers of files are used again.
    """
    with tempfile.TemporaryDirectory(prefix="yc-") as place:
        os.environ["YOKEDCACHE_RUN_DIR"] = place
        yield
        del os.environ["YOKEDCACHE_RUN_DIR"]


@pytest.fixture(autouse=True)
def nothing_is_left_to_others() -> Iterator[None]:
    """
    Fail the test that leaves a session in a transaction, or a cache open.
    """
    with nothing_left():
        yield


@pytest.fixture(autouse=True)
def nothing_is_said_yet() -> None:
    """
    Let a test hear what is said once, whatever others have heard before.
    """
    log.forget()


@pytest.fixture(scope="session", autouse=True)
def own_faults_are_seen() -> Iterator[None]:
    """
    Let faults of the library fail the test that meets them.
    """
    log.raise_faults = True
    yield
    log.raise_faults = False


@pytest.fixture(scope="session", autouse=True)
def no_blocking_calls() -> Iterator[BlockBuster]:
    """
    Fail the test in which code of the library blocks a running event loop.
    """
    with blockbuster_ctx(scanned_modules=["yokedcache"]) as blockbuster:
        # once an engine: an aiosqlite engine's file is known by device and inode
        asks = ("yokedcache/sqlalchemy/databases/identity.py", "file_identity")
        blockbuster.functions["os.stat"].can_block_in(*asks)
        # a few microseconds, and only while somebody else may change the file
        for name, function in blockbuster.functions.items():
            if name.startswith("sqlite3."):
                function.can_block_in(
                    "yokedcache/sqlalchemy/databases/file_watch.py", "version"
                )
        # a look-up takes as long, and waits for nobody
        for name in ("os.stat", *(n for n in blockbuster.functions if "sqlite3" in n)):
            blockbuster.functions[name].can_block_in(
                "yokedcache/stores/sqlite/client.py", "_look"
            )
        yield blockbuster
