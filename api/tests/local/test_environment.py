from __future__ import annotations

from pathlib import Path

import pytest

from opa.local.environment import component_settings, open_targets, plugin_paths, plugin_settings
from opa.settings.inherited import handing_variable
from opa.settings.load import Config, load_settings

AUTHORITIES = {"redis": ":secret@127.0.0.1:1", "mongo": "opa:secret@127.0.0.1:2"}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "settings"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPA_SETTINGS_DIR", str(folder))
    monkeypatch.setenv("ENV", "dev")
    return folder / "settings.yaml"


def pointed(config: Config) -> dict[str, str]:
    return component_settings(open_targets(config), AUTHORITIES)


def test_the_components_of_the_default_settings_are_pointed_at_the_servers(
    settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in handing_variable("opa up", pointed(load_settings())).items():
        monkeypatch.setenv(name, value)
    config = load_settings()
    assert config.source("OPTIONAL_COMPONENTS.WALRUS.OPTS.URL") == "opa up"
    components = config.OPTIONAL_COMPONENTS
    assert components.WALRUS.OPTS.URL == "redis://:secret@127.0.0.1:1"
    assert components.AIOREDIS.OPTS.URL == "redis://:secret@127.0.0.1:1"
    assert components.CELERY.OPTS.BROKER_URL == "redis://:secret@127.0.0.1:1/1"
    assert components.CELERY.OPTS.BACKEND_URL == "redis://:secret@127.0.0.1:1/2"
    assert components.MONGODB.OPTS.URL == "mongodb://opa:secret@127.0.0.1:2/opa?authSource=admin"


@pytest.mark.parametrize(
    "text",
    [
        "default: {OPTIONAL_COMPONENTS: {dynaconf_merge: true, WALRUS: {OPTS: {URL: 'redis://mine'}}}}",
        "dev: {OPTIONAL_COMPONENTS: {dynaconf_merge: true, WALRUS: {LOAD: 'no'}}}",
        "default: {OPTIONAL_COMPONENTS: {AIOREDIS: {DRIVER: redis-aioredis, OPTS: {URL: 'redis://mine'}}}}",
    ],
)
def test_a_component_with_an_address_of_the_users_and_one_that_is_off_are_left_alone(settings: Path, text: str) -> None:
    settings.write_text(text)
    assert "OPTIONAL_COMPONENTS.WALRUS.OPTS.URL" not in pointed(load_settings())


def test_an_address_in_an_environment_variable_is_left_alone(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPA_OPTIONAL_COMPONENTS__MONGODB__OPTS__URL", "mongodb://mine/opa")
    assert "OPTIONAL_COMPONENTS.MONGODB.OPTS.URL" not in pointed(load_settings())
    assert "OPTIONAL_COMPONENTS.WALRUS.OPTS.URL" in pointed(load_settings())


@pytest.mark.parametrize(
    ("variable", "setting"),
    [
        ("WALRUS__OPTS__PASSWORD", "OPTIONAL_COMPONENTS.WALRUS.OPTS.URL"),
        ("CELERY__OPTS__BROKER_PASSWORD", "OPTIONAL_COMPONENTS.CELERY.OPTS.BROKER_URL"),
    ],
)
def test_a_component_with_a_password_of_the_users_is_left_alone(
    settings: Path, monkeypatch: pytest.MonkeyPatch, variable: str, setting: str
) -> None:
    monkeypatch.setenv(f"OPA_OPTIONAL_COMPONENTS__{variable}", "of-my-own-server")
    assert setting not in pointed(load_settings())
    assert "OPTIONAL_COMPONENTS.AIOREDIS.OPTS.URL" in pointed(load_settings())


def test_another_driver_for_a_default_component_still_gets_the_address(settings: Path) -> None:
    settings.write_text("default: {OPTIONAL_COMPONENTS: {dynaconf_merge: true, MONGODB: {DRIVER: mongodb-pymongo}}}")
    assert "OPTIONAL_COMPONENTS.MONGODB.OPTS.URL" in pointed(load_settings())


def test_a_server_that_does_not_run_changes_nothing(settings: Path) -> None:
    without_mongo = component_settings(open_targets(load_settings()), {"redis": "127.0.0.1:1"})
    assert not [name for name in without_mongo if "MONGODB" in name]


def test_the_plugins_of_the_folder_take_the_place_of_the_images(settings: Path, tmp_path: Path) -> None:
    assert plugin_paths(load_settings(), tmp_path) == [str(tmp_path / "plugins"), "opa:demo-plugins"]


def test_the_default_plugin_paths_are_handed_down_whatever_the_user_has_set(settings: Path, tmp_path: Path) -> None:
    settings.write_text("default: {PLUGIN_PATHS: ['./common']}")
    assert plugin_settings(tmp_path) == {"PLUGIN_PATHS": [str(tmp_path / "plugins"), "opa:demo-plugins"]}


def test_a_plugin_path_that_is_added_is_kept(settings: Path, tmp_path: Path) -> None:
    settings.write_text(f"default: {{PLUGIN_PATHS: ['{tmp_path}', dynaconf_merge]}}")
    paths = plugin_paths(load_settings(), tmp_path)
    assert sorted(paths) == sorted([str(tmp_path), str(tmp_path / "plugins"), "opa:demo-plugins"])


def test_plugin_paths_of_the_users_are_left_alone(settings: Path, tmp_path: Path) -> None:
    settings.write_text("default: {PLUGIN_PATHS: ['/plugins']}\ndev: {PLUGIN_PATHS: ['/plugins']}")
    assert plugin_paths(load_settings(), tmp_path) == ["/plugins"]
