from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from opa.errors import SettingsError
from opa.settings.inherited import handing_variable
from opa.settings.load import load_settings
from tests.settings_folder import SettingsFolder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SettingsFolder:
    return SettingsFolder(tmp_path, monkeypatch)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "opa.settings"]


# Order of the sources


def test_defaults_apply_where_nothing_overrides_them(folder: SettingsFolder) -> None:
    config = folder.load()

    assert (config.PORT, config.LOGLEVEL, config.PLUGIN_PATHS) == (8000, "info", ["/plugins"])
    assert config.ALLOW_ORIGINS == []
    assert config.OPTIONAL_COMPONENTS.WALRUS.OPTS.URL == "redis://redis"


def test_base_wins_over_the_defaults(folder: SettingsFolder) -> None:
    assert folder.load({"PORT": 1}).PORT == 1


def test_a_file_wins_over_base(folder: SettingsFolder) -> None:
    folder.file("a.yaml", "default: {PORT: 2}")

    assert folder.load({"PORT": 1}).PORT == 2


def test_files_count_in_the_order_of_their_names_in_every_format(folder: SettingsFolder) -> None:
    folder.file("d.yaml", "default: {A: yaml}")
    folder.file("c.json", '{"default": {"A": "json", "B": "json"}}')
    folder.file("b.toml", "[default]\nA = 'toml'\nB = 'toml'\nC = 'toml'")
    folder.file("a.py", "A = B = C = D = 'py'")

    config = folder.load()

    assert (config.A, config.B, config.C, config.D) == ("yaml", "json", "toml", "py")


def test_local_files_come_after_all_others(folder: SettingsFolder) -> None:
    folder.file("a.local.yaml", "default: {PORT: 1}")
    folder.file("b.yaml", "default: {PORT: 2}")

    assert folder.load().PORT == 1


def test_a_variable_wins_over_all_files(folder: SettingsFolder) -> None:
    folder.file("a.local.yaml", "default: {PORT: 2}\nglobal: {PORT: 3}")
    folder.variables(OPA_PORT="4")

    assert folder.load({"PORT": 1}).PORT == 4


def test_a_later_file_wins_over_the_env_of_an_earlier_one(folder: SettingsFolder) -> None:
    folder.file("a.yaml", "dev: {PORT: 1}")
    folder.file("b.yaml", "default: {PORT: 2}")
    folder.variables(ENV="dev")

    assert folder.load().PORT == 2


def test_base_is_not_changed_by_loading(folder: SettingsFolder) -> None:
    folder.file("a.yaml", "default: {THING: {dynaconf_merge: true, B: 2}}")
    base = {"THING": {"A": 1}, "PLUGIN_PATHS": ["/x", "dynaconf_merge"]}

    config = folder.load(base)

    assert config.THING == {"A": 1, "B": 2}
    assert base == {"THING": {"A": 1}, "PLUGIN_PATHS": ["/x", "dynaconf_merge"]}


def test_base_has_the_name_that_its_giver_wants(folder: SettingsFolder) -> None:
    assert load_settings({"PORT": 1}, base_name="opa up").source("PORT") == "opa up"


def test_settings_that_are_handed_down_win_over_the_defaults_alone_and_keep_their_name(folder: SettingsFolder) -> None:
    folder.variables(
        **handing_variable("opa up", {"PORT": 1, "FLOWER_PORT": 1, "OPTIONAL_COMPONENTS.WALRUS.LOAD": "no"})
    )
    folder.file("a.yaml", "default: {PORT: 2}")

    config = folder.load()

    assert (config.PORT, config.FLOWER_PORT, config.OPTIONAL_COMPONENTS.WALRUS.LOAD) == (2, 1, "no")
    assert config.source("FLOWER_PORT") == config.source("OPTIONAL_COMPONENTS.WALRUS.LOAD") == "opa up"
    assert config.source("OPTIONAL_COMPONENTS.WALRUS.OPTS") == "default-settings.yaml [default]"


@pytest.mark.parametrize("text", ["nonsense", "[]", "{}"])
def test_invalid_inherited_settings_are_a_mistake(folder: SettingsFolder, text: str) -> None:
    folder.variables(OPA_UP_SETTINGS=text)

    assert folder.mistakes() == [
        "OPA_UP_SETTINGS: is for opa-stack's own processes, do not set it (environment variable)"
    ]


# Envs


@pytest.mark.parametrize("env", [None, "", "default"])
def test_without_env_only_the_default_section_counts(folder: SettingsFolder, env: str | None) -> None:
    folder.file("a.yaml", "default: {X: 1}\ndevelopment: {X: 2}\ndev: {X: 3}\nopa: {X: 4}\nmain: {X: 5}")
    if env is not None:
        folder.variables(ENV=env)

    config = folder.load()

    assert (config.X, config.MODE, config.DEBUGPY) == (1, "prod", False)


def test_env_dev_switches_on_what_helps_in_development(folder: SettingsFolder) -> None:
    folder.variables(ENV="dev")

    config = folder.load()

    assert (config.MODE, config.LOGLEVEL) == ("dev", "debug")
    assert all([config.DEBUGPY, config.BETTER_EXCEPTIONS, config.RELOAD, config.ACCESS_LOG])
    assert config.PLUGIN_PATHS == ["/plugins", "opa:demo-plugins"]


@pytest.mark.parametrize("env", ["mine", "MINE", " mine "])
def test_an_env_of_the_users_own_is_the_section_of_that_name_in_any_case(folder: SettingsFolder, env: str) -> None:
    folder.file("a.yaml", "default: {X: 1}\nMine: {X: 2}")
    folder.variables(ENV=env)

    assert folder.load().X == 2


def test_of_several_envs_the_last_one_wins(folder: SettingsFolder) -> None:
    folder.file("a.yaml", "one: {X: 1, Y: 1}\ntwo: {X: 2}")
    folder.variables(ENV="one,two")

    config = folder.load()

    assert (config.X, config.Y) == (2, 1)


def test_the_section_global_wins_over_the_env_in_its_file(folder: SettingsFolder) -> None:
    folder.file("a.yaml", "global: {X: 3}\ndefault: {X: 1}\nmine: {X: 2}")
    folder.variables(ENV="mine")

    assert folder.load().X == 3


def test_an_env_that_no_file_knows_and_that_looks_like_a_known_one_gives_a_warning(
    folder: SettingsFolder, caplog: pytest.LogCaptureFixture
) -> None:
    folder.file("a.yaml", "mine: {}")
    for env, meant in (
        ("devv", "dev"),
        ("prdo", "prod"),
        ("mien", "mine"),
        ("development", "dev"),
        ("stagin", "staging"),
    ):
        caplog.clear()
        folder.variables(ENV=env)

        assert folder.load().MODE == "prod"
        assert warnings(caplog) == [f'ENV is "{env}", and no file has such a section; did you mean "{meant}"?']


@pytest.mark.parametrize(("env", "section"), [("production", "prod"), ("prod", "production"), ("stage", "staging")])
def test_an_env_whose_section_has_the_other_customary_name_gives_a_warning(
    folder: SettingsFolder, caplog: pytest.LogCaptureFixture, env: str, section: str
) -> None:
    folder.file("a.yaml", f"{section}: {{}}")
    folder.variables(ENV=env)
    folder.load()
    assert warnings(caplog) == [f'ENV is "{env}", and no file has such a section; did you mean "{section}"?']


def test_an_env_that_looks_like_nothing_known_is_taken_in_silence(
    folder: SettingsFolder, caplog: pytest.LogCaptureFixture
) -> None:
    for env in ("staging", "prod", "blue", "mine"):
        folder.variables(ENV=env)
        folder.file("a.yaml", "mine: {}")
        folder.load()

    assert warnings(caplog) == []


# The settings folder


def test_without_the_variable_the_folder_is_settings_below_the_current_one(
    folder: SettingsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPA_SETTINGS_DIR")
    folder.file("a.yaml", "default: {PORT: 1}")

    config = folder.load()

    assert (config.PORT, config.SETTINGS_DIR, config.source("PORT")) == (1, "settings", "settings/a.yaml [default]")


def test_without_the_variable_and_without_a_folder_the_defaults_stand(
    folder: SettingsFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("OPA_SETTINGS_DIR")
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)

    assert folder.load().PORT == 8000


def test_a_folder_that_the_variable_names_has_to_be_there(folder: SettingsFolder) -> None:
    folder.variables(OPA_SETTINGS_DIR="nowhere")

    assert folder.mistakes() == ['the settings folder "nowhere" is not there (environment variable OPA_SETTINGS_DIR)']


def test_a_folder_that_the_variable_names_has_to_be_a_folder(folder: SettingsFolder) -> None:
    folder.variables(OPA_SETTINGS_DIR=str(folder.file("a.yaml", "")))

    assert folder.mistakes()[0].startswith("the settings folder")
    assert "is not a folder" in folder.mistakes()[0]


def test_the_folder_cannot_be_set_in_a_file(folder: SettingsFolder) -> None:
    folder.file("a.yaml", "default: {SETTINGS_DIR: /x}")

    assert folder.mistakes() == [
        "SETTINGS_DIR: can only be set as the environment variable OPA_SETTINGS_DIR (a.yaml [default])"
    ]


def test_the_folder_itself_can_be_read_as_a_setting(folder: SettingsFolder) -> None:
    config = folder.load()

    assert config["SETTINGS_DIR"] == str(folder.path)
    assert config.source("SETTINGS_DIR") == "environment variable OPA_SETTINGS_DIR"


# Environment variables


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8080", 8080),
        ("1.5", 1.5),
        ("true", True),
        ("False", False),
        ("text", "text"),
        ('["a", 1]', ["a", 1]),
        ('@json {"a": [1]}', {"a": [1]}),
        ("@str 12", "12"),
        ("@int 12", 12),
        ("@none", None),
        ("redis://:p#w@host/0", "redis://:p#w@host/0"),
    ],
)
def test_a_variable_becomes_what_its_text_says(folder: SettingsFolder, text: str, value: object) -> None:
    folder.variables(OPA_MINE=text)

    found = folder.load().MINE

    assert found == value
    assert isinstance(found, type(value))


@pytest.mark.parametrize("text", ["1.10", "007", "true", "2024-01-31", "12:30:00", "1e3"])
def test_a_text_setting_takes_a_variable_as_it_is(folder: SettingsFolder, text: str) -> None:
    folder.variables(OPA_PROJECT_VERSION=text)

    assert folder.load()["PROJECT_VERSION"] == text


@pytest.mark.parametrize("text", ["", "null", "None", "false", "@none"])
@pytest.mark.parametrize("name", ["DOCS_URL", "REDOC_URL", "HEALTH_URL", "READY_URL"])
def test_a_page_is_turned_off_by_a_variable_that_says_nothing(folder: SettingsFolder, name: str, text: str) -> None:
    folder.variables(**{f"OPA_{name}": text})

    assert folder.load()[name] is None


@pytest.mark.parametrize("text", ["", "null"])
def test_workers_are_left_open_by_a_variable_that_says_nothing(folder: SettingsFolder, text: str) -> None:
    folder.file("a.yaml", "default: {WORKERS: 3}")
    folder.variables(OPA_WORKERS=text)

    assert folder.load().WORKERS is None


def test_a_nested_variable_changes_one_value_and_leaves_the_others(folder: SettingsFolder) -> None:
    before = folder.load().as_dict()
    folder.variables(OPA_OPTIONAL_COMPONENTS__WALRUS__OPTS__URL="redis://other")

    after = folder.load().as_dict()

    before["OPTIONAL_COMPONENTS"]["WALRUS"]["OPTS"]["URL"] = "redis://other"
    assert after == before


def test_a_nested_variable_finds_keys_that_files_write_in_lower_case(folder: SettingsFolder) -> None:
    folder.file("a.yaml", "default: {shop: {address: {street: Old Street, town: Leeds}}}")
    folder.variables(OPA_SHOP__ADDRESS__STREET="New Street")

    assert folder.load().SHOP == {"address": {"street": "New Street", "town": "Leeds"}}


def test_a_nested_variable_wins_over_one_for_the_whole_whatever_their_order(folder: SettingsFolder) -> None:
    folder.variables(OPA_A__B="2", OPA_A='@json {"b": 1, "c": 1}')

    assert folder.load().A == {"b": 2, "c": 1}


def test_variables_of_other_programs_are_not_settings(folder: SettingsFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNACONF_PORT", "1")
    monkeypatch.setenv("SETTINGS_FILE_FOR_DYNACONF", str(folder.file("other.txt", "")))
    monkeypatch.setenv("MERGE_ENABLED_FOR_DYNACONF", "true")
    monkeypatch.setenv("PORT", "2")
    folder.file("a.yaml", "default: {ALLOW_METHODS: [GET]}")

    config = folder.load()

    assert (config.PORT, config.ALLOW_METHODS) == (8000, ["GET"])


# Lists


@pytest.mark.parametrize("written", ["/a", '"/a,/b"', '" /a , /b, "', "[/a, /b]", "[/a, /b, /a]"])
def test_a_list_in_a_file_may_be_a_text_or_a_list(folder: SettingsFolder, written: str) -> None:
    folder.file("a.yaml", f"default: {{PLUGIN_PATHS: {written}, ALLOW_METHODS: {written}}}")

    config = folder.load()

    assert config.PLUGIN_PATHS == config.ALLOW_METHODS == (["/a"] if written == "/a" else ["/a", "/b"])


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("/a", ["/a"]),
        ("/a,/b", ["/a", "/b"]),
        ('["/a", "/b"]', ["/a", "/b"]),
        ('@json ["/a", "/b"]', ["/a", "/b"]),
        ("@merge /a", ["/plugins", "/a"]),
        ("@merge /a, /b", ["/plugins", "/a", "/b"]),
        ('@merge ["/a", "/plugins"]', ["/plugins", "/a"]),
        ("@merge_unique /plugins,/a", ["/plugins", "/a"]),
        ("@insert 0 /a", ["/a", "/plugins"]),
        ('["/a", "dynaconf_merge"]', ["/plugins", "/a"]),
        ("/a,dynaconf_merge", ["/plugins", "/a"]),
        ("2024", ["2024"]),
        ("", []),
    ],
)
def test_plugin_paths_in_a_variable(folder: SettingsFolder, text: str, paths: list[str]) -> None:
    folder.variables(OPA_PLUGIN_PATHS=text)

    assert folder.load()["PLUGIN_PATHS"] == paths


def test_merging_onto_a_list_that_was_written_as_text_keeps_it(folder: SettingsFolder) -> None:
    folder.file("a.yaml", 'default: {PLUGIN_PATHS: "/a,/b"}')
    folder.variables(OPA_PLUGIN_PATHS="@merge /c")

    assert folder.load().PLUGIN_PATHS == ["/a", "/b", "/c"]


# What dynaconf can do in a value


def test_a_value_may_come_from_a_file(folder: SettingsFolder, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a secret\n")
    folder.file("a.yaml", 'default: {SECRET_KEY: "@strip @read_file key"}')

    assert folder.load().SECRET_KEY == "a secret"


def test_a_value_may_be_made_from_other_settings_and_variables(folder: SettingsFolder) -> None:
    folder.file(
        "a.yaml",
        """
        default:
          HOST_OF_REDIS: cache
          OPTIONAL_COMPONENTS:
            dynaconf_merge: true
            WALRUS: {OPTS: {URL: "@format redis://{this.HOST_OF_REDIS}/{env[NUMBER]}"}}
          COPY: "@get OPTIONAL_COMPONENTS.WALRUS.LOAD"
          SECTION: "@format {this.current_env}"
        """,
    )
    folder.variables(NUMBER="7", ENV="dev,mine")

    config = folder.load()

    assert config.OPTIONAL_COMPONENTS.WALRUS.OPTS.URL == "redis://cache/7"
    assert (config.COPY, config.SECTION) == ("auto", "mine")


def test_a_setting_of_the_users_own_can_be_taken_away(folder: SettingsFolder) -> None:
    folder.file("a.yaml", "default: {MINE: 1}")
    folder.variables(OPA_MINE="@del")

    assert "MINE" not in folder.load()


def test_a_component_can_be_taken_away(folder: SettingsFolder) -> None:
    folder.variables(OPA_OPTIONAL_COMPONENTS__CELERY="@del")

    assert set(folder.load().OPTIONAL_COMPONENTS) == {"MONGODB", "WALRUS", "AIOREDIS", "SQL", "SQL_SYNC"}


# Former names and typos


def test_ptvsd_is_debugpy_with_one_warning(folder: SettingsFolder, caplog: pytest.LogCaptureFixture) -> None:
    folder.file("a.yaml", "default: {PTVSD: false}\ndev: {ptvsd: true}")
    folder.variables(ENV="dev", OPA_PTVSD="true")

    config = folder.load()

    assert (config.DEBUGPY, config.PTVSD) == (True, True)
    assert "PTVSD" not in config.as_dict()
    assert warnings(caplog) == [f"PTVSD is the former name of DEBUGPY, use that ({folder.path}/a.yaml [default])"]


def test_of_both_names_in_one_place_the_one_of_today_counts(folder: SettingsFolder) -> None:
    folder.file("a.yaml", "default: {DEBUGPY: true, PTVSD: false}")

    assert folder.load().DEBUGPY is True


def test_the_former_name_in_a_later_place_wins_over_todays_in_an_earlier_one(folder: SettingsFolder) -> None:
    folder.file("a.yaml", "default: {DEBUGPY: true}")
    folder.variables(OPA_PTVSD="false")

    assert folder.load().DEBUGPY is False


@pytest.mark.parametrize(
    ("written", "meant"),
    [("PLUGIN_PATH", "PLUGIN_PATHS"), ("log_level", "LOGLEVEL"), ("ALLOWED_ORIGINS", "ALLOW_ORIGINS")],
)
def test_a_name_close_to_a_known_one_gives_a_warning_with_both(
    folder: SettingsFolder, caplog: pytest.LogCaptureFixture, written: str, meant: str
) -> None:
    folder.file("a.yaml", f"default: {{{written}: x}}")

    assert folder.load()[written] == "x"
    assert warnings(caplog) == [
        f"{written.upper()} is not a setting of opa-stack; did you mean {meant}? ({folder.path}/a.yaml [default])"
    ]


@pytest.mark.parametrize("name", ["SHOP", "MY_SECRET_KEY", "REDIS_URL", "DATABASE_HOST", "APP_PORT"])
def test_other_names_are_the_users_own_and_need_no_warning(
    folder: SettingsFolder, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    folder.variables(**{f"OPA_{name}": "x"})

    assert folder.load()[name] == "x"
    assert warnings(caplog) == []


def test_a_section_that_is_almost_default_gives_a_warning(
    folder: SettingsFolder, caplog: pytest.LogCaptureFixture
) -> None:
    folder.file("a.yaml", "defaults: {PORT: 1}")

    assert folder.load().PORT == 8000
    assert warnings(caplog) == [
        f'section "defaults" is not "default", it is read in an env of that name ({folder.path}/a.yaml)'
    ]


def test_an_option_beside_opts_gives_a_warning(folder: SettingsFolder, caplog: pytest.LogCaptureFixture) -> None:
    folder.variables(OPA_OPTIONAL_COMPONENTS__WALRUS__URL="redis://x")
    folder.load()

    assert warnings(caplog) == [
        "OPTIONAL_COMPONENTS.WALRUS.URL is not used; options of the driver belong under OPTS "
        "(environment variable OPA_OPTIONAL_COMPONENTS__WALRUS__URL)"
    ]


def test_to_switch_off_a_component_of_a_misspelt_name_gives_a_warning(
    folder: SettingsFolder, caplog: pytest.LogCaptureFixture
) -> None:
    folder.variables(OPA_OPTIONAL_COMPONENTS__MONGO__LOAD="no", OPA_OPTIONAL_COMPONENTS__OTHER__LOAD="no")
    folder.load()

    assert warnings(caplog) == [
        "OPTIONAL_COMPONENTS.MONGO has no DRIVER; did you mean MONGODB? "
        "(environment variable OPA_OPTIONAL_COMPONENTS__MONGO__LOAD)"
    ]


# Nothing is left behind


def test_two_loads_give_settings_that_share_nothing(folder: SettingsFolder) -> None:
    first, second = folder.load(), folder.load()

    first.PLUGIN_PATHS.append("/x")
    first.OPTIONAL_COMPONENTS.WALRUS.OPTS.URL = "redis://x"
    first.__setattr__("PORT", 1)

    assert second.as_dict() == folder.load().as_dict()
    assert second.PORT == 8000


def test_loading_leaves_the_environment_as_it_was(folder: SettingsFolder) -> None:
    folder.file("a.py", "MINE = 1")
    folder.variables(ENV="dev", OPA_PTVSD="1")
    before = dict(os.environ)
    folder.load()

    assert dict(os.environ) == before


def test_a_load_knows_nothing_of_one_before_it(folder: SettingsFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    pristine = folder.load().as_dict()
    file = folder.file("a.yaml", "default: {PORT: 1, MINE: 1, OPTIONAL_COMPONENTS: {}}")
    folder.variables(ENV="dev", OPA_HOST="x")
    folder.load()
    file.unlink()
    monkeypatch.delenv("ENV")
    monkeypatch.delenv("OPA_HOST")

    assert folder.load().as_dict() == pristine


def test_warnings_are_logged_also_when_there_are_mistakes(
    folder: SettingsFolder, caplog: pytest.LogCaptureFixture
) -> None:
    folder.variables(OPA_PORT="x", OPA_PLUGIN_PATH="/x")
    with pytest.raises(SettingsError):
        folder.load()

    assert [record.levelno for record in caplog.records] == [logging.WARNING]


# What a variable stands for


def test_a_variable_may_be_json_where_toml_knows_another_way_to_write_it(folder: SettingsFolder) -> None:
    folder.variables(
        OPA_PLUGIN_PATHS='["/srv/\\ud83d\\ude80/plugins"]',
        OPA_PLUGIN_SETTINGS__A='{"url": "https://a", "no": null}',
        OPA_OPTIONAL_COMPONENTS__WALRUS__OPTS='{"URL": "redis://cache"}',
        OPA_CELERY_BEAT_SCHEDULE__NIGHTLY='{"task": "shop.count", "schedule": 60}',
        OPA_OWN='{"a": 1}',
        OPA_OWN_LIST="[null, 1]",
    )

    config = folder.load()

    assert config.PLUGIN_PATHS == ["/srv/\N{ROCKET}/plugins"]
    assert config.PLUGIN_SETTINGS.A == {"url": "https://a", "no": None}
    assert config.OPTIONAL_COMPONENTS.WALRUS.OPTS == {"URL": "redis://cache"}
    assert config.CELERY_BEAT_SCHEDULE.NIGHTLY == {"task": "shop.count", "schedule": 60}
    assert config.OWN == '{"a": 1}'
    assert config.OWN_LIST == [None, 1]


@pytest.mark.parametrize("text", ["123456", "1e5", "12_34", "0x1F", "inf", "1979-05-27"])
def test_a_variable_is_taken_as_it_is_where_the_name_is_that_of_a_password(folder: SettingsFolder, text: str) -> None:
    names = ("OPTIONAL_COMPONENTS__WALRUS__OPTS__PASSWORD", "SMTP_PASSWORD", "SHOP__client_secret", "USE_PASSWORD")
    folder.variables(**{f"OPA_{name}": text for name in names[:-1]}, OPA_USE_PASSWORD="false", OPA_MAX_TOKEN="5")
    config = folder.load()
    assert [config[name.replace("__", ".")] for name in names] == [text, text, text, False]
    assert config.MAX_TOKEN == 5


@pytest.mark.parametrize("text", ["true", "1.10", "1979-05-27", "007"])
def test_a_variable_is_taken_as_it_is_where_the_setting_is_a_text(folder: SettingsFolder, text: str) -> None:
    folder.variables(OPA_PROJECT_NAME=text)

    assert text == folder.load().PROJECT_NAME


# Values that other programs read in another way


def test_a_text_that_yaml_once_took_for_a_switch_gets_a_warning_with_its_line(
    folder: SettingsFolder, caplog: pytest.LogCaptureFixture
) -> None:
    file = folder.file(
        "s.yaml",
        """
        default:
          MY_FLAG: no
          MINE: {deep: [Off]}
          MY_MODE: 0644
          OPTIONAL_COMPONENTS: {dynaconf_merge: true, WALRUS: {LOAD: no, OPTS: {decode_responses: on}}}
          PLUGIN_SETTINGS: {a: {flag: yes}}
          RELOAD: no
          PROJECT_NAME: off
          OPTIONAL_COMPONENTS__WALRUS__LOAD: no
          OPTIONAL_COMPONENTS.AIOREDIS.LOAD: no
          PLUGIN_SETTINGS__A__X: no
          CELERY_BEAT_SCHEDULE: {nightly: {enabled: off, RELATIVE: no}}
          MY_TEXT: !!str no
          FINE: ["no", 'off', nothing, 0, 0.5, 10, "0644"]
        other: {ELSEWHERE: no}
        """,
    )

    config = folder.load()

    assert (config.MY_FLAG, config.MY_MODE, config.RELOAD) == ("no", 644, False)
    said = [warning.replace(str(file), "s.yaml") for warning in warnings(caplog)]
    assert said == [
        'MY_FLAG: is the text "no", which counts as true in Python; write false, or the text in quotes (s.yaml:3)',
        'MINE.deep: is the text "Off", which counts as true in Python; write false, or the text in quotes (s.yaml:4)',
        "MY_MODE: is the number 644; write 0o644 for an octal number, or the text in quotes (s.yaml:5)",
        "OPTIONAL_COMPONENTS.WALRUS.OPTS.decode_responses: "
        'is the text "on", which counts as true in Python; write true, or the text in quotes (s.yaml:6)',
    ]


def test_a_variable_with_such_a_text_gets_a_warning_unless_it_is_quoted(
    folder: SettingsFolder, caplog: pytest.LogCaptureFixture
) -> None:
    folder.variables(OPA_MY_FLAG="off", OPA_RELOAD="off", OPA_MY_TEXT='"off"')

    config = folder.load()

    assert (config.MY_FLAG, config.MY_TEXT) == ("off", "off")
    assert [warning.partition(":")[0] for warning in warnings(caplog)] == ["MY_FLAG"]


def test_a_dot_beside_underscores_is_one_of_the_key(folder: SettingsFolder, caplog: pytest.LogCaptureFixture) -> None:
    folder.variables(**{"OPA_PLUGIN_SETTINGS__my.plugin": '{"a": null}', "OPA_OPTIONAL_COMPONENTS__walrus__LOAD": "no"})

    config = folder.load()

    assert config.PLUGIN_SETTINGS["my.plugin"] == {"a": None}
    assert warnings(caplog) == []


# Variables of other programs


def test_variables_that_describe_a_service_are_no_settings(folder: SettingsFolder) -> None:
    folder.variables(
        OPA_PORT="tcp://10.96.12.7:8000", OPA_DEBUGPY_PORT="tcp://[fd00::7]:80", OPA_SERVICE_HOST="10.96.12.7"
    )

    config = folder.load()

    assert (config.PORT, config.DEBUGPY_PORT) == (8000, 5678)
    assert "SERVICE_HOST" not in config
