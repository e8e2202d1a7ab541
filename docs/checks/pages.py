"""
The pages: the README and every Markdown file of the docs.
"""

from __future__ import annotations

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
DOCS = PROJECT / "docs"
SOURCE = PROJECT / "src" / "yokedcache"


def every() -> list[Path]:
    """
    List the pages.
    """
    return [PROJECT / "README.md", *sorted(DOCS.glob("*.md"))]


def text(name: str) -> str:
    """
    Read a page of the docs by its name.
    """
    return (DOCS / name).read_text(encoding="utf-8")
