from __future__ import annotations

import sys
from pathlib import Path

import pytest

from opa._util.reading import MAX_FILE_BYTES
from opa.settings import load
from opa.settings.load import load_settings
from tests import programs
from tests.settings_folder import SettingsFolder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SettingsFolder:
    return SettingsFolder(tmp_path, monkeypatch)


@pytest.fixture(params=["plain", "dynaconf"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways on which settings are put together."""
    if request.param == "dynaconf":
        monkeypatch.setattr(load, "plain_settings", lambda *_: None)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text("hunter2\n")
    return file


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("SECRET_KEY", "hunter2\n", "SECRET_KEY", "hunter2"),
        ("SECRET_KEY", "hunter2\r\n", "SECRET_KEY", "hunter2"),
        ("SECRET_KEY", "two\n\nlines\n", "SECRET_KEY", "two\n\nlines"),
        ("SECRET_KEY", " spaces ", "SECRET_KEY", " spaces "),
        ("SECRET_KEY", "@int 5", "SECRET_KEY", "@int 5"),
        ("SECRET_KEY", "@format {this.PORT}", "SECRET_KEY", "@format {this.PORT}"),
        ("secret_key", "hunter2", "SECRET_KEY", "hunter2"),
        ("SECRET_KEY", "dynaconf_merge", "SECRET_KEY", "dynaconf_merge"),
        ("SECRET_KEY", "[" * 500, "SECRET_KEY", "[" * 500),
        ("SECRET_KEY", "é\ufeff", "SECRET_KEY", "é\ufeff"),
        ("PORT", "8080\n", "PORT", 8080),
        ("DEBUG", "true\n", "DEBUG", True),
        ("WORKERS", "null\n", "WORKERS", None),
        (
            "ALLOW_ORIGINS",
            "https://a.example, https://b.example\n",
            "ALLOW_ORIGINS",
            ["https://a.example", "https://b.example"],
        ),
        ("DEBUGPY_PORT", "5\n", "DEBUGPY_PORT", 5),
        ("PTVSD", "true", "DEBUGPY", True),
        ("MINE", "007\n", "MINE", "007"),
        ("MINE__KEY", "@none", "MINE.KEY", "@none"),
        ("MINE__FILE", "1", "MINE.FILE", "1"),
        (
            "OPTIONAL_COMPONENTS__MONGODB__OPTS__URL",
            "mongodb://a:@b@c\n",
            "OPTIONAL_COMPONENTS.MONGODB.OPTS.URL",
            "mongodb://a:@b@c",
        ),
        ("OPTIONAL_COMPONENTS__walrus__LOAD", "no\n", "OPTIONAL_COMPONENTS.WALRUS.LOAD", "no"),
        ("PLUGIN_SETTINGS__SHOP__TOKEN", "@int 5", "PLUGIN_SETTINGS.SHOP.TOKEN", "@int 5"),
        ("CELERY_BROKER_URL", "redis://a\n", "CELERY_BROKER_URL", "redis://a"),
    ],
)
def test_any_setting_is_the_text_of_the_file_that_its_variable_names(
    folder: SettingsFolder, tmp_path: Path, variable: str, text: str, name: str, value: object
) -> None:
    file = tmp_path / "value"
    file.write_bytes(text.encode())
    folder.variables(**{f"OPA_{variable}__FILE": str(file)})

    config = folder.load()

    assert config[name] == value
    assert config.source(name) == f"file {file} of environment variable OPA_{variable}__FILE"


def test_a_file_changes_one_value_and_leaves_the_others(folder: SettingsFolder, secret: Path) -> None:
    before = folder.load().as_dict()
    folder.variables(OPA_OPTIONAL_COMPONENTS__AIOREDIS__OPTS__PASSWORD__FILE=str(secret))

    after = folder.load().as_dict()

    assert after["OPTIONAL_COMPONENTS"]["AIOREDIS"]["OPTS"].pop("PASSWORD") == "hunter2"
    assert after == before


def test_a_file_wins_over_settings_files_and_other_settings_may_use_it(folder: SettingsFolder, secret: Path) -> None:
    folder.file("a.yaml", 'default: {SECRET_KEY: other, MINE: "@format <{this.SECRET_KEY}>"}')
    folder.variables(OPA_SECRET_KEY__FILE=str(secret))

    config = folder.load()

    assert (config.SECRET_KEY, config.MINE) == ("hunter2", "<hunter2>")


def test_a_key_with_a_dash_is_found_for_a_file_too(folder: SettingsFolder, secret: Path) -> None:
    folder.file("a.yaml", "default: {PLUGIN_SETTINGS: {my-shop: {token: x}}}")
    folder.variables(OPA_PLUGIN_SETTINGS__MY_SHOP__TOKEN__FILE=str(secret))

    assert folder.load().PLUGIN_SETTINGS == {"my-shop": {"token": "hunter2"}}


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize(
    "mapping", ["PLUGIN_SETTINGS__REPORTS", "OPTIONAL_COMPONENTS__WALRUS__OPTS", "CELERY_TASK_ROUTES"]
)
def test_behind_the_name_of_a_mapping_it_is_a_key(folder: SettingsFolder, mapping: str) -> None:
    folder.variables(**{f"OPA_{mapping}__FILE": "/data/reports.csv"})

    assert folder.load()[f"{mapping.replace('__', '.')}.FILE"] == "/data/reports.csv"


@pytest.mark.usefixtures("path")
def test_an_empty_variable_gives_way_to_the_file(folder: SettingsFolder, secret: Path) -> None:
    folder.variables(OPA_SECRET_KEY="", OPA_SECRET_KEY__FILE=str(secret))

    assert folder.load().SECRET_KEY == "hunter2"


def test_a_value_in_a_variable_and_in_a_file_is_a_mistake(folder: SettingsFolder, secret: Path) -> None:
    folder.variables(OPA_SECRET_KEY="hunter3", OPA_SECRET_KEY__FILE=str(secret))

    assert folder.mistakes() == [
        "SECRET_KEY: is set more than once, by the environment variables OPA_SECRET_KEY and OPA_SECRET_KEY__FILE "
        f"({secret}); keep one of them"
    ]


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        (("PORT", "port"), "PORT: is set more than once, by the environment variables OPA_PORT and OPA_port; keep one"),
        (("PORT", "Port", "port"), "PORT: is set more than once, by the environment variables OPA_PORT, OPA_Port and "),
        (("MINE__A__B", "mine__A__b"), "MINE.A.B: is set more than once, by the environment variables OPA_MINE__A__B "),
        (
            ("MINE.A", "MINE__a"),
            "MINE.A: is set more than once, by the environment variables OPA_MINE.A and OPA_MINE__a",
        ),
        (
            ("OPTIONAL_COMPONENTS__WALRUS__LOAD", "OPTIONAL_COMPONENTS__walrus__LOAD"),
            "OPTIONAL_COMPONENTS.WALRUS.LOAD: is set more than once, by the environment variables ",
        ),
        (
            ("SECRET_KEY__FILE", "secret_key__file"),
            "SECRET_KEY: is set more than once, by the environment variables OPA_SECRET_KEY__FILE (1) and "
            "OPA_secret_key__file (1); keep one of them",
        ),
        (("secret_key", "SECRET_KEY__file"), "SECRET_KEY: is set more than once, by the environment variables "),
        (
            ("PLUGIN_SETTINGS__A__FILE", "PLUGIN_SETTINGS__A__file"),
            "PLUGIN_SETTINGS.A.FILE: is set more than once, by the environment variables ",
        ),
    ],
)
def test_a_setting_that_is_given_in_two_spellings_is_a_mistake_that_names_both(
    folder: SettingsFolder, variables: tuple[str, ...], told: str
) -> None:
    folder.variables(**{f"OPA_{name}": "1" for name in variables})

    (mistake,) = folder.mistakes()

    assert mistake.startswith(told)
    assert all(f"OPA_{name}" in mistake for name in variables)


def test_a_variable_for_a_part_of_a_setting_wins_over_that_of_the_whole_in_any_spelling(folder: SettingsFolder) -> None:
    folder.variables(OPA_MINE__A="1", OPA_mine='@json {"b": 2}')

    assert folder.load().MINE == {"b": 2, "A": 1}


def test_a_key_file_inside_of_a_plugins_settings_is_no_file_with_its_value(folder: SettingsFolder) -> None:
    """`__FILE` behind a key always names a value file; the message says how the key is written."""
    folder.variables(OPA_PLUGIN_SETTINGS__REPORTS__LOG__FILE="/nowhere/reports.log")

    assert folder.mistakes() == [
        "PLUGIN_SETTINGS.REPORTS.LOG: the file /nowhere/reports.log cannot be read: No such file or directory; mount "
        "it there, or correct the path; if FILE is a key of it, write "
        'OPA_PLUGIN_SETTINGS__REPORTS__LOG=\'@merge {"file": "…"}\' '
        "(environment variable OPA_PLUGIN_SETTINGS__REPORTS__LOG__FILE)"
    ]


def test_a_setting_in_which_another_one_is_set_is_not_read_from_a_file(folder: SettingsFolder, secret: Path) -> None:
    folder.variables(
        OPA_PLUGIN_SETTINGS__REPORTS__LOG__FILE=str(secret), OPA_PLUGIN_SETTINGS__REPORTS__LOG__LEVEL="info"
    )

    assert folder.mistakes() == [
        "PLUGIN_SETTINGS.REPORTS.LOG: is a mapping, since PLUGIN_SETTINGS.REPORTS.LOG.LEVEL is set, and cannot be read "
        'from a file; if FILE is a key of it, write OPA_PLUGIN_SETTINGS__REPORTS__LOG=\'@merge {"file": "…"}\' '
        f"(environment variable OPA_PLUGIN_SETTINGS__REPORTS__LOG__FILE ({secret}))"
    ]


@pytest.mark.parametrize("key", ["REPORTS", "REPORTS__LOG"])
def test_file_twice_reads_the_key_file_from_a_file(folder: SettingsFolder, secret: Path, key: str) -> None:
    folder.variables(**{f"OPA_PLUGIN_SETTINGS__{key}__FILE__FILE": str(secret)})

    assert folder.load()[f"PLUGIN_SETTINGS.{key.replace('__', '.')}.FILE"] == "hunter2"


def test_the_key_file_is_written_as_the_message_says(folder: SettingsFolder) -> None:
    folder.file("a.yaml", "default: {PLUGIN_SETTINGS: {reports: {log: {level: info}}}}")
    folder.variables(OPA_PLUGIN_SETTINGS__REPORTS__LOG='@merge {"file": "/data/reports.log"}')

    assert folder.load().PLUGIN_SETTINGS == {"reports": {"log": {"level": "info", "file": "/data/reports.log"}}}


def test_a_file_that_is_not_there_is_a_mistake_that_says_what_to_do(folder: SettingsFolder) -> None:
    folder.variables(OPA_SECRET_KEY__FILE="/nowhere/key", OPA_PORT="eighty")

    assert folder.mistakes() == [
        "SECRET_KEY: the file /nowhere/key cannot be read: No such file or directory; mount it there, or correct the "
        "path (environment variable OPA_SECRET_KEY__FILE)",
        'PORT: is "eighty", should be a whole number (environment variable OPA_PORT)',
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"caf\xe9", "is not UTF-8 text, in line 1"),
        (b"a" * (MAX_FILE_BYTES + 1), "is larger than 10 MB"),
        (None, "is not a regular file"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_mistake(
    folder: SettingsFolder, tmp_path: Path, content: bytes | None, problem: str
) -> None:
    file = tmp_path / "value"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    folder.variables(OPA_OPTIONAL_COMPONENTS__MONGODB__OPTS__URL__FILE=str(file))

    assert folder.mistakes() == [
        f"OPTIONAL_COMPONENTS.MONGODB.OPTS.URL: the file {file} {problem}; the file should have the value alone, as "
        "UTF-8 text that this user may read (environment variable OPA_OPTIONAL_COMPONENTS__MONGODB__OPTS__URL__FILE)"
    ]


def test_a_variable_that_names_no_file_is_a_mistake(folder: SettingsFolder) -> None:
    folder.variables(OPA_SECRET_KEY__FILE="")

    assert folder.mistakes() == [
        "SECRET_KEY: names no file; set it to the path of the file that has the value, or unset it "
        "(environment variable OPA_SECRET_KEY__FILE)"
    ]


def test_the_settings_folder_is_not_named_by_a_file(folder: SettingsFolder, secret: Path) -> None:
    folder.variables(OPA_SETTINGS_DIR__FILE=str(secret))

    assert "can only be set as the environment variable OPA_SETTINGS_DIR" in folder.mistakes()[0]


@pytest.mark.usefixtures("path")
def test_no_mistake_shows_the_content_of_a_value_file(folder: SettingsFolder, secret: Path) -> None:
    folder.variables(OPA_PORT__FILE=str(secret), OPA_LOGLEVEL__FILE=str(secret))

    mistakes = folder.mistakes()

    assert f"PORT: should be a whole number (file {secret} of environment variable OPA_PORT__FILE)" in mistakes
    assert "hunter2" not in str(mistakes)


def test_a_file_of_a_plain_setting_needs_no_dynaconf(folder: SettingsFolder, secret: Path) -> None:
    folder.variables(OPA_SECRET_KEY__FILE=str(secret))
    program = "import sys; from opa import config; print(config.SECRET_KEY, 'dynaconf' in sys.modules)"

    assert programs.run([sys.executable, "-c", program], fresh=True).stdout == "hunter2 False\n"


def test_both_ways_give_the_same(folder: SettingsFolder, secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.variables(OPA_SECRET_KEY__FILE=str(secret), OPA_ALLOW_ORIGINS__FILE=str(secret), OPA_MINE__FILE=str(secret))
    secret.write_text("https://a.example")
    plain = load_settings()
    monkeypatch.setattr(load, "plain_settings", lambda *_: None)

    assert list(load_settings().leaves()) == list(plain.leaves())
