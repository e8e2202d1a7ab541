"""
Internal links: the file exists, and so does the heading.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from checks import pages

if TYPE_CHECKING:
    from pathlib import Path

_LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*$", re.MULTILINE)
_FENCE = re.compile(r"^```.*?^```\s*$", re.MULTILINE | re.DOTALL)


def broken() -> list[str]:
    """
    List the links that lead nowhere, and pages that the index doesn't lead to.
    """
    index = pages.text("index.md")
    listed = {target.partition("#")[0] for target in _LINK.findall(index)}
    names = {page.name for page in pages.DOCS.glob("*.md")} - {"index.md"}
    unlisted = [f"index.md: doesn't lead to {name}" for name in sorted(names - listed)]
    return [*broken_on(pages.every()), *unlisted]


def broken_on(chosen: list[Path]) -> list[str]:
    """
    List the links of some pages that lead nowhere.
    """
    return [line for page in chosen for line in _of_page(page)]


def anchors(page: Path) -> set[str]:
    """
    Give the anchors of a page's headings.
    """
    prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return {_slug(heading) for heading in _HEADING.findall(prose)}


def _of_page(page: Path) -> list[str]:
    prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
    wrong = []
    for target in _LINK.findall(prose):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists():
            wrong.append(f"{page.name}: no file {name!r}")
        elif anchor and anchor not in anchors(file):
            wrong.append(f"{page.name}: no heading {target!r}")
    return wrong


def _slug(heading: str) -> str:
    kept = re.sub(r"[^\w\s-]", "", heading.replace("`", "").lower())
    return re.sub(r"\s", "-", kept.strip())
