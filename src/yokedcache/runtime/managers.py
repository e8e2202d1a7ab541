"""
Whether something says that this process is one of several workers.

Before any of the others has come: what starts several workers can be seen.
"""

from __future__ import annotations

import os
import sys
from typing import Any


def worker_manager() -> str | None:
    """
    Name what says that there are, or will be, several workers.
    """
    number = os.environ.get("WEB_CONCURRENCY", "").strip()
    if number.isdigit() and int(number) > 1:
        return f"WEB_CONCURRENCY is {number}"
    if "gunicorn.arbiter" in sys.modules:
        return "gunicorn runs this process"
    uwsgi: Any = sys.modules.get("uwsgi")
    if getattr(uwsgi, "numproc", 1) > 1:
        return "uWSGI runs several of this process"
    return _multiprocessing()


def _multiprocessing() -> str | None:
    """
    Tell a child of `multiprocessing`; that of a server that reloads is alone.
    """
    process: Any = sys.modules.get("multiprocessing.process")
    if process is None or process.parent_process() is None:
        return None
    if _reloads(process.current_process()):
        return None
    return "multiprocessing started this process"


def _reloads(child: Any) -> bool:
    """
    Tell whether uvicorn started this child to replace it when files change.
    """
    config = getattr(child, "_kwargs", {}).get("config")
    if type(config).__module__.partition(".")[0] != "uvicorn":
        return False
    return bool(getattr(config, "should_reload", False))
