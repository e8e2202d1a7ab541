"""
What the package asks of servers, and what importing it needs.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from yokedcache.stores import redis as package
from yokedcache.stores.redis.lua import ALONE, NAMES, SCRIPTS

FOLDER = Path(package.__file__).parent

WITHOUT_A_CLIENT = """
import sys
sys.modules["redis"] = None
import yokedcache.stores.redis.commands
import yokedcache.stores.redis.changes
try:
    import yokedcache.stores.redis.sync
except ModuleNotFoundError as error:
    print(error.name)
"""


def test_nothing_asks_for_all_keys() -> None:
    folder = Path(package.__file__).parent
    files = [*folder.rglob("*.py"), *folder.rglob("*.lua")]
    assert len(files) > 15
    said = re.compile(r"""b?["'](KEYS|SCAN|FLUSHALL|FLUSHDB)\b|\.(keys|scan_iter)\(""")
    assert [file.name for file in files if said.search(file.read_text())] == []
    assert said.search('command(b"KEYS", b"*")')


def test_every_script_has_its_file_and_every_file_is_sent() -> None:
    files = {file.stem for file in (FOLDER / "scripts").iterdir()}
    assert files == {*NAMES, "common", "read"}
    assert len({script.digest for script in SCRIPTS.values()}) == len(NAMES)
    for name, script in SCRIPTS.items():
        assert (b"local function draw" in script.text) is (name not in ALONE)


def test_a_script_touches_the_keys_that_it_is_given_alone() -> None:
    asked = re.compile(r"redis\.p?call\('\w+'(?:, ([\w\[\] +#]+))?")
    for script in SCRIPTS.values():
        keys = {key for key in asked.findall(script.text.decode()) if key}
        assert keys <= {"key", "KEYS[1]", "KEYS[i]", "KEYS[#KEYS]"}


def test_only_the_drivers_need_the_client_library() -> None:
    done = subprocess.run(
        [sys.executable, "-s", "-P", "-c", WITHOUT_A_CLIENT],
        env={"PYTHONPATH": str(FOLDER.parents[2])},
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.stderr == ""
    assert done.stdout.split() == ["redis"]
