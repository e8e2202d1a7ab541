"""
What the shared store is still to be told, in files that outlive the process.

Each process writes a file of its own, in a folder that those of one machine share, and
keeps it locked. The lock falls with its process, so whoever finds a file unlocked takes
over what is in it. To tell something twice does no harm.

    {"owe": 3, "names": ["table:users@pg:7:5"]}
    {"told": 3}

A line is on the disk before the commit is sent that it stands for; so of a torn one
nothing was sent.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
from contextlib import suppress
from hashlib import blake2b
from typing import IO, TYPE_CHECKING, Any, Final

from yokedcache.errors import SettingsError
from yokedcache.runtime.log import once

try:
    import fcntl
except ImportError:  # pragma: no cover - not on POSIX
    _CAN_LOCK = False
else:
    _CAN_LOCK = True

if TYPE_CHECKING:
    from pathlib import Path

_WHOSE_BYTES: Final = 9
_NAME_BYTES: Final = 8


class Page:
    """
    One process's file.
    """

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path = path
        self._file = file
        self._lock = threading.Lock()
        self._next = 0
        self.owed: dict[int, tuple[str, ...]] = {}
        """The tags that weren't told of yet, by number."""

    def owe(self, names: tuple[str, ...]) -> int:
        """
        Write down a debt; it is on the disk when this returns.

        Raises:
            OSError: it can't be written.
        """
        with self._lock:
            number = self._next
            self._next += 1
            self._write({"owe": number, "names": names})
            os.fsync(self._file.fileno())
            self.owed[number] = names
            return number

    def told(self, number: int) -> None:
        """
        Strike a debt out; a file in which none is left is empty.
        """
        with self._lock:
            self.owed.pop(number, None)
            if self._file.closed:
                return
            # what isn't struck out is told once more
            with suppress(OSError):
                if self.owed:
                    self._write({"told": number})
                else:
                    self._file.truncate(0)

    def read(self) -> None:
        """
        Read what another process has left.
        """
        unread = 0
        for line in filter(None, self._file.read().split(b"\n")):
            try:
                self._note(json.loads(line))
            except (ValueError, KeyError, TypeError):
                unread += 1
        if unread > 1:  # one may have been torn as its process died
            once(
                "journal",
                str(self._path),
                "%d lines of %s can't be read: they are left out",
                unread,
                str(self._path),
            )

    def close(self) -> None:
        """
        Let the file go; one in which nothing is owed is removed.
        """
        with self._lock:
            if not (self.owed or self._file.closed):
                with suppress(OSError):
                    self._path.unlink()
            self._file.close()

    def abandon(self) -> None:
        """
        Leave the file to the parent, in a forked child.
        """
        self._file.close()

    def _note(self, line: Any) -> None:
        if "told" in line:
            self.owed.pop(line["told"], None)
            return
        names = line["names"]
        if not (isinstance(names, list) and all(isinstance(n, str) for n in names)):
            raise TypeError(names)
        self.owed[int(line["owe"])] = tuple(names)

    def _write(self, line: dict[str, Any]) -> None:
        # what a full disk has torn before stays a line of its own
        left = b"\n" + json.dumps(line).encode() + b"\n"
        while left:
            left = left[self._file.write(left) :]


class Journal:
    """
    The files in a folder that stand for one shared store.

    Args:
        place: names the store (`contract.Placed`); files of another one, or of another
            prefix, are left alone.

    Raises:
        SettingsError: nothing can be written there, or files can't be locked here.
    """

    def __init__(self, folder: Path, place: str, prefix: str) -> None:
        if not _CAN_LOCK:  # pragma: no cover - not on POSIX
            msg = "a journal needs locks of files (flock), which this system hasn't got"
            raise SettingsError(msg, journal=str(folder))
        whose = repr((place, prefix)).encode()
        self._whose = blake2b(whose, digest_size=_WHOSE_BYTES).hexdigest()
        self._folder = folder
        self._page: Page | None = None
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._new_page().close()
        except OSError as error:
            msg = f"journal={str(folder)!r}: nothing can be written there ({error})"
            raise SettingsError(msg, journal=str(folder)) from error

    def begin_anew(self) -> None:
        """
        Leave the parent its file, in a forked child.
        """
        if self._page is not None:
            self._page.abandon()
        self._page = None
        self._lock = threading.Lock()

    def page(self) -> Page:
        """
        Give this process's file, made when it is first needed.

        Raises:
            OSError: it can't be made.
        """
        with self._lock:
            if self._page is None:
                self._page = self._new_page()
            return self._page

    def left(self) -> list[Page]:
        """
        Take over the files of processes that are no more, with what they owed.
        """
        pages = []
        for path in sorted(self._folder.glob(f"owed-{self._whose}-*.jsonl")):
            with suppress(OSError):  # removed meanwhile, or its process lives
                page = _taken(path)
                if page is not None:
                    pages.append(page)
        return pages

    def close(self) -> None:
        """
        Let this process's file go; what is still owed stays in it for others.
        """
        with self._lock:
            page, self._page = self._page, None
        if page is not None:
            page.close()

    def _new_page(self) -> Page:
        name = f"owed-{self._whose}-{secrets.token_hex(_NAME_BYTES)}.jsonl"
        path = self._folder / name
        hidden = path.with_suffix(".new")  # until it is locked
        file = hidden.open("ab", buffering=0)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        hidden.rename(path)
        _sync(self._folder)
        return Page(path, file)


def _taken(path: Path) -> Page | None:
    """
    Open a file and lock it; `None` if there was nothing in it.

    Raises:
        OSError: it is gone, or its process lives.
    """
    file = path.open("a+b", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.fstat(file.fileno()).st_nlink:  # another one was sooner
            file.close()
            return None
        file.seek(0)
        page = Page(path, file)
        page.read()
    except BaseException:
        file.close()
        raise
    if page.owed:
        return page
    page.close()
    return None


def _sync(folder: Path) -> None:
    """
    Have the disk know of a new file.
    """
    made = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(made)
    finally:
        os.close(made)
