"""
A path at which there can't be a file of the cache's: why, and what helps.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.files import on, path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from yokedcache import YokedCache

__all__ = ["on", "path"]

pytestmark = pytest.mark.timeout(120)

AS_NOBODY: Final = """
import json, logging, os, sys
from pathlib import Path
from yokedcache import YokedCache
from yokedcache.runtime import log
from yokedcache.testing.stores.processes import wait_until

said = []
class Ear(logging.Handler):
    def emit(self, record):
        said.append(record.getMessage())
logging.getLogger("yokedcache").addHandler(Ear())

folder = Path(sys.argv[1])
ours = YokedCache(f"sqlite:///{folder}/ours.db", lease=0.2, store_timeout=5)
wait_until(lambda: ours.sync.set("a", 1))
assert ours.sync.get_or_set("b", lambda: 3) == 3  # imports what is imported late
ours.sync.close()
(folder / "shut").mkdir(mode=0o700)
(folder / "read").mkdir()
(folder / "theirs.db").write_text("x")
(folder / "locked.db-lock").touch()
for name in ("theirs.db", "locked.db-lock"):
    (folder / name).chmod(0o600)
(folder / "shut" / "within").mkdir()
if os.getuid() == 0:
    folder.chmod(0o755)
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
else:
    for name in ("shut", "theirs.db", "locked.db-lock"):
        (folder / name).chmod(0)
    for name in ("read", "ours.db"):
        (folder / name).chmod(0o555)
found = {}
for name in json.loads(sys.argv[2]):
    said.clear(), log.forget()
    cache = YokedCache(f"sqlite:///{folder}/{name}", store_timeout=5)
    assert cache.sync.get_or_set("a", lambda: 5) == 5
    found[name] = said[0]
    if name == "ours.db":
        cache.sync.set("b", 1)
        found[name] = said[-1]
    cache.sync.close()
print(json.dumps([os.geteuid(), found]))
"""


@pytest.fixture
def folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as made:
        yield made
        for shut in Path(made).iterdir():
            shut.chmod(0o700)


def test_who_may_not_do_what(folder: str) -> None:
    expected = {
        "read/cache.db": f"may not write in the directory {folder}/read",
        "shut/cache.db": f"may not enter the directory {folder}/shut",
        "shut/within/cache.db": f"may not enter the directory {folder}/shut",
        "theirs.db": f"may not read and write the file {folder}/theirs.db",
        "locked.db": f"may not read and write the file {folder}/locked.db-lock",
        "ours.db": f"may not read and write the file {folder}/ours.db",
    }
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            AS_NOBODY,
            folder,
            json.dumps([*expected]),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    user, found = json.loads(done.stdout)
    for name, said in expected.items():
        assert f"the user of this process ({user}) {said}" in found[name], name
        assert "take another path, or give it that right" in found[name], name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing/cache.db", "/missing: make it, or take another path"),
        ("text/cache.db", "/text is none: take another path"),
        ("folder", "/folder is a directory: name a file in it"),
        ("x" * 300, "its name is too long, 300 bytes of at most 242: take a shorter"),
        ("x" * 250, "its name is too long, 250 bytes of at most 242: take a shorter"),
        ("é" * 125, "its name is too long, 250 bytes of at most 242: take a shorter"),
        (f"{'x' * 240}/{'x' * 240}/x", "its path is too long"),
    ],
)
def test_what_there_is_instead(
    path: Path,
    on: Callable[..., YokedCache],
    caplog: pytest.LogCaptureFixture,
    name: str,
    said: str,
) -> None:
    path.with_name("text").write_text("")
    path.with_name("folder").mkdir()
    cache = on(path.parent / name)
    assert cache.sync.get_or_set("a", lambda: 5) == 5
    assert said in caplog.text
    assert "a fault of yokedcache" not in caplog.text


def test_the_longest_name_does(path: Path, on: Callable[..., YokedCache]) -> None:
    cache = on(path.with_name("x" * 242))
    assert cache.sync.get("a", "nothing") == "nothing"
    assert cache.stats().store_failures == 0
