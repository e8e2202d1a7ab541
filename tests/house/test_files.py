"""
The house rules that a reader would otherwise check by eye.

Short files that say what they are for, nothing of one person's machine, a lock and
changelog fragments that anyone can use.
"""

from __future__ import annotations

import ast
import os
import re
import tomllib
from itertools import chain
from pathlib import Path
from urllib.parse import urlsplit

import pytest

PROJECT = Path(__file__).resolve().parents[2]
SOURCE = PROJECT / "src" / "yokedcache"
CODE = (
    "src",
    "tests",
    "examples",
    "benchmarks",
    "conformance",
    "consistency",
    "docs",
    "soak",
)
LONGEST_FILE = 400
# Homes and work places of people and machines; system paths are fine.
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:root|Users|work|home/\w+/\w+)/")
TEXT = {".py", ".md", ".toml", ".lua", ".yml", ".yaml", ".cfg", ".sh", ".html", ".txt"}


def tracked(*folders: str) -> list[Path]:
    """
    The files that belong to the project, as far as folders and dots tell.
    """
    roots = [PROJECT / folder for folder in folders]
    files = [file for root in roots for file in root.rglob("*") if file.is_file()]
    return sorted(
        file
        for file in files
        if not {"__pycache__", "_build"} & set(file.relative_to(PROJECT).parts)
    )


def named(files: list[Path]) -> list[str]:
    return [str(file.relative_to(PROJECT)) for file in files]


def python_files(*folders: str) -> list[Path]:
    return [file for file in tracked(*folders) if file.suffix == ".py"]


def test_there_is_something_to_check() -> None:
    assert SOURCE / "errors.py" in python_files("src")
    assert Path(__file__).resolve() in python_files("tests")


def test_files_are_short() -> None:
    lengths = {file: len(file.read_text().splitlines()) for file in python_files(*CODE)}
    long = [file for file, length in lengths.items() if length > LONGEST_FILE]
    assert named(long) == []


def test_modules_say_what_they_are_for() -> None:
    def silent(file: Path) -> bool:
        tree = ast.parse(file.read_text())
        return bool(tree.body) and not ast.get_docstring(tree)

    assert named([file for file in python_files(*CODE) if silent(file)]) == []


def test_docstring_quotes_stand_alone() -> None:
    nodes = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    wrong = [
        f"{file.relative_to(PROJECT)}:{node.body[0].lineno}"
        for file in python_files("src")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, nodes)
        and (text := ast.get_docstring(node, clean=False)) is not None
        and not (text.startswith("\n") and text.rstrip(" ").endswith("\n"))
    ]
    assert wrong == []


def test_every_package_has_its_door() -> None:
    packages = {file.parent for file in python_files("src")}
    bare = [package for package in packages if not (package / "__init__.py").exists()]
    assert named(sorted(bare)) == []


def test_names_no_path_of_one_machine() -> None:
    files = [*tracked(*CODE, "scripts", "changelog", ".ci"), *PROJECT.glob("*.*")]
    texts = [
        file
        for file in files
        if file.is_file() and (file.suffix in TEXT or not file.suffix)
    ]
    assert PROJECT / "pyproject.toml" in texts
    assert named([f for f in texts if MACHINE_PATH.search(f.read_text())]) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("cd {}root/x", True),
        ("'{}work/main'", True),
        ("{}home/ann/code/", True),
        ("{}usr/lib/postgresql", False),
        ("src{}work/", False),
    ],
)
def test_machine_paths_are_recognised(text: str, found: bool) -> None:
    assert bool(MACHINE_PATH.search(text.format("/"))) is found


def test_lock_needs_no_private_index() -> None:
    packages = tomllib.loads((PROJECT / "uv.lock").read_text())["package"]
    sources = {
        next(iter(package["source"].items()))
        for package in packages
        if package["name"] != "yokedcache"
    }
    assert {kind for kind, _ in sources} == {"registry"}
    # one index for all, and files from one host beside it
    assert len(sources) == 1
    files = [
        urlsplit(file["url"])
        for package in packages
        for file in [*package.get("wheels", ()), package.get("sdist")]
        if file
    ]
    assert len({url.netloc for url in files}) == 1
    assert {url.scheme for url in files} == {"https"}
    assert not any("@" in url.netloc or ":" in url.netloc for url in files)


def test_scripts_can_be_executed() -> None:
    scripts = [*tracked("scripts"), PROJECT / ".ci" / "run"]
    assert named([file for file in scripts if not os.access(file, os.X_OK)]) == []


def test_changelog_fragments_are_of_a_known_kind() -> None:
    config = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]
    kinds = {kind["directory"] for kind in config["towncrier"]["type"]}
    pattern = re.compile(rf"(?:\d+|\+[\w-]+)\.(?:{'|'.join(sorted(kinds))})\.md")
    fragments = [file for file in tracked("changelog") if file.name != "README.md"]
    assert named([file for file in fragments if not pattern.fullmatch(file.name)]) == []


def test_lock_was_made_from_this_pyproject() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    extras = project["project"]["optional-dependencies"]
    wanted = [
        *project["project"]["dependencies"],
        *(item for items in [*groups.values(), *extras.values()] for item in items),
    ]
    names = {re.split(r"[^\w-]", item)[0] for item in wanted if isinstance(item, str)}
    packages = tomllib.loads((PROJECT / "uv.lock").read_text())["package"]
    ours = next(item for item in packages if item["name"] == "yokedcache")["metadata"]
    locked = [*ours["requires-dist"], *chain(*ours["requires-dev"].values())]
    assert {item["name"] for item in locked} == names, "run `make lock`"
