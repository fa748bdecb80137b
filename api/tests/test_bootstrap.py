"""What is said while an application is prepared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from opa import bootstrap
from opa.loading.plugin_paths import DEFAULT_PLUGIN_PATH, LOCAL_PLUGIN_PATH, taken_plugin_paths
from opa.logging.logger import log
from tests.project import Project


def test_the_log_names_a_built_in_plugin_where_a_filter_refused_it(project: Project) -> None:
    project.plugin("hello.py")
    project.settings(PLUGIN_BLACKLIST_RE=".*/core_docs")
    written: list[str] = []
    sink = log.add(written.append, level="DEBUG", format="{message}")
    try:
        project.prepare()
    finally:
        log.remove(sink)
    (said,) = [line for line in written if line.startswith("plugin")]
    assert "/core_docs: skipped" in said


def test_a_folder_of_plugins_that_is_made_while_others_are_looked_at_is_not_used(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder such as /tmp another user can make it, and root would run what that one has written."""

    def then_make_it(config: Any) -> list[Path]:
        found = taken_plugin_paths(config)
        Path(LOCAL_PLUGIN_PATH).mkdir()
        return found

    monkeypatch.setattr(bootstrap, "taken_plugin_paths", then_make_it)
    elsewhere = project.folder / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    project.settings(PLUGIN_PATHS=[DEFAULT_PLUGIN_PATH])
    assert bootstrap._plugin_paths(project.config()) == [DEFAULT_PLUGIN_PATH]
