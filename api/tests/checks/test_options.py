from __future__ import annotations

import pytest

from opa.checks.options import options_without_plugin, plugins_of_one_name
from tests.project import Project


def told(project: Project) -> list[str]:
    return [mistake.problem for mistake in options_without_plugin(project.prepare())]


@pytest.mark.parametrize("name", ["my_auth", "my-auth", "My_Auth", "core_docs", "reports"])
def test_options_for_a_plugin_that_is_there_or_may_be_are_not_reported(project: Project, name: str) -> None:
    project.plugin("my_auth.py")
    project.settings(
        PLUGIN_OPTIONS={name: {"READY_TIMEOUT": 3}}, INSTALLED_PLUGINS=[{"NAME": "acme.reports", "OPTIONAL": True}]
    )
    assert told(project) == []


def test_options_for_a_missing_plugin_are_reported(project: Project) -> None:
    project.settings(PLUGIN_OPTIONS={"my_auth": {"READY_TIMEOUT": 3}})
    assert told(project) == ["PLUGIN_OPTIONS has 'my_auth', and there is no plugin of this name"]


def test_options_are_found_by_a_name_that_is_the_same_for_packages(project: Project) -> None:
    project.plugin("my_auth.py")
    project.settings(PLUGIN_OPTIONS={"My-Auth": {"READY_TIMEOUT": 3}})
    assert project.prepare().roster.policy.limit("my_auth", "READY") == 3


def test_options_for_a_file_that_is_no_plugin_by_its_name_say_so(project: Project) -> None:
    project.plugin("test_report.py")
    project.settings(PLUGIN_OPTIONS={"test_report": {"READY_TIMEOUT": 3}})
    (mistake,) = options_without_plugin(project.prepare())
    assert mistake.hint.startswith("test_report.py is not loaded as a plugin")


@pytest.mark.parametrize("name", ["core_cors", "Core-Cors"])
def test_options_for_a_plugin_that_has_become_a_setting_name_the_setting(project: Project, name: str) -> None:
    project.settings(PLUGIN_OPTIONS={name: {"READY_TIMEOUT": 3}})
    (mistake,) = options_without_plugin(project.prepare())
    assert mistake.hint.startswith("CORS is no longer a plugin: the setting ALLOW_ORIGINS turns it on")


def test_plugins_that_settings_do_not_tell_apart_are_reported(project: Project) -> None:
    for name in ("my-shop", "my_shop", "shop"):
        project.plugin(f"{name}.py")
    (mistake,) = plugins_of_one_name(project.prepare())
    assert (
        mistake.problem == "the names of the plugins 'my-shop' and 'my_shop' are one for variables and for requirements"
    )
    assert mistake.plugin == "my_shop"
