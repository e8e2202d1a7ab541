"""
What `make docs` checks: code on pages runs, links lead somewhere, nothing is left out.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docs"))

from checks import coverage, links, pages, snippets
from checks.reasons import reasons

WITH_CODE = [page for page in pages.every() if snippets.blocks(page)]


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "page.md"


@pytest.mark.parametrize("name", [page.name for page in WITH_CODE])
def test_code_runs(name: str) -> None:
    chosen = next(page for page in WITH_CODE if page.name == name)
    assert snippets.run_apart(chosen) is None


def test_links_lead_somewhere() -> None:
    assert links.broken() == []


def test_nothing_is_left_out() -> None:
    assert coverage.missing() == []


def test_reasons_are_found_in_the_source() -> None:
    assert {"dirty", "listeners", "view:", "too_large", "condition"} <= reasons()


@pytest.mark.parametrize(
    ("text", "fails"),
    [
        ("```python\n1 + 1  # → 2\n```\n", ""),
        ("```python\n1 + 1  # → 3\n```\n", "the page says 3, it is 2"),
        ("```python\nx = 1\n```\n\n```python\nx  # → 1\n```\n", ""),
        ("```python\nboom()\n```\n", "boom"),
        ("```python raises=KeyError\n{}[1]\n```\n", ""),
        ("```python raises=KeyError\n1\n```\n", "KeyError was not raised"),
        ("<!-- run\nx = 5\n-->\n\n```python\nx  # → 5\n```\n", ""),
        ("```python\nimport asyncio\nawait asyncio.sleep(0, 7)  # → 7\n```\n", ""),
    ],
)
def test_code_is_checked(page: Path, text: str, fails: str) -> None:
    page.write_text(text, encoding="utf-8")
    said = snippets.run_apart(page) or ""
    assert fails in said
    assert bool(said) is bool(fails)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("# A\n\n[b](#a) [c](https://example.org/x)\n", 0),
        ("[b](#missing)\n", 1),
        ("[b](missing.md)\n", 1),
        ("```text\n[b](missing.md)\n```\n", 0),
    ],
)
def test_links_are_checked(page: Path, text: str, wrong: int) -> None:
    page.write_text(text, encoding="utf-8")
    assert len(links.broken_on([page])) == wrong
