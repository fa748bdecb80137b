"""What is found before anything is imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from opa.loading import find, plugin_paths
from opa.loading.plugin_paths import (
    DEFAULT_PLUGIN_PATH,
    LOCAL_PLUGIN_PATH,
    taken_plugin_paths,
    trusted_plugin_paths,
)
from tests.project import Project


def test_a_folder_of_plugins_that_is_made_while_others_are_looked_at_is_not_used(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder such as /tmp another user can make it, and root would run what that one has written."""

    def then_make_it(config: Any) -> list[Path]:
        found = taken_plugin_paths(config)
        Path(LOCAL_PLUGIN_PATH).mkdir()
        return found

    monkeypatch.setattr(plugin_paths, "taken_plugin_paths", then_make_it)
    elsewhere = project.folder / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    project.settings(PLUGIN_PATHS=[DEFAULT_PLUGIN_PATH])
    assert trusted_plugin_paths(project.config()) == [DEFAULT_PLUGIN_PATH]


def test_no_plugin_is_imported(project: Project) -> None:
    project.plugin("shop.py", "raise RuntimeError")
    project.plugin("out.py", "raise RuntimeError")
    project.settings(PLUGIN_BLACKLIST_LIST=["plugins/out"])

    found = find.find(project.config())
    assert {each.plugin.name: each.load for each in found.decisions if not each.plugin.is_built_in} == {
        "out": False,
        "shop": True,
    }
