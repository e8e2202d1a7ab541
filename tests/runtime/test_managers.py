"""
What says that a process is one of several workers.
"""

from __future__ import annotations

import multiprocessing
import sys
from types import ModuleType, SimpleNamespace

import pytest

from yokedcache.runtime.managers import _reloads, worker_manager


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    assert worker_manager() is None


@pytest.mark.parametrize("number", ["1", "", "many"])
def test_one_worker_is_none_of_several(
    monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", number)
    assert worker_manager() is None


def test_a_number_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    assert worker_manager() == "WEB_CONCURRENCY is 4"


def test_gunicorn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gunicorn.arbiter", ModuleType("arbiter"))
    assert "gunicorn" in (worker_manager() or "")


@pytest.mark.parametrize("number", [1, 2])
def test_uwsgi(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    uwsgi = SimpleNamespace(numproc=number)
    monkeypatch.setitem(sys.modules, "uwsgi", uwsgi)  # type: ignore[arg-type]
    assert (worker_manager() is None) is (number == 1)


def test_a_child_of_multiprocessing() -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        assert "multiprocessing" in (pool.apply(worker_manager) or "")


def test_a_server_that_reloads_has_one_child_at_a_time() -> None:
    config = type("Config", (), {"__module__": "uvicorn.config", "should_reload": True})
    child = SimpleNamespace(_kwargs={"config": config()})
    assert _reloads(child)
    config.should_reload = False  # type: ignore[attr-defined]
    assert not _reloads(child)
    assert not _reloads(SimpleNamespace(_kwargs={"config": SimpleNamespace()}))
