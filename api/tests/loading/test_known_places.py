"""Plugins are imported from where they were found."""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from opa.loading.known_places import KnownPlaces
from tests.project import Project


def test_a_plugin_is_not_looked_for_in_the_entries_before_its_path(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_for: list[str] = []

    class Entry:
        def __init__(self, path: str) -> None:
            if path != str(tmp_path / "before"):
                raise ImportError

        def find_spec(self, name: str, _target: object = None) -> None:
            looked_for.append(name)

    monkeypatch.setattr(sys, "path_hooks", [Entry, *sys.path_hooks])
    project.plugin("shop.py", "import known_places_stock")
    project.plugin("known_places_stock.py", "import plain_helper")
    project.plugin("plain_helper.py", "", folder="helpers")
    monkeypatch.syspath_prepend(str(tmp_path / "helpers"))
    monkeypatch.syspath_prepend(str(tmp_path / "before"))
    project.plugin("bank/__init__.py", "from bank import rates")
    project.plugin("bank/rates.py", "")
    with project.client():
        assert {"shop", "known_places_stock", "bank", "bank.rates"} <= {*sys.modules}
        spec = sys.modules["bank"].__spec__
    assert spec is not None
    assert spec.submodule_search_locations == [str(project.folder / "plugins" / "bank")]
    assert {"shop", "known_places_stock", "bank", "bank.rates"}.isdisjoint(looked_for)
    assert "plain_helper" in looked_for


def test_finders_of_others_come_first_and_there_is_one_of_ours(project: Project) -> None:
    project.plugin("shop.py", "")
    for _ in range(2):
        with project.client():
            ours = [finder for finder in sys.meta_path if isinstance(finder, KnownPlaces)]
            assert len(ours) == 1
            finders: list[object] = [*sys.meta_path]
            assert finders.index(ours[0]) == finders.index(PathFinder) - 1


def test_a_plugin_is_found_only_while_its_path_is_in_use(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.plugin("shop.py", "")
    with project.client():
        assert importlib.import_module("shop")
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(project.folder / "plugins")])
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("shop")
