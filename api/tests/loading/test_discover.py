from __future__ import annotations

from pathlib import Path

import pytest

from opa.errors import MetadataError, PluginPathError
from opa.loading.discover import BUILT_IN_FOLDER, find_plugins, first_of_each_name, plugin_folders
from tests.project import Project


def names(*folders: Path) -> list[str]:
    return [plugin.name for plugin in find_plugins(folders)]


def test_modules_and_packages_are_plugins_and_other_files_are_not(project: Project) -> None:
    project.plugin("module.py")
    project.plugin("package/__init__.py")
    project.plugin("no_package/file.py")
    project.plugin("notes.txt")
    project.meta("module-meta.json", {})
    assert names(project.plugins) == ["module", "package"]


def test_plugins_come_in_the_order_of_the_paths_and_then_of_their_names(project: Project) -> None:
    project.plugin("b.py")
    project.plugin("c.py")
    project.plugin("a.py", folder="more")
    assert names(project.plugins, project.folder / "more") == ["b", "c", "a"]


def test_the_first_plugin_of_a_name_wins_and_remembers_the_ones_it_hides(project: Project) -> None:
    project.plugin("same.py")
    hidden = project.plugin("same.py", folder="more")
    (plugin,) = first_of_each_name(find_plugins([project.plugins, project.folder / "more"]))
    assert plugin.folder == project.plugins
    assert plugin.shadows == (hidden,)


def test_metadata_of_a_module_and_of_a_package_are_read(project: Project) -> None:
    project.plugin("module.py")
    project.meta("module-meta.json", {"tags": ["a"]})
    project.plugin("package/__init__.py")
    project.meta("package/meta.json", {"tags": ["b", "c"]})
    assert [plugin.metadata.tags for plugin in find_plugins([project.plugins])] == [{"a"}, {"b", "c"}]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{\n "tags": [,]}', "not valid JSON"),
        ("[]", "is a list, not an object"),
        ('{"tags": "one"}', "not a list of strings"),
    ],
)
def test_bad_metadata_is_an_error_that_names_the_file(project: Project, text: str, problem: str) -> None:
    project.plugin("module.py")
    file = project.plugin("module-meta.json", text)
    with pytest.raises(MetadataError) as caught:
        project.prepare()
    assert problem in str(caught.value)
    assert str(file) in str(caught.value)


def test_bad_json_is_reported_with_its_line(project: Project) -> None:
    project.plugin("module.py")
    file = project.plugin("module-meta.json", '{\n "tags": [,]}')
    with pytest.raises(MetadataError, match=f"{file}:2"):
        project.prepare()


def test_the_built_in_folder_is_always_last_and_stands_once(project: Project) -> None:
    assert plugin_folders([str(BUILT_IN_FOLDER), "plugins", "./plugins"]) == (
        project.plugins,
        BUILT_IN_FOLDER,
    )


def test_a_path_may_lie_inside_an_installed_package() -> None:
    assert plugin_folders(["opa:demo-plugins"])[0] == BUILT_IN_FOLDER.parent / "demo-plugins"


@pytest.mark.parametrize("path", ["nowhere", "nopackage:plugins", "opa:nowhere", "file.txt"])
def test_a_path_that_is_no_folder_is_an_error_that_names_it(project: Project, path: str) -> None:
    project.plugin("file.txt", folder=".")
    with pytest.raises(PluginPathError, match=f"'{path}'.*PLUGIN_PATHS"):
        plugin_folders([path])


def test_a_default_path_may_be_missing() -> None:
    assert plugin_folders(["/nowhere/at/all"], may_be_missing=["/nowhere/at/all"]) == (BUILT_IN_FOLDER,)


def test_the_folder_plugins_takes_the_place_of_a_default_path_that_is_not_there(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from opa.loading import plugin_paths

    monkeypatch.setattr(plugin_paths, "DEFAULT_PLUGIN_PATH", "/nowhere/plugins")
    project.plugin("hello.py")
    project.settings(PLUGIN_PATHS=["/nowhere/plugins"])
    assert project.prepare().decisions[0].plugin.file == project.plugins / "hello.py"
