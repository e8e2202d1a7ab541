"""
Code on pages: every block marked `python` runs, those of one page in one namespace.

A page is run in a process of its own, in a temporary folder. Blocks may use
`await`; all share one event loop. Three things can be written on a page:

    f(1)  # → 2                    the value must be shown so
    ```python raises=UsageError    the block must end in this exception
    <!-- run ... -->               code that is run and not shown
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from checks import pages

_BLOCK = re.compile(
    r"^```python(?P<info>[^\n]*)\n(?P<code>.*?)^```\s*$"
    r"|^<!-- run\n(?P<hidden>.*?)^-->\s*$",
    re.MULTILINE | re.DOTALL,
)
_SHOWN = re.compile(r"^(?P<indent>\s*)(?P<code>\S.*?)\s+# → (?P<value>.+?)\s*$")
_LIMIT = 50


class Block(NamedTuple):
    """
    A block of code, and where it stands.
    """

    code: str
    line: int
    raises: str | None


def blocks(page: Path) -> list[Block]:
    """
    List the blocks of a page that are to be run.
    """
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        raises = re.search(r"raises=(\w+)", match["info"] or "")
        line = text.count("\n", 0, match.start()) + 2
        code = match["hidden"] if match["code"] is None else match["code"]
        found.append(Block(code, line, raises[1] if raises else None))
    return found


def run_apart(page: Path) -> str | None:
    """
    Run a page in a process of its own; give what went wrong.
    """
    if not blocks(page):
        return None
    paths = [str(pages.PROJECT / "src"), str(pages.DOCS / "checks"), str(pages.DOCS)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    environment.pop("YOKEDCACHE_URL", None)
    with tempfile.TemporaryDirectory(prefix="yokedcache-docs-") as folder:
        done = subprocess.run(  # noqa: S603 - this very interpreter
            [sys.executable, "-m", "checks.snippets", str(page)],
            cwd=folder,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            timeout=_LIMIT,
            check=False,
        )
    return None if done.returncode == 0 else f"{page.name}: {done.stderr.strip()}"


def run(page: Path) -> None:
    """
    Run the blocks of a page here, in order.
    """
    namespace: dict[str, Any] = {"__name__": page.stem, "_shown": _shown}
    sys.modules[page.stem] = type(sys)(page.stem)
    sys.modules[page.stem].__dict__.update(namespace)
    namespace = sys.modules[page.stem].__dict__
    with asyncio.Runner() as runner:
        for block in blocks(page):
            _run_block(block, page, namespace, runner)
        for name in ("async_engine", "aengine"):
            if name in namespace:
                runner.run(namespace[name].dispose())


def _run_block(
    block: Block, page: Path, namespace: dict[str, Any], runner: asyncio.Runner
) -> None:
    code = compile(
        _checked(block.code, block.line),
        str(page),
        "exec",
        flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
    )
    try:
        made = eval(code, namespace)  # noqa: S307 - the project's own pages
        if inspect.iscoroutine(made):
            runner.run(made)
    except Exception as error:
        if type(error).__name__ != block.raises:
            raise
    else:
        if block.raises:
            msg = f"line {block.line}: {block.raises} was not raised"
            raise AssertionError(msg)


def _checked(code: str, line: int) -> str:
    """
    Turn `expression  # → value` into a check, and keep the page's line numbers.
    """
    lines = []
    for row in code.splitlines():
        match = _SHOWN.match(row)
        lines.append(
            f"{match['indent']}_shown(({match['code']}), {match['value']!r})"
            if match
            else row
        )
    return "\n" * (line - 1) + "\n".join(lines) + "\n"


def _shown(value: object, wanted: str) -> None:
    if repr(value) != wanted:
        msg = f"the page says {wanted}, it is {value!r}"
        raise AssertionError(msg)


if __name__ == "__main__":
    run(Path(sys.argv[1]))
