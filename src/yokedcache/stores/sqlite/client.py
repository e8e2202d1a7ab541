"""
The file as this process reaches it, from threads and from event loops.

A loop looks things up by itself: that takes microseconds, and is given up at once where
it would have to wait. Everything else is for the worker: opening, changing, waiting.
"""

from __future__ import annotations

import os
import time
import weakref
from typing import TYPE_CHECKING, Any, TypeVar

from yokedcache.errors import StoreError, UsageError
from yokedcache.stores.sqlite.faults import CAUGHT, is_damage, is_locked, store_error
from yokedcache.stores.sqlite.files import (
    DamagedError,
    MovedError,
    open_link,
    put_aside,
)
from yokedcache.stores.sqlite.looking import UNDONE
from yokedcache.stores.sqlite.pool import Pool, drop
from yokedcache.stores.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from yokedcache.stores import answers
    from yokedcache.stores.sqlite.commands import Commands
    from yokedcache.stores.sqlite.files import Identity, Link

T = TypeVar("T")


class SqliteClient:
    """
    Does operations on one file.
    """

    def __init__(
        self, path: str, commands: Commands, ticket: Callable[[], float]
    ) -> None:
        self.commands = commands
        self._path = path
        self._ticket = ticket
        self._pool = Pool()
        self._worker = Worker("yokedcache-sqlite")
        weakref.finalize(self, self._pool.close)

    @property
    def place(self) -> str:
        """
        Name the store (`contract.Placed`): the file to which links lead by now.
        """
        return f"sqlite {os.path.realpath(self._path)}"

    def perform(self, operation: answers.Operation[T], limit: float) -> T:
        """
        Do an operation in the calling thread.
        """
        done: T = self._do(operation, time.monotonic() + limit)
        return done

    async def perform_async(self, operation: answers.Operation[T], limit: float) -> T:
        """
        Do an operation in the running event loop.
        """
        operation.sent = self._ticket()
        found: Any = self._look(operation)
        if found is not UNDONE:
            done: T = found
            return done
        ends = time.monotonic() + limit
        try:
            done = await self._worker.do(lambda: self._do(operation, ends), limit)
        except TimeoutError as error:
            message = f"{self._path} didn't {operation.asked} in time"
            raise StoreError(message, asked=operation.asked, path=self._path) from error
        return done

    def close(self) -> None:
        """
        Close what nobody uses now.
        """
        self._worker.close()
        self._pool.close()

    async def close_async(self) -> None:
        """
        Close what nobody uses now: nothing belongs to a loop.
        """
        self.close()

    def begin_anew(self) -> None:
        """
        Leave the parent its connections, in a child after a fork.
        """
        self._pool.disown()
        self._worker = Worker("yokedcache-sqlite")

    def _look(self, operation: Any) -> Any:
        """
        Look without waiting for anything; `UNDONE` if that can't be.
        """
        if operation.look is None:
            return UNDONE
        try:
            link = self._pool.take(self._path)
            if link is None:
                return UNDONE
            try:
                link.be_patient(0)
                found = operation.look(link)
                link.check_ours(self._path)
                return found
            finally:
                self._pool.give_back(link)
        except (*CAUGHT, StoreError, TypeError, ValueError):
            return UNDONE  # the worker meets it again, and says so

    def _do(self, operation: Any, ends: float) -> Any:
        for _ in range(2):
            try:
                return self._try(operation, ends)
            except MovedError:
                continue  # what was done there, nobody sees
        raise StoreError(
            f"{self._path} can't {operation.asked}: it is replaced again and again",
            asked=operation.asked,
            path=self._path,
        )

    def _try(self, operation: Any, ends: float) -> Any:
        link = None
        try:
            link = self._pool.take(self._path) or open_link(self._path, ends)
            result = self._run(link, operation, ends)
        except DamagedError as error:
            self._begin_file_anew(error.identity, operation)
            raise self._error(error.__cause__ or error, operation) from error.__cause__
        except UsageError:
            raise
        except (*CAUGHT, StoreError, TypeError, ValueError) as error:
            if link is not None and is_locked(error):
                self._pool.give_back(link)
            elif link is not None:
                drop(link)
                if is_damage(error):
                    self._begin_file_anew(link.identity, operation)
            raise self._error(error, operation) from error
        except BaseException:
            if link is not None:
                drop(link)
            raise
        self._pool.give_back(link)
        return result

    def _run(self, link: Link, operation: Any, ends: float) -> Any:
        if operation.look is not None:
            link.be_patient(ends)
            result = operation.look(link)
            link.check_ours(self._path)
            if result is not UNDONE:
                return result
        return link.change(operation.change, ends, self._path)

    def _begin_file_anew(self, identity: Identity, operation: Any) -> None:
        self._pool.close()
        try:
            put_aside(self._path, identity, 0.0)
        except StoreError as error:
            raise self._error(error, operation) from error
        except CAUGHT:
            return  # whoever meets it next tries again

    def _error(self, error: BaseException, operation: Any) -> StoreError:
        return store_error(error, operation.asked, self._path)
