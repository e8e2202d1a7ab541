"""
Check the docs, without any network: `make docs`, and `tests/docs` in the suite.

    python docs/build.py            all checks
    python docs/build.py index.md   only run the code of that page

Code runs, links lead somewhere, and whatever users can meet (settings, options,
errors, reasons, public names) has its entry.
"""
# ruff: noqa: INP001

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from checks import coverage, links, pages, snippets


def main(names: list[str]) -> int:
    """
    Run the checks, say what is wrong, and give the exit status.
    """
    chosen = [page for page in pages.every() if not names or page.name in names]
    wrong: list[str] = [] if names else [*links.broken(), *coverage.missing()]
    for page in chosen:
        failure = snippets.run_apart(page)
        if failure:
            wrong.append(failure)
    for line in wrong:
        sys.stdout.write(f"docs: {line}\n")
    blocks = sum(len(snippets.blocks(page)) for page in chosen)
    sys.stdout.write(
        f"docs: {len(chosen)} pages, {blocks} blocks of code, {len(wrong)} wrong\n"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
