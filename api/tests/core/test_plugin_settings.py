from __future__ import annotations

import importlib

import pytest

from opa.errors import RegistrationError, SettingsError
from tests.project import Project

REPORTS = """
from typing import Annotated
from pydantic import SecretStr
from opa import PluginSettings, get_router

class Reports(PluginSettings):
    url: str
    token: SecretStr = SecretStr("")
    retries: int = 3

AT_IMPORT = Reports.current().url
router = get_router()

@router.get("/reports")
def reports(settings: Annotated[Reports, Reports.depends()]):
    return [settings.url, settings.retries, Reports.current() is settings, AT_IMPORT, str(settings.token)]
"""


def mistakes(project: Project) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        project.prepare()
    return caught.value.mistakes


def test_plugin_settings_are_typed_by_attribute_by_depends_and_during_the_import(project: Project) -> None:
    project.plugin("reports.py", REPORTS)
    project.settings(PLUGIN_SETTINGS={"reports": {"url": "http://a", "token": "hunter2", "retries": "5"}})
    with project.client() as client:
        assert client.get("/reports").json() == ["http://a", 5, True, "http://a", "**********"]


def test_plugin_settings_come_from_every_layer_of_the_configuration(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.plugin("reports.py", REPORTS)
    project.settings(PLUGIN_SETTINGS={"reports": {"url": "http://a"}})
    project.plugin("more.yaml", "default:\n  PLUGIN_SETTINGS:\n    reports:\n      retries: 7\n", folder="settings")
    monkeypatch.setenv("OPA_PLUGIN_SETTINGS__REPORTS__URL", "http://b")
    with project.client() as client:
        assert client.get("/reports").json()[:2] == ["http://b", 7]


def test_a_type_that_only_the_type_checker_knows_is_told_with_what_to_do(project: Project) -> None:
    project.plugin(
        "one.py",
        """
        from __future__ import annotations
        from typing import TYPE_CHECKING
        from opa import PluginSettings
        if TYPE_CHECKING:
            from datetime import timedelta

        class S(PluginSettings):
            every: timedelta | None = None
        """,
    )
    told = (
        r"the settings of plugin 'one' have the type timedelta, which is not there .*one.py:\d\).* 'if TYPE_CHECKING'"
    )
    with pytest.raises(RegistrationError, match=told):
        project.prepare()


def test_every_mistake_of_every_plugin_is_reported_at_once(project: Project) -> None:
    for name in ("one", "two"):
        project.plugin(f"{name}.py", "from opa import PluginSettings\nclass S(PluginSettings):\n  number: int\n")
    project.settings(PLUGIN_SETTINGS={"one": {"number": "x", "nmber": 1}, "tow": {}})
    found = mistakes(project)
    assert len(found) == 4
    assert any(line.startswith("PLUGIN_SETTINGS.one.number: ") and "00-test.json" in line for line in found)
    meant = "PLUGIN_SETTINGS.one.nmber: is not a setting of this plugin; did you mean number? "
    assert any(line.startswith(meant) for line in found)
    assert any(line.startswith("PLUGIN_SETTINGS.two.number: Field required") for line in found)
    assert any(line.startswith("PLUGIN_SETTINGS.tow: there is no plugin of this name") for line in found)


def test_a_secret_is_in_no_message(project: Project) -> None:
    project.plugin("one.py", "from opa import PluginSettings\nclass S(PluginSettings):\n  password: int\n")
    project.settings(PLUGIN_SETTINGS={"one": {"password": "hunter2"}})
    assert "hunter2" not in "".join(mistakes(project))


def test_a_secret_of_the_model_is_shown_neither_in_a_mistake_nor_by_opa_config(project: Project) -> None:
    from typer.testing import CliRunner

    from opa.cli.commands import app

    project.plugin(
        "one.py",
        "from pydantic import SecretStr\nfrom opa import PluginSettings\n"
        "class S(PluginSettings):\n  pin: SecretStr\n  color: str = ''\n",
    )
    project.settings(PLUGIN_SETTINGS={"one": {"pin": 4711}})
    assert "4711" not in "".join(mistakes(project))
    project.settings(PLUGIN_SETTINGS={"one": {"pin": "4711", "color": "green"}})
    shown = CliRunner().invoke(app, ["config", "PLUGIN_SETTINGS"], catch_exceptions=False).stdout
    assert "4711" not in shown
    assert "green" in shown


def test_opa_config_masks_all_settings_of_plugins_that_do_not_load(project: Project) -> None:
    from typer.testing import CliRunner

    from opa.cli.commands import app

    project.plugin("one.py", "1 / 0")
    project.settings(PLUGIN_SETTINGS={"one": {"pin": "4711"}})
    shown = CliRunner().invoke(app, ["config", "PLUGIN_SETTINGS"], catch_exceptions=False).stdout
    assert "4711" not in shown


def test_two_models_in_one_plugin_are_an_error(project: Project) -> None:
    project.plugin(
        "one.py", "from opa import PluginSettings\nclass A(PluginSettings): pass\nclass B(PluginSettings): pass\n"
    )
    with pytest.raises(RegistrationError, match="plugin 'one' declares two models for its settings: A, B"):
        project.prepare()


def test_a_variable_is_a_text_or_a_list_where_the_model_says_so(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.plugin(
        "a.py",
        """
        from pydantic import Field, SecretStr
        from opa import PluginSettings
        class S(PluginSettings):
            token: SecretStr = SecretStr("")
            hosts: list[str] = []
            api_key: str = Field("", alias="apiKey")
        """,
    )
    monkeypatch.setenv("OPA_PLUGIN_SETTINGS__A__TOKEN", "123456")
    monkeypatch.setenv("OPA_PLUGIN_SETTINGS__A__HOSTS", "a,b")
    monkeypatch.setenv("OPA_PLUGIN_SETTINGS__A__APIKEY", "007")

    found = project.prepare().plugin_settings.of(__import__("a").S)

    assert (found.token.get_secret_value(), found.hosts, found.api_key) == ("123456", ["a", "b"], "007")


def test_a_number_of_a_file_in_place_of_a_text_is_to_be_quoted(project: Project) -> None:
    project.plugin("a.py", "from opa import PluginSettings\nclass S(PluginSettings):\n  code: str\n")
    project.settings(PLUGIN_SETTINGS={"a": {"CODE": 5}})

    (line,) = mistakes(project)

    assert line.startswith("PLUGIN_SETTINGS.a.code: Input should be a valid string, in quotes, not 5 (")
    assert "00-test.json" in line


DASHED = """
from pydantic import Field, SecretStr
from opa import PluginSettings
class S(PluginSettings):
    token: str = ""
    rows: int = 0
    api_key: SecretStr = Field(SecretStr(""), alias="api-key")
"""


def test_a_dash_in_the_name_of_a_plugin_or_a_field_is_an_underscore_in_a_variable(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.plugin("my-shop.py", DASHED)
    monkeypatch.setenv("OPA_PLUGIN_SETTINGS__MY_SHOP__TOKEN", "123456")
    monkeypatch.setenv("OPA_PLUGIN_SETTINGS__MY_SHOP__API_KEY", "007")
    found = project.prepare().plugin_settings.of(importlib.import_module("my-shop").S)
    assert (found.token, found.api_key.get_secret_value()) == ("123456", "007")


def test_a_variable_changes_what_a_file_says_of_a_plugin_with_a_dash(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.plugin("my-shop.py", DASHED)
    project.settings(PLUGIN_SETTINGS={"my-shop": {"token": "a", "rows": 7, "api-key": "b"}})
    monkeypatch.setenv("OPA_PLUGIN_SETTINGS__MY_SHOP__TOKEN", "007")
    monkeypatch.setenv("OPA_PLUGIN_SETTINGS__MY_SHOP__API_KEY", "008")
    found = project.prepare().plugin_settings.of(importlib.import_module("my-shop").S)
    assert (found.token, found.rows, found.api_key.get_secret_value()) == ("007", 7, "008")


def test_a_mistake_in_a_variable_of_a_plugin_with_a_dash_has_its_source(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.plugin("my-shop.py", DASHED)
    monkeypatch.setenv("OPA_PLUGIN_SETTINGS__MY_SHOP__ROWS", "many")
    (line,) = mistakes(project)
    assert line.startswith("PLUGIN_SETTINGS.my-shop.rows: ")
    assert line.endswith("(environment variable OPA_PLUGIN_SETTINGS__MY_SHOP__ROWS)")


def test_a_variable_that_two_plugins_may_mean_is_a_mistake(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.plugin("my-shop.py", DASHED)
    project.plugin("my_shop.py", DASHED)
    project.settings(PLUGIN_SETTINGS={"my-shop": {"token": "a"}, "my_shop": {"token": "b"}})
    settings = project.prepare().plugin_settings
    assert [settings.of(importlib.import_module(name).S).token for name in ("my-shop", "my_shop")] == ["a", "b"]
    monkeypatch.setenv("OPA_PLUGIN_SETTINGS__MY_SHOP__TOKEN", "c")
    (line,) = mistakes(project)
    assert "may be meant for the plugins 'my-shop' and 'my_shop'" in line
    assert "OPA_PLUGIN_SETTINGS__MY_SHOP__TOKEN" in line


def test_settings_of_one_of_two_plugins_are_not_those_of_the_other(project: Project) -> None:
    project.plugin("my-shop.py", DASHED)
    project.plugin("my_shop.py", DASHED)
    project.settings(PLUGIN_SETTINGS={"my-shop": {"token": "a"}})
    settings = project.prepare().plugin_settings
    assert [settings.of(importlib.import_module(name).S).token for name in ("my-shop", "my_shop")] == ["a", ""]


def test_a_plugin_that_stands_in_the_settings_in_two_spellings_is_a_mistake(project: Project) -> None:
    project.plugin("my-shop.py", DASHED)
    project.settings(PLUGIN_SETTINGS={"my-shop": {"token": "a"}, "my_shop": {"token": "b"}})
    (line,) = mistakes(project)
    assert line.startswith("PLUGIN_SETTINGS.my_shop: is there as 'my-shop' too, which is the same plugin")


def test_a_secret_of_the_model_of_a_plugin_with_a_dash_is_not_shown(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from opa.cli.commands import app

    project.plugin("my-shop.py", DASHED.replace("api-key", "color-of-it"))
    monkeypatch.setenv("OPA_PLUGIN_SETTINGS__MY_SHOP__COLOR_OF_IT", "green")
    monkeypatch.setenv("OPA_PLUGIN_SETTINGS__MY_SHOP__ROWS", "4711")
    shown = CliRunner().invoke(app, ["config", "PLUGIN_SETTINGS"], catch_exceptions=False).stdout
    assert "green" not in shown
    assert "4711" in shown


def test_options_of_a_plugin_with_a_dash_are_set_by_a_variable(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.plugin("my-shop.py", "1 / 0")
    project.settings(PLUGIN_OPTIONS={"my-shop": {"READY_TIMEOUT": 5}})
    monkeypatch.setenv("OPA_PLUGIN_OPTIONS__MY_SHOP__FAILURE", "skip")
    policy = project.prepare().roster.policy
    assert policy.skips("my-shop")
    assert policy.limit("my-shop", "READY") == 5


def test_a_component_with_a_dash_is_set_by_a_variable(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.plugin("fake.py", "from opa import Driver\nclass Fake(Driver):\n  name = 'fake'\n")
    project.component("my-cache", "fake", url="a", rows=1)
    monkeypatch.setenv("OPA_OPTIONAL_COMPONENTS__MY_CACHE__OPTS__URL", "b")
    states = project.prepare().component_states
    assert "my_cache" not in states
    driver = states["my-cache"].driver
    assert driver is not None
    assert {key.lower(): value for key, value in driver.opts.items()} == {"url": "b", "rows": 1}
