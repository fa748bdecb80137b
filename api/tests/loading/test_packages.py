from __future__ import annotations

import pytest

from opa.errors import PluginImportError, PluginPathError
from opa.loading.packages import BrokenPackageError, find_module
from tests.project import Project


@pytest.fixture
def installed(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    (project.folder / "installed").mkdir()
    monkeypatch.syspath_prepend(project.folder / "installed")
    return project


@pytest.mark.parametrize("name", ["nowhere", "nowhere.inside", "json.nowhere", "sys.inside", "", ".a", "a b"])
def test_a_module_that_is_not_installed_is_not_found(name: str) -> None:
    assert find_module(name, 5) is None


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import requestz", "No module named 'requestz'"),
        ("import acme.missing", "No module named 'acme.missing'"),
        ("raise ValueError('no licence')", "ValueError: no licence"),
        ("import sys; sys.exit(3)", "sys.exit(3)"),
        ("def broken(:", "SyntaxError"),
        ("class Halt(BaseException): ...\nraise Halt('no')", "Halt: no"),
        ("import time; time.sleep(60)", "takes longer than 0.5 s"),
    ],
)
def test_a_package_that_does_not_import_is_reported_with_its_place(installed: Project, code: str, told: str) -> None:
    file = installed.plugin("acme/__init__.py", code, folder="installed")
    installed.plugin("acme/reports.py", folder="installed")
    with pytest.raises(BrokenPackageError) as caught:
        find_module("acme.reports", 0.5)
    assert told in str(caught.value)
    assert f"{file}:" in str(caught.value)


@pytest.mark.parametrize("optional", [True, False])
def test_a_plugin_in_a_broken_package_is_broken_and_not_missing(installed: Project, optional: bool) -> None:
    installed.plugin("acme/__init__.py", "import requestz", folder="installed")
    installed.plugin("acme/reports.py", folder="installed")
    installed.settings(INSTALLED_PLUGINS=[{"NAME": "acme.reports", "OPTIONAL": optional}])
    with pytest.raises(PluginImportError, match="plugin 'reports' does not import: package 'acme' does not import"):
        installed.prepare()
    installed.settings(PLUGIN_FAILURE="skip")
    assert "reports" in installed.prepare().roster.skipped


def test_a_plugin_path_in_a_broken_package_is_one_line(installed: Project) -> None:
    installed.plugin("acme/__init__.py", "1 / 0", folder="installed")
    installed.settings(PLUGIN_PATHS=["acme.stuff:plugins"])
    with pytest.raises(PluginPathError, match="names the package 'acme.stuff', and package 'acme' does not import"):
        installed.prepare()
