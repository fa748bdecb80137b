"""`Framework`: groups and settings for a program that no server runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from opa import Framework, Schema, get_plugins
from opa.core.running import set_running
from opa.errors import GroupError, NotRunningError, PluginError, PluginImportError
from tests.project import Project

THINGS = """
def first():
    return "first"

def second():
    return "second"
"""


@pytest.fixture
def things(project: Project) -> Project:
    project.plugin("things.py", THINGS)
    project.settings(PLUGINS={"hooks": ["things.second", "things.first"]}, MAIL_CONFIG={"host": "here", "port": 25})
    return project


def test_a_framework_has_the_groups_in_order_and_read_only(things: Project) -> None:
    framework = Framework()
    assert list(framework.plugins) == ["hooks"]
    assert len(framework.plugins) == 1
    assert [hook() for hook in framework.plugins["hooks"].values()] == ["second", "first"]
    assert framework.plugins["hooks"] is get_plugins("hooks")
    with pytest.raises(TypeError):
        framework.plugins["more"] = {}  # type: ignore[index]


def test_a_group_without_members_is_not_there(things: Project) -> None:
    framework = Framework()
    assert "cache" not in framework.plugins
    assert framework.plugins.get("cache", {}) == {}
    with pytest.raises(KeyError):
        framework.plugins["cache"]


def test_settings_are_where_a_program_for_spoc_looks_and_can_be_given_on_as_keywords(things: Project) -> None:
    def connect(host: str, port: int) -> tuple[str, int]:
        return host, port

    assert connect(**Framework().config.settings.MAIL_CONFIG) == ("here", 25)


def test_its_importer_finds_what_a_uri_names(things: Project) -> None:
    importer = Framework().importer
    assert importer.load_from_uri("things.first")() == "first"
    with pytest.raises(
        GroupError, match="'things.frist': module 'things' has no attribute 'frist', did you mean 'first'"
    ):
        importer.load_from_uri("things.frist")


def test_the_schema_names_submodules_and_subpackages_that_are_imported_with_each_package(project: Project) -> None:
    registering = "from opa import register\n@register('{0}')\nclass {0}: pass\n"
    project.plugin("shop/__init__.py")
    project.plugin("shop/models.py", registering.format("Order"))
    project.plugin("shop/views/__init__.py", registering.format("Page"))
    project.plugin("shop/other.py", registering.format("Other"))
    project.plugin("plain/__init__.py")
    assert list(Framework().plugins) == []
    assert sorted(Framework(schema=Schema(modules=["models", "views"])).plugins) == ["order", "page"]


def test_a_submodule_that_does_not_import_is_an_error_of_its_plugin(project: Project) -> None:
    file = project.plugin("shop/models.py", "import nowhere_to_be_found")
    project.plugin("shop/__init__.py")
    with pytest.raises(PluginImportError, match=rf"models.py of plugin 'shop' does not import: .*{file}:1"):
        Framework(schema=Schema(modules=["models"]))


def test_relative_paths_start_at_base_dir(tmp_path: Path, things: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPA_SETTINGS_DIR")
    things.settings(PLUGIN_PATHS=["plugins"])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert list(Framework(base_dir=tmp_path).plugins["hooks"]) == ["things.second", "things.first"]
    assert Path.cwd() == elsewhere


def test_inside_an_application_it_is_that_of_the_application(things: Project) -> None:
    things.plugin(
        "main.py",
        """
        from opa import Framework, get_router

        router = get_router()
        seen = []

        def ready():
            seen.extend(Framework.current().plugins["hooks"])

        @router.get("/seen")
        def show():
            return [seen, list(Framework.current().plugins["hooks"])]
        """,
    )
    with things.client() as client:
        assert client.get("/seen").json() == [["things.second", "things.first"]] * 2


@pytest.mark.parametrize(
    "text",
    ["from opa import Framework\nframework = Framework()", "from opa import Framework\ndef ready():\n    Framework()"],
    ids=["while it is imported", "in ready"],
)
def test_a_plugin_cannot_make_one(project: Project, text: str) -> None:
    project.plugin("main.py", text)
    words = r"a Framework cannot be made inside an application .*Framework\.current\(\)"
    with pytest.raises(PluginError, match=words), project.client():
        pass


def test_framework_current_raises_where_nothing_was_prepared() -> None:
    set_running(None)
    with pytest.raises(NotRunningError):
        Framework.current()


def test_each_sees_the_groups_of_its_own_application(things: Project) -> None:
    first: Any = Framework()
    things.settings(PLUGINS={"other": ["things.first"]})
    second = Framework()
    assert (list(first.plugins), list(second.plugins)) == (["hooks"], ["other"])
