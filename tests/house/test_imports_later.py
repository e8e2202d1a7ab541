"""
Values are treated alike, whether their classes were imported before the cache or after.

The library imports none of the standard library's modules of values by itself.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from yokedcache.core import copiers
from yokedcache.core.copiers import ATOMS, meet_imported

if TYPE_CHECKING:
    import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"

UNWANTED = {
    *("copy", "dataclasses", "decimal", "fractions", "inspect", "ipaddress"),
    *("pathlib", "platform", "string", "urllib.parse", "uuid", "zoneinfo"),
}

# How a value alone and one in a row of a table are copied.
ATOM = [None, "_copy_table"]
FIXED = [None, "copy_tree"]
UNKNOWN = ["copier", "copier"]

KNOWN = {
    "decimal.Decimal('1.00')": ("d4:1.00", ATOM),
    "decimal.Decimal('NaN12')": ("d5:NaN12", ATOM),
    "Number('1.50')": ("SCf:__main__:Numberd4:1.50a0:", UNKNOWN),
    "fractions.Fraction(1, 3)": ("r1/3;", ATOM),
    "Half(1, 2)": ("SCd:__main__:Halfr1/2;a0:", UNKNOWN),
    "uuid.UUID(int=7)": ("u" + "\0" * 15 + "\7", ATOM),
    "Id(int=7)": ("SCb:__main__:Idu" + "\0" * 15 + "\7a0:", FIXED),
    "zoneinfo.ZoneInfo('UTC')": ("Z3:UTC", ATOM),
    "ipaddress.ip_address('1.0.0.1')": ("xb:IPv4Addresss7:1.0.0.1", ATOM),
    "ipaddress.ip_address('::1')": ("xb:IPv6Addresss3:::1", ATOM),
    "ipaddress.ip_network('1.0.0.0/8')": ("xb:IPv4Networks9:1.0.0.0/8", ATOM),
    "ipaddress.ip_network('fe80::/10')": ("xb:IPv6Networks9:fe80::/10", ATOM),
    "ipaddress.ip_interface('1.0.0.1/8')": ("xd:IPv4Interfaces9:1.0.0.1/8", ATOM),
    "ipaddress.ip_interface('fe80::1/10')": ("xd:IPv6Interfacesa:fe80::1/10", ATOM),
    "pathlib.PurePosixPath('a/b')": ("xd:PurePosixPaths3:a/b", FIXED),
    "pathlib.PureWindowsPath('a/b')": ("xf:PureWindowsPaths3:a\\b", FIXED),
    "pathlib.PosixPath('a')": ("x9:PosixPaths1:a", FIXED),
    "Place('a')": ("SCe:__main__:Placex5:Places1:aa0:", FIXED),
    "Home('a')": ("SCd:__main__:Homex4:Homes1:aa0:", FIXED),
}
"""Values, what stands for them in keys, and how they are copied."""

MODULES = "import decimal, fractions, ipaddress, pathlib, uuid, zoneinfo"

EARLIER = "from yokedcache.core.values import isolate; isolate([object()])"

CLASSES = """
import json, sys
from yokedcache.core.keys import canonical
from yokedcache.core.values import isolate

class Number(decimal.Decimal):
    def __str__(self):
        return "?"

class Half(fractions.Fraction): pass
class Id(uuid.UUID): pass
class Place(pathlib.PurePosixPath): pass
class Home(pathlib.PosixPath): pass

def copied(value):
    copier = isolate(value).copier
    return None if copier is None else copier.__name__
"""

THROUGH = """
calls = []

@yokedcache.cached(cache=yokedcache.YokedCache())
def given(value):
    calls.append(value)
    return [value, {"in": (value,)}]

def same(one, other):
    return type(one) is type(other) and (one == other or one != one)

def facts(value):
    first, second = given(value), given(value)
    assert len(calls) == 1, "the second call is a hit"
    calls.clear()
    assert second is not first and second[1] is not first[1]
    assert all(same(one, value) for one in (first[0], second[0], second[1]["in"][0]))
    return canonical(value).decode("latin-1"), [copied(value), copied([{"k": value}])]

print(json.dumps({text: facts(eval(text)) for text in json.loads(sys.argv[1])}))
"""


def run(program: str, *arguments: str) -> Any:
    """
    Run a program in a fresh interpreter that has this source and nothing installed.
    """
    done = subprocess.run(
        [sys.executable, "-S", "-P", "-c", program, *arguments],
        env={"PYTHONPATH": str(SOURCE)},
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_no_module_of_values_is_imported() -> None:
    program = "import json, sys, yokedcache; print(json.dumps(list(sys.modules)))"
    loaded = set(run(program))
    assert "yokedcache" in loaded
    assert UNWANTED & loaded == set()


def test_values_of_classes_imported_later_are_treated_like_others() -> None:
    expected = {text: [key, copied] for text, (key, copied) in KNOWN.items()}
    texts = json.dumps(list(KNOWN))
    for imports in (
        f"{MODULES}\nimport yokedcache",
        f"import yokedcache\n{MODULES}",
        # a class that was asked for in vain is asked for again
        f"import yokedcache\n{EARLIER}\n{MODULES}",
    ):
        assert run(f"{imports}\n{CLASSES}\n{THROUGH}", texts) == expected


def test_the_first_value_of_a_class_is_copied_as_fast_as_later_ones() -> None:
    for text, (_, copied) in KNOWN.items():
        program = (
            f"import yokedcache\n{MODULES}\n{CLASSES}\n"
            f"print(json.dumps(copied([{{'k': {text}}}])))"
        )
        assert run(program) == copied[1], text


def test_a_module_half_imported_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("yokedcache_test_half")
    one, other = type("One", (), {}), type("Other", (), {})
    vars(module)["One"] = one
    monkeypatch.setitem(sys.modules, module.__name__, module)
    names = frozenset({"One", "Other"})
    monkeypatch.setattr(copiers, "_awaited", {module.__name__: names})
    try:
        assert meet_imported()
        assert one in ATOMS
        assert not meet_imported()
        vars(module)["Other"] = other
        assert meet_imported()
        assert other in ATOMS
        assert copiers._awaited == {}
    finally:
        ATOMS.difference_update({one, other})
