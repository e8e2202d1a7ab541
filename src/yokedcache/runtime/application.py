"""
Which application a process belongs to, by where the code lies that makes a cache.

An application is a project: the folder above that code that says so of itself, with what it
says (`pyproject.toml` and its kin), else the folder that modules are imported from,
with their names. Of what is installed it is the package. All processes of one
application say the same wherever it lies in the same place, and two say other; where
this errs, it takes one for two.
"""

from __future__ import annotations

import sys
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FrameType

_MANIFESTS: Final = ("pyproject.toml", "setup.cfg", "setup.py")
_INSTALLED: Final = frozenset({"dist-packages", "site-packages"})
_OURS: Final = "yokedcache"
_DIGEST: Final = 8


def application() -> str:
    """
    Give what tells the application that calls the library from others.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] != _OURS:
            return told_by(frame.f_code.co_filename, module)
        frame = frame.f_back
    return told_by("", "")


@cache
def told_by(file: str, module: str) -> str:
    """
    Give what tells the application of a module from others.

    Args:
        file: where its source lies; of what was typed in, the current folder counts.
    """
    digest = blake2b(digest_size=_DIGEST)
    for part in _parts(Path(file).absolute(), module):
        digest.update(b"%d:%b" % (len(part), part))
    return digest.hexdigest()


def _parts(file: Path, module: str) -> list[bytes]:
    if _INSTALLED.intersection(file.parts):
        return [b"package", module.partition(".")[0].encode()]
    typed = not file.is_file()
    folder = Path.cwd() if typed else file.parent
    for above in (folder, *folder.parents):
        for name in _MANIFESTS:
            manifest = above / name
            if manifest.is_file():
                return [b"project", bytes(above), manifest.read_bytes()]
    if not typed:
        depth = module.count(".") + (file.name == "__init__.py")
        folder = (folder, *folder.parents)[min(depth, len(folder.parents))]
    modules = {path.parent.name for path in folder.glob("*/__init__.py")}
    modules |= {path.name for path in folder.glob("*.py")}
    return [b"folder", bytes(folder), *(name.encode() for name in sorted(modules))]
