from __future__ import annotations

import pytest

from opa.checks.nothing import nothing_from_plugin_paths
from tests.project import Project


def told(project: Project) -> list[str]:
    return [each.problem.replace(str(project.folder), "…") for each in nothing_from_plugin_paths(project.prepare())]


@pytest.mark.parametrize(
    ("files", "settings", "problem"),
    [
        ([], {}, "there is none in '…/plugins'"),
        (["notes.txt", "conftest.py"], {}, "there is none in '…/plugins'"),
        (["a copy.py"], {}, "there is one in '…/plugins', and none is in"),
        (["a.py", "b.py"], {"PLUGIN_WHITELIST_LIST": ["plugins/c"]}, "there are 2 in '…/plugins', and none is in"),
        ([], {"PLUGIN_PATHS": ["/plugins"]}, "there is none in '…/plugins'"),
        ([], {"PLUGIN_PATHS": []}, "PLUGIN_PATHS names none"),
    ],
)
def test_plugin_paths_without_plugins_are_reported(
    project: Project, files: list[str], settings: dict[str, object], problem: str
) -> None:
    for file in files:
        project.plugin(file)
    project.settings(**settings)
    assert told(project) == [f"no plugin is loaded from a plugin path: {problem}"]


def test_a_default_path_that_is_not_there_is_reported(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from opa.loading import find, plugin_paths

    for module in (plugin_paths, find):
        monkeypatch.setattr(module, "DEFAULT_PLUGIN_PATH", "/nowhere/plugins")
    project.plugins.rmdir()
    project.settings(PLUGIN_PATHS=["/nowhere/plugins"])
    assert told(project) == ["no plugin is loaded from a plugin path: '/nowhere/plugins' does not exist"]
    project.settings(INSTALLED_PLUGINS=["tests.project"])  # any module may be a plugin
    assert told(project) == []


def test_a_project_with_one_plugin_is_not_reported_as_having_none(project: Project) -> None:
    project.plugin("a.py")
    (project.folder / "empty").mkdir()
    project.settings(PLUGIN_PATHS=["plugins", "empty"])
    assert told(project) == []


def test_who_has_written_no_plugin_yet_is_told_where_it_goes(project: Project) -> None:
    (finding,) = nothing_from_plugin_paths(project.prepare())
    assert finding.hint.startswith("Put a plugin there")
