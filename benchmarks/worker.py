"""
A process that runs contenders of one environment when it is told to.

The parent (`Worker`) writes a line of JSON, `[contender, what, count]`; the
child is this file run by the environment's own Python. It runs that loop of its
module's so many times (`loops.perform`, or another's) and answers with a line:
seconds, or the text of an error. While one runs all others wait, so that nobody
is measured under another's load.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from measure import Run


class Worker:
    """
    The parent's end.
    """

    def __init__(
        self, python: Path, environment: dict[str, str], loops: str = "loops"
    ) -> None:
        self._process = subprocess.Popen(
            [python, Path(__file__).resolve(), loops],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def ask(self, contender: str, what: str, count: int) -> Any:
        """
        Have a loop run, and wait for what comes of it.
        """
        sender, receiver = self._process.stdin, self._process.stdout
        assert sender is not None
        assert receiver is not None
        sender.write(json.dumps([contender, what, count]) + "\n")
        sender.flush()
        answer = receiver.readline()
        if not answer:
            msg = f"the worker of {contender} ended"
            raise RuntimeError(msg)
        result = json.loads(answer)
        if isinstance(result, str):
            raise RuntimeError(f"{contender}, {what}: {result}")  # noqa: TRY004
        return result

    def run(self, contender: str, what: str) -> Run:
        """
        Give a contender's loop as something that can be measured.
        """
        return lambda count: self.ask(contender, what, count)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=20)
        if self._process.stdout is not None:
            self._process.stdout.close()


def main() -> None:
    # What contenders print must not get between the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    perform = importlib.import_module(sys.argv[1]).perform
    for line in sys.stdin:
        contender, what, count = json.loads(line)
        try:
            result = perform(contender, what, count)
        except Exception as error:  # noqa: BLE001 - told to the parent, who raises
            result = f"{type(error).__name__}: {error}"
        print(json.dumps(result), file=answers, flush=True)


if __name__ == "__main__":
    main()
