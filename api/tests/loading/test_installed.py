from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from opa.errors import PluginPathError, RequirementError
from tests.project import Project


@pytest.fixture
def site(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages: `acme` 1.4 with the plugin `acme.reports`, announced as an entry point."""
    folder = project.folder / "site"
    monkeypatch.syspath_prepend(str(folder))
    project.plugin("acme/__init__.py", folder="site")
    project.plugin(
        "acme/reports/__init__.py",
        "from opa import get_router\nrouter = get_router()\nrouter.get('/reports')(lambda: 'acme')",
        folder="site",
    )
    info = "acme-1.4.dist-info"
    project.plugin(f"{info}/METADATA", "Metadata-Version: 2.1\nName: acme\nVersion: 1.4\n", folder="site")
    project.plugin(f"{info}/entry_points.txt", "[opa.plugins]\nreports = acme.reports\n", folder="site")
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "acme"]:
        del sys.modules[name]


def loaded(project: Project) -> list[str]:
    objects = project.prepare().registry.objects
    return [found.plugin.name for found in objects if not found.plugin.file.is_built_in]


def test_a_package_that_announces_a_plugin_is_found(project: Project, site: Path) -> None:
    with project.client() as client:
        assert client.get("/reports").json() == "acme"


def test_the_finding_can_be_turned_off(project: Project, site: Path) -> None:
    project.settings(PLUGIN_AUTOLOAD=False)
    assert loaded(project) == []


def test_a_plugin_can_be_named_in_the_settings(project: Project, site: Path) -> None:
    project.settings(PLUGIN_AUTOLOAD=False, INSTALLED_PLUGINS=["acme.reports"])
    assert loaded(project) == ["reports"]


def test_named_ones_come_in_their_order_behind_those_of_the_folders_and_stand_once(
    project: Project, site: Path
) -> None:
    project.plugin("zebra.py")
    project.plugin("second.py", folder="site")
    project.settings(INSTALLED_PLUGINS=["second", "acme.reports"])
    assert loaded(project) == ["zebra", "second", "reports"]


def test_a_plugin_in_a_folder_wins_over_an_installed_one_of_its_name(project: Project, site: Path) -> None:
    project.plugin("reports.py")
    (decision,) = [found for found in project.prepare().decisions if found.plugin.name == "reports"]
    assert decision.plugin.folder == project.plugins
    assert decision.plugin.shadows == (site / "acme" / "reports" / "__init__.py",)


def test_the_filters_match_the_dotted_name(project: Project, site: Path) -> None:
    project.settings(PLUGIN_BLACKLIST_LIST=["acme.reports"])
    assert loaded(project) == []
    project.settings(PLUGIN_BLACKLIST_LIST=[], PLUGIN_WHITELIST_RE=r"acme\.")
    assert loaded(project) == ["reports"]


def test_its_version_is_that_of_its_package(project: Project, site: Path) -> None:
    project.plugin("a.py")
    project.meta("a-meta.json", {"requires": ["reports>=1.4"]})
    assert loaded(project) == ["reports", "a"]
    project.meta("a-meta.json", {"requires": ["reports>=2"]})
    with pytest.raises(RequirementError, match=r"plugin 'reports' .* is version 1.4"):
        project.prepare()


def test_a_listed_package_that_is_not_installed_stops_the_start(project: Project) -> None:
    project.settings(INSTALLED_PLUGINS=["nowhere.reports"])
    with pytest.raises(PluginPathError, match=r"'nowhere.reports' is not installed \(setting INSTALLED_PLUGINS\)"):
        project.prepare()


def test_an_optional_package_that_is_not_installed_is_skipped_with_a_warning(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.settings(INSTALLED_PLUGINS=[{"name": "nowhere.reports", "optional": True}])
    assert loaded(project) == []
    assert "the optional plugin 'nowhere.reports'" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["acme.gone", "acme reports!", "a b"])
def test_an_entry_point_that_names_no_module_is_told_with_its_package(project: Project, site: Path, value: str) -> None:
    project.plugin("acme-1.4.dist-info/entry_points.txt", f"[opa.plugins]\nreports = {value}\n", folder="site")
    with pytest.raises(PluginPathError, match=f"entry point 'reports' of opa.plugins names '{value}'.*\\(acme\\)"):
        project.prepare()


def test_settings_may_name_an_optional_plugin_that_is_not_installed(project: Project) -> None:
    project.component("REPORTS", "reports", load="auto")
    project.settings(
        INSTALLED_PLUGINS=[{"NAME": "acme.reports", "OPTIONAL": True}],
        ACCESS={"reports": "admin"},
        RATE_LIMITS={"reports": "10/minute"},
    )
    state = project.app().manager.component_states["reports"]
    assert str(state) == "not loaded: no plugin that is in has its driver 'reports'; not there: 'acme.reports'"
