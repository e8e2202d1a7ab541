"""
List the servers that tests use.

`python -m tests.services ensure` first installs those that are missing, `list` only
lists. Both end with 1 if one is not to be had.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tests.services import SERVICES, MissingServiceError, Program

if TYPE_CHECKING:
    from collections.abc import Callable


def main(arguments: list[str]) -> int:
    if arguments not in (["ensure"], ["list"]):
        print("usage: python -m tests.services ensure|list", file=sys.stderr)
        return 2
    wanted = [s.ensure if arguments == ["ensure"] else s.require for s in SERVICES]
    return max(_show(get) for get in wanted)


def _show(get: Callable[[], Program]) -> int:
    try:
        program = get()
    except MissingServiceError as error:
        print(error, file=sys.stderr)
        return 1
    print(
        f"{program.service:<12} {program.version:<10} "
        f"{program.origin:<8} {program.place}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
