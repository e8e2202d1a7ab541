"""
Applications are told apart by the projects that their code lies in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from yokedcache.runtime.application import application, told_by

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    """
    Let nothing be remembered of places that tests change.
    """
    told_by.cache_clear()
    yield
    told_by.cache_clear()


def module(where: Path, name: str) -> tuple[str, str]:
    """
    Write an empty module, and give its file and its name.
    """
    *packages, last = name.split(".")
    for package in packages:
        where /= package
        where.mkdir(parents=True, exist_ok=True)
        (where / "__init__.py").touch()
    where.mkdir(parents=True, exist_ok=True)
    file = where / ("__init__.py" if last == "__init__" else f"{last}.py")
    file.touch()
    return str(file), name.removesuffix(".__init__")


def project(where: Path, text: str = "[project]\nname = 'shop'\n") -> Path:
    where.mkdir(parents=True, exist_ok=True)
    (where / "pyproject.toml").write_text(text)
    return where


def test_all_modules_of_a_project_are_one_application(tmp_path: Path) -> None:
    home = project(tmp_path)
    web = module(home / "src", "shop.web.app")
    worker = module(home / "src", "shop.jobs.worker")
    script = module(home / "scripts", "backfill")
    assert told_by(*web) == told_by(*worker) == told_by(*script)


def test_two_projects_are_two_applications(tmp_path: Path) -> None:
    one = module(project(tmp_path / "one"), "app.cache")
    other = module(project(tmp_path / "other"), "app.cache")
    assert told_by(*one) != told_by(*other)


def test_two_projects_in_one_place_are_told_apart_by_what_they_say(
    tmp_path: Path,
) -> None:
    cache = module(project(tmp_path), "app.cache")
    shop = told_by(*cache)
    told_by.cache_clear()
    project(tmp_path, "[project]\nname = 'blog'\n")
    assert told_by(*cache) != shop


@pytest.mark.parametrize("names", [("app", "cache"), ("web.app", "jobs.tasks.worker")])
def test_modules_that_no_project_holds_are_told_apart_by_their_folder(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    one, other = (module(tmp_path / "one", name) for name in names)
    stranger = module(tmp_path / "other", names[0])
    assert told_by(*one) == told_by(*other) != told_by(*stranger)


def test_two_folders_in_one_place_are_told_apart_by_their_modules(
    tmp_path: Path,
) -> None:
    cache = module(tmp_path, "app.cache")
    alone = told_by(*cache)
    told_by.cache_clear()
    module(tmp_path, "shop.__init__")
    assert told_by(*cache) != alone


def test_of_what_is_installed_the_package_counts(tmp_path: Path) -> None:
    one = module(tmp_path / "one" / "site-packages", "shop.web.app")
    other = module(tmp_path / "other" / "dist-packages", "shop.worker")
    stranger = module(tmp_path / "one" / "site-packages", "blog.app")
    assert told_by(*one) == told_by(*other) != told_by(*stranger)


def test_of_what_is_typed_in_the_folder_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = module(project(tmp_path / "one"), "app.cache")
    project(tmp_path / "other", "")
    monkeypatch.chdir(tmp_path / "one" / "app")
    assert told_by("<stdin>", "__main__") == told_by(*cache)
    told_by.cache_clear()
    monkeypatch.chdir(tmp_path / "other")
    assert told_by("<stdin>", "__main__") != told_by(*cache)


def test_who_calls_the_library_is_asked() -> None:
    assert application() == told_by(__file__, __name__)
