"""
The scripts, by name: read once from this package's files.

A script is sent by its digest; a server that doesn't know it (yet, or no longer) is
sent its text.
"""

from __future__ import annotations

import re
from hashlib import sha1
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from yokedcache.stores.redis.wire import (
    NO_SCRIPT,
    WRONG_TYPE,
    Refusal,
    Request,
    command,
    fine,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from yokedcache.stores.redis.wire import Steps

NAMES: Final = (
    *("adopt", "bump", "fence", "follow", "hold"),
    *("lift", "open", "release", "renew", "store"),
)

ALONE: Final = frozenset({"hold", "release", "store"})
"""Scripts that give no version, and so don't have `common.lua` before them."""

_CALL: Final = re.compile(r"\('([A-Z]+)'")


class Script:
    """
    A script's text, and the digest by which servers know it.
    """

    __slots__ = ("digest", "text")

    def __init__(self, text: str) -> None:
        self.text = text.encode()
        self.digest = sha1(self.text, usedforsecurity=False).hexdigest().encode()

    def short(self, keys: Sequence[bytes], words: Sequence[bytes]) -> bytes:
        """
        Write the command that names it.
        """
        return command(b"EVALSHA", self.digest, b"%d" % len(keys), *keys, *words)

    def whole(self, keys: Sequence[bytes], words: Sequence[bytes]) -> bytes:
        """
        Write the command that brings it.
        """
        return command(b"EVAL", self.text, b"%d" % len(keys), *keys, *words)


def _read(name: str) -> Script:
    names = ["read", name] if name in ALONE else ["read", "common", name]
    folder = files(__package__) / "scripts"
    texts = [(folder / f"{one}.lua").read_text(encoding="utf-8") for one in names]
    return Script("\n".join(texts))


# all at once, since an event loop must not wait for files
SCRIPTS: Final = {name: _read(name) for name in NAMES}


def command_at(digest: str, line: int) -> str | None:
    """
    Name the command that a line of one of the scripts runs.
    """
    for script in SCRIPTS.values():
        if script.digest == digest.encode():
            lines = script.text.decode().splitlines()
            found = _CALL.search(lines[line - 1]) if line <= len(lines) else None
            return found[1].lower() if found else None
    return None


def run_script(
    name: str, keys: Sequence[bytes], words: Sequence[bytes], *, leave: bytes = b""
) -> Steps[Any]:
    """
    Run a script, which is brought along if the server doesn't know it.

    `leave` is a command that the server refuses where it ought to refuse the script.
    """
    found = SCRIPTS[name]
    answer = yield from _with_leave(leave, found.short(keys, words))
    if isinstance(answer, Refusal) and answer.code == NO_SCRIPT:
        answer = yield from _with_leave(leave, found.whole(keys, words))
    return fine(answer)


def _with_leave(leave: bytes, packed: bytes) -> Steps[Any]:
    if not leave:
        (answer,) = yield Request(packed)
        return answer
    given, answer = yield Request(leave + packed, 2)
    refused = isinstance(given, Refusal) and given.code != WRONG_TYPE
    return given if refused else answer
