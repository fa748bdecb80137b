from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from opa.errors import MissingSettingError, OpaError
from opa.settings.config import Leaf
from opa.settings.load import Config
from tests import programs
from tests.settings_folder import SettingsFolder


@pytest.fixture
def config() -> Config:
    return Config(
        {"PORT": 1, "THING": {"inner": {"List": [1]}, "a.b": 2}, "EMPTY": {}},
        {("PORT",): "one", ("THING", "INNER", "LIST"): "two", ("THING", "A.B"): "three"},
    )


def test_a_setting_is_a_plain_attribute(config: Config) -> None:
    assert vars(config)["PORT"] == 1
    assert "__getattribute__" not in vars(Config)


def test_its_name_is_the_very_text_that_code_asks_for() -> None:
    """Then Python finds it without comparing texts, and from 3.12 on as fast as any attribute."""
    in_code = "ONLY_HERE"
    config = Config({in_code.lower().upper(): 1})
    assert next(iter(config)) is in_code


@pytest.mark.parametrize("name", ["PORT", "port", "Port"])
def test_a_setting_is_found_in_any_case(config: Config, name: str) -> None:
    assert getattr(config, name) == config[name] == config.get(name) == 1
    assert name in config


@pytest.mark.parametrize("name", ["THING.inner.List", "thing.INNER.LIST"])
def test_dots_lead_inside_in_any_case(config: Config, name: str) -> None:
    assert config[name] == config.get(name) == [1]
    assert name in config


def test_attributes_lead_inside_in_any_case(config: Config) -> None:
    assert config.THING.inner.List == config.thing.INNER.list == [1]


def test_a_key_may_have_a_dot_in_it(config: Config) -> None:
    assert config["THING.a.b"] == 2
    assert config.source("THING.a.b") == "three"


@pytest.mark.parametrize("name", ["NOPE", "THING.nope", "PORT.x", "THING.inner.List.x", ""])
def test_a_missing_name_raises_an_error(config: Config, name: str) -> None:
    assert name not in config
    assert config.get(name) is None
    assert config.get(name, 5) == 5
    with pytest.raises(KeyError):
        config[name]
    with pytest.raises(MissingSettingError):
        config.source(name)


def test_a_missing_name_says_which_one_is_meant_and_where_settings_come_from(folder: SettingsFolder) -> None:
    with pytest.raises(AttributeError) as raised:
        _ = folder.load().LOG_LEVEL

    assert isinstance(raised.value, OpaError)
    assert str(raised.value) == (
        'there is no setting "LOG_LEVEL". Did you mean LOGLEVEL? Settings come from default-settings.yaml, '
        f"the files in {folder.path}, and environment variables OPA_…"
    )


def test_a_missing_name_inside_says_which_one_is_meant(folder: SettingsFolder) -> None:
    with pytest.raises(KeyError, match=r"Did you mean OPTIONAL_COMPONENTS\.WALRUS\.LOAD\?"):
        folder.load()["OPTIONAL_COMPONENTS.WALRUS.LOADS"]


def test_getattr_and_hasattr_work_as_for_any_object(config: Config) -> None:
    assert getattr(config, "NOPE", 5) == 5
    assert not hasattr(config, "NOPE")


def test_as_dict_is_a_deep_copy_in_plain_types(config: Config) -> None:
    plain = config.as_dict()
    plain["THING"]["inner"]["List"].append(2)

    assert type(plain["THING"]["inner"]) is dict
    assert config.THING.inner.List == [1]


def test_a_config_can_be_gone_through(config: Config) -> None:
    assert list(config) == ["PORT", "THING", "EMPTY"]


def test_the_source_of_a_dict_are_those_of_what_is_in_it(config: Config) -> None:
    assert config.source("thing") == "two, three"


def test_leaves_are_all_values_that_are_no_dict(config: Config) -> None:
    assert list(config.leaves()) == [
        Leaf("PORT", 1, "one"),
        Leaf("THING.inner.List", [1], "two"),
        Leaf("THING.a.b", 2, "three"),
        Leaf("EMPTY", {}, "default"),
    ]
    assert list(config.leaves("thing.inner")) == [Leaf("THING.inner.List", [1], "two")]


def test_an_unset_setting_comes_from_the_default(folder: SettingsFolder) -> None:
    folder.file("a.yaml", "default: {OPTIONAL_COMPONENTS: {A: {DRIVER: x}}}")

    assert folder.load().source("OPTIONAL_COMPONENTS.A.LOAD") == "default"


def test_a_config_can_be_copied(config: Config) -> None:
    for twin in (copy.deepcopy(config), pickle.loads(pickle.dumps(config))):
        twin.THING.inner.List.append(2)
        assert twin.source("PORT") == "one"
        assert config.THING.inner.List == [1]


def test_a_setting_can_be_replaced_for_a_while(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "PORT", 2)
    assert config.PORT == config.port == config["PORT"] == config.as_dict()["PORT"] == 2

    monkeypatch.undo()
    assert config.PORT == config["PORT"] == 1


def test_dir_of_a_config_has_settings_and_methods(config: Config) -> None:
    assert {"PORT", "THING", "as_dict", "source"} <= set(dir(config))


def test_only_settings_are_found(config: Config) -> None:
    """Python 3.11 needs a name of its own among the attributes."""
    assert "__getattr__" not in config
    assert list(config.as_dict()) == ["PORT", "THING", "EMPTY"]


# The one of the process


def test_adopted_settings_are_seen_through_the_same_object(config: Config) -> None:
    mine = Config({"GONE": 1})
    mine.adopt(config)

    assert mine.as_dict() == config.as_dict()
    assert mine.source("PORT") == "one"
    assert "GONE" not in mine


def test_settings_are_loaded_on_first_use_and_only_then(config: Config) -> None:
    loaded = []

    def load() -> Config:
        loaded.append(1)
        return config

    lazy = Config(load=load)

    assert repr(lazy) == "<Config: not loaded>"
    assert loaded == []
    assert (lazy.PORT, lazy.PORT, lazy["THING.a.b"]) == (1, 1, 2)
    assert loaded == [1]


@pytest.mark.parametrize(
    "ask",
    [
        lambda config: config.port,
        lambda config: config["PORT"],
        lambda config: config.get("PORT"),
        lambda config: "PORT" in config,
        list,
        lambda config: config.as_dict(),
        lambda config: config.source("PORT"),
        lambda config: list(config.leaves()),
        lambda config: Config({}).adopt(config),
    ],
)
def test_a_lazy_config_is_loaded_by_every_way_to_ask_it(config: Config, ask: Callable[[Config], object]) -> None:
    lazy = Config(load=lambda: config)
    ask(lazy)

    assert repr(lazy) == "<Config: 3 settings>"


@pytest.mark.parametrize("name", ["__wrapped__", "_repr_html_", "__deepcopy__"])
def test_python_and_tools_that_look_for_their_own_names_do_not_load(name: str) -> None:
    lazy = Config(load=lambda: pytest.fail("it loads"))

    assert not hasattr(lazy, name)


def test_settings_that_fail_to_load_are_loaded_again_on_the_next_use(config: Config) -> None:
    results: list[Exception | Config] = [ValueError("no"), config]

    def load() -> Config:
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    lazy = Config(load=load)
    with pytest.raises(ValueError, match="no"):
        _ = lazy.PORT

    assert lazy.PORT == 1


def test_a_plugin_imports_it_from_opa(folder: SettingsFolder) -> None:
    folder.file("a.yaml", "default: {MINE: 1}")
    code = "from opa import config; print(config.MINE, config.PORT)"

    run = programs.run([sys.executable, "-c", code], check=True)

    assert run.stdout == "1 8000\n"


def test_importing_it_does_not_read_settings(folder: SettingsFolder) -> None:
    folder.file("a.yaml", "default: [")

    subprocess.run([sys.executable, "-W", "error", "-c", "from opa import config"], check=True)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SettingsFolder:
    return SettingsFolder(tmp_path, monkeypatch)
