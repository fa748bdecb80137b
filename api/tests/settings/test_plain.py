from __future__ import annotations

import sys
from itertools import product
from typing import Any

import pytest

from opa.errors import SettingsError
from opa.settings import load
from opa.settings.defaults import FILE, read_defaults
from opa.settings.files import read_sections
from opa.settings.names import KNOWN
from opa.settings.validation import validated
from tests import programs
from tests.settings_folder import SettingsFolder

TEXTS = [
    *("no", "yes", "text", "two words", "/plugins", "a,b", "a, b ,a", "info", "WARNING", "null", "none", "café"),
    *("8000", "-5", "+5", "007", "1_000", "1e3", "0x1F", "1.10", "inf", "nan", "9" * 5000, "2024-01-01", "10:00:00"),
    *("true", "True", "TRUE", "false", " False", "tRue", "", " ", "a#b", "1 # c", "a=b", "x\ny=1", "1\nkey2=2"),
    *("@int 3", "@merge a", "a,@merge b", "a@b", "redis://u:p@host", "[1]", '["a"]', "{a=1}", "'q'", '"q"', '"', "\\"),
    *("dynaconf_merge", "a,dynaconf_merge", "@format {this.PORT}", "https://a.example"),
]
NAMES = [
    *("PORT", "port", "PROJECT_VERSION", "ALLOW_ORIGINS", "DEBUG", "WORKERS", "DOCS_URL", "GRACEFUL_TIMEOUT", "PTVSD"),
    *("MIDDLEWARE", "INSTALLED_PLUGINS", "PLUGIN_OPTIONS", "CELERY_TASK_ROUTES", "COMPONENT_DNS_TIMEOUT", "LOGLEVEL"),
    *("OPTIONAL_COMPONENTS", "OPTIONAL_COMPONENTS__WALRUS__LOAD", "optional_components__Walrus__load"),
    *(
        "OPTIONAL_COMPONENTS__WALRUS__OPTS__URL",
        "OPTIONAL_COMPONENTS__WALRUS__OPTS__NEW",
        "OPTIONAL_COMPONENTS__WALRUS",
    ),
    *("OPTIONAL_COMPONENTS.WALRUS.LOAD", "OPTIONAL_COMPONENTS__NEW__LOAD", "PLUGIN_SETTINGS__A__B", "PORT__A"),
    *(
        "MINE",
        "mine",
        "MINE__A",
        "_MINE",
        "MINE_",
        "MINE___A",
        "MI-NE",
        "PORTS",
        "DYNACONF_MINE",
        "CELERY_BROKER_HEARTBEAT",
    ),
]
CASES = [*product(NAMES, ["text", "5", "true", "no", "@int 3"]), *product(["PORT", "MINE", "ALLOW_HEADERS"], TEXTS)]


@pytest.fixture
def folder(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> SettingsFolder:
    return SettingsFolder(tmp_path, monkeypatch)


def outcome() -> Any:
    """The settings with the types and sources of all values, or what is wrong with them."""
    try:
        config = load.load_settings()
    except SettingsError as error:
        return error.mistakes
    return repr(config.as_dict()), [(leaf.name, leaf.source) for leaf in config.leaves()]


@pytest.mark.parametrize("env", ["", "dev"])
def test_defaults_need_no_check(folder: SettingsFolder, env: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENV", env)
    sections = read_defaults()
    values = {name: value for name, value in (sections["default"] | sections.get(env, {})).items() if name in KNOWN}
    assert repr(validated(values, KNOWN)) == repr(validated(values, ()))


def test_the_defaults_as_json_are_those_of_the_file() -> None:
    assert repr(read_defaults()) == repr(read_sections(FILE)), (
        "settings/defaults.json is older than default-settings.yaml: run .venv/bin/python -m opa.settings.defaults"
    )


@pytest.mark.parametrize(("name", "text"), CASES)
def test_a_variable_is_what_dynaconf_makes_of_it(
    folder: SettingsFolder,
    name: str,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv(f"OPA_{name}", text)
    found, warnings = outcome(), [*caplog.messages]
    caplog.clear()
    monkeypatch.setattr(load, "plain_settings", lambda *_: None)
    assert found == outcome()
    assert warnings == caplog.messages


@pytest.mark.parametrize("env", ["", "dev", "staging", "dev,staging"])
def test_an_env_is_what_dynaconf_makes_of_it(folder: SettingsFolder, env: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENV", env)
    monkeypatch.setenv("OPA_PORT", "5")
    monkeypatch.setenv("OPA_OPTIONAL_COMPONENTS__WALRUS__LOAD", "no")
    found = outcome()
    monkeypatch.setattr(load, "plain_settings", lambda *_: None)
    assert found == outcome()


@pytest.mark.parametrize(("text", "is_imported"), [("5", False), ("@int 5", True)])
def test_dynaconf_is_imported_where_something_is_for_it(
    folder: SettingsFolder, text: str, is_imported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPA_PORT", text)
    program = "import sys; from opa import config; print(config.PORT, 'dynaconf' in sys.modules)"
    assert programs.run([sys.executable, "-c", program], fresh=True).stdout == f"5 {is_imported}\n"


def test_nested_settings_are_dicts_with_attributes_in_any_case(folder: SettingsFolder) -> None:
    components = load.load_settings().OPTIONAL_COMPONENTS
    assert components.walrus.Load == components["WALRUS"]["load"] == "auto"
    assert "Walrus" in components
    assert components.get("nothing", 5) == 5
    with pytest.deprecated_call():
        assert components.walrus.to_dict()["LOAD"] == "auto"
    assert not hasattr(components, "nothing")
    assert type(components.copy()) is type(components)
