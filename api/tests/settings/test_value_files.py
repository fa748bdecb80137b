"""Nothing of what a value file has is shown, whatever setting it is for and whatever is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, HttpUrl, ImportString, ValidationInfo, field_validator

from opa import PluginSettings
from opa._util.reading import MAX_FILE_BYTES
from opa.bootstrap import prepare
from opa.checks import findings_in_plugins
from opa.checks.deploy.as_json import error_as_json
from opa.core.plugin_settings import PluginSettingsStore
from opa.current import current
from opa.errors import OpaError, SettingsError
from opa.http.builder import build_app
from opa.introspection.settings import masked
from opa.logging.logger import log, setup_logging
from opa.process.error_report import print_error, print_start_error
from opa.settings.load import load_settings
from opa.settings.names import KNOWN, is_mapping_setting
from opa.settings.value_files import ValueFileError, is_from_file, read_value
from tests.project import Project
from tests.settings_folder import SettingsFolder

PLANTED = (
    "Leakme-Zq7 'x' \"y\"",
    "leakme.zq7",
    "leakme.zq7:Leakme",
    "https://Leakme.zq7/path/leakme",
    "/leakme/zq7, leakme zq7.example:80",
    '["leakme_zq7"]',
    "leakme_zq7(",
)
"""What is no right value of most settings, and is quoted in different ways."""
OWN = ("MINE", "MINE__KEY", "OPTIONAL_COMPONENTS__MINE__DRIVER", "OPTIONAL_COMPONENTS__WALRUS__LOAD")
SETTINGS = sorted(name for name in {*KNOWN, *OWN} if not is_mapping_setting(name))
USED_TO_LOAD = (
    *(
        "PLUGIN_PATHS",
        "PLUGIN_WHITELIST_LIST",
        "PLUGIN_WHITELIST_RE",
        "PLUGIN_BLACKLIST_LIST",
        "PLUGIN_BLACKLIST_RE",
    ),
    *("INSTALLED_PLUGINS", "MIDDLEWARE", "OPTIONAL_COMPONENTS__MINE__DRIVER"),
)
"""Settings that are wrong only when plugins are loaded and put together."""


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    return tmp_path / "value"


def plant(file: Path, text: str) -> None:
    """Write the file, for a process that has read none yet."""
    current.hidden_texts = ()
    file.write_text(text)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SettingsFolder:
    return SettingsFolder(tmp_path, monkeypatch)


@contextmanager
def reported() -> Iterator[None]:
    """An error is shown in each way in which commands show one."""
    try:
        yield
    except OpaError as error:
        print(error, error.where, error.hint)
        print(error_as_json(error))
        print_error(error)
        print_start_error(error)


@pytest.mark.parametrize("name", SETTINGS)
def test_nothing_of_a_value_from_a_file_is_shown(
    folder: SettingsFolder, capsys: pytest.CaptureFixture[str], planted: Path, name: str
) -> None:
    folder.variables(**{f"OPA_{name}__FILE": str(planted)})
    for text in PLANTED:
        plant(planted, text)
        with reported():
            print(list(masked(load_settings().leaves(), dict)))

        output = "".join(capsys.readouterr())

        assert f"file {planted} of environment variable OPA_{name}__FILE" in output
        assert "zq7" not in output.lower()
        assert "leakme" not in output.lower()


@pytest.mark.parametrize("name", USED_TO_LOAD)
def test_a_start_that_fails_shows_nothing_of_it(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], planted: Path, name: str
) -> None:
    monkeypatch.setenv(f"OPA_{name}__FILE", str(planted))
    output = ""
    for text in PLANTED:
        plant(planted, text)
        with reported():
            manager = prepare(load_settings())
            print(*findings_in_plugins(manager), sep="\n")
            build_app(manager)

        output += "".join(capsys.readouterr())

    assert "***" in output
    assert "zq7" not in output.lower()
    assert "leakme" not in output.lower()


@pytest.mark.parametrize(
    ("limit", "other"), [("7", "CELERY_TASK_SOFT_TIME_LIMIT"), ("987654", "TASK_VISIBILITY_TIMEOUT")]
)
def test_a_mistake_of_another_setting_does_not_show_it(
    project: Project, monkeypatch: pytest.MonkeyPatch, planted: Path, limit: str, other: str
) -> None:
    planted.write_text(limit)
    monkeypatch.setenv("OPA_CELERY_TASK_TIME_LIMIT__FILE", str(planted))
    monkeypatch.setenv(f"OPA_{other}", "9")

    with pytest.raises(SettingsError) as raised:
        load_settings()

    (mistake,) = raised.value.mistakes
    assert mistake.startswith(f"{other}: is 9, should be ")
    assert "CELERY_TASK_TIME_LIMIT, " in mistake


class Card(BaseModel):
    pin: int
    name: str = ""

    @field_validator("name")
    @classmethod
    def known(cls, value: str) -> str:
        raise ValueError(f"{value.upper()[:9]} is not known, nor {value!r}")


class Color(Enum):
    RED = "red"


class Mine(PluginSettings):
    pin: int = 0
    day: date = date(2000, 1, 1)
    site: HttpUrl | None = None
    call: ImportString[Any] | None = None
    color: Color = Color.RED
    kind: Literal["a", "b"] = "a"
    number: UUID | None = None
    numbers: list[int] = []
    by_name: dict[str, int] = {}
    card: Card | None = None
    later: str = ""

    @field_validator("later")
    @classmethod
    def right(cls, value: str, info: ValidationInfo) -> str:
        raise ValueError(f"{value} is not right beside {info.data}")


KEYS = (
    *("PIN", "DAY", "SITE", "CALL", "COLOR", "KIND", "NUMBER", "NUMBERS", "BY_NAME", "CARD", "LATER"),
    *("CARD__PIN", "CARD__NAME", "OTHER"),
)


def mistakes_of_mine() -> str:
    store = PluginSettingsStore(load_settings(), {Mine.__module__: "mine"})
    with pytest.raises(SettingsError) as raised:
        store.of(Mine)
    return "\n".join((str(raised.value), *raised.value.mistakes))


@pytest.mark.parametrize("key", KEYS)
def test_nothing_of_a_value_for_the_model_of_a_plugin_is_shown(
    project: Project, monkeypatch: pytest.MonkeyPatch, planted: Path, key: str
) -> None:
    monkeypatch.setenv("OPA_PLUGIN_SETTINGS__MINE__LATER", "anything")
    monkeypatch.delenv(f"OPA_PLUGIN_SETTINGS__MINE__{key}", raising=False)
    monkeypatch.setenv(f"OPA_PLUGIN_SETTINGS__MINE__{key}__FILE", str(planted))
    for text in PLANTED:
        plant(planted, text)

        mistakes = mistakes_of_mine()

        # One of the texts is a right value of SITE, and the wrong one beside it quotes that.
        source = "LATER" if key == "SITE" and text.startswith("https") else f"{key}__FILE"
        assert f"environment variable OPA_PLUGIN_SETTINGS__MINE__{source}" in mistakes
        assert "zq7" not in mistakes.lower()
        assert "leakme" not in mistakes.lower()


def test_a_short_value_is_not_shown_by_the_validator_of_another_field(
    project: Project, monkeypatch: pytest.MonkeyPatch, planted: Path
) -> None:
    planted.write_text("417")
    monkeypatch.setenv("OPA_PLUGIN_SETTINGS__MINE__PIN__FILE", str(planted))
    monkeypatch.setenv("OPA_PLUGIN_SETTINGS__MINE__LATER", "anything")

    mistakes = mistakes_of_mine()

    assert "anything is not right beside {'pin': ***" in mistakes
    assert "417" not in mistakes.replace(str(planted), "")


def test_the_log_shows_nothing_of_it(
    project: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], planted: Path
) -> None:
    planted.write_text("Leakme-Zq7 'x'\n")
    monkeypatch.setenv("OPA_MINE__FILE", str(planted))
    for form in ("json", "text"):
        monkeypatch.setenv("OPA_LOG_FORMAT", form)
        config = load_settings()
        setup_logging(config)
        value = config.MINE
        log.bind(given=value, inside={"a": [value]}).info("it is {}, {!r} or {}", value, value, [value])
        try:
            raise ValueError(value)
        except ValueError:
            log.exception(json.dumps(value))

        output = capfd.readouterr().err

        assert output.count("***") >= 6
        assert "zq7" not in output.lower()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty; "),
        (b"\n", "is empty; "),
        (b"\r\n", "is empty; "),
        (b"\xef\xbb\xbf", "is empty; "),
        (b"hun\0ter", "has a NUL character; "),
        (b"hunter\n\n", "ends with more than one newline, "),
        (b"hunter\r\n\r\n", "ends with more than one newline, "),
        (b"\n\n", "ends with more than one newline, "),
        (b"caf\xe9", "is not UTF-8 text, in line 1; "),
        (b"huge", "is larger than 10 MB; "),
        (None, "is not a regular file; "),
    ],
)
def test_a_file_without_a_usable_value_is_told_in_one_line(planted: Path, content: bytes | None, problem: str) -> None:
    if content is None:
        planted.mkdir()
    else:
        planted.write_bytes(content * (MAX_FILE_BYTES if content == b"huge" else 1))

    with pytest.raises(ValueFileError) as raised:
        read_value(str(planted))

    assert str(raised.value).startswith(f"the file {planted} {problem}")
    assert "\n" not in str(raised.value)
    assert "hu" not in str(raised.value).removeprefix(f"the file {planted}")


@pytest.mark.parametrize(
    ("content", "value"),
    [("a\n", "a"), ("a\r\n", "a"), ("a", "a"), ("\na\n", "\na"), ("a\n\nb\n", "a\n\nb"), (" ", " ")],
)
def test_one_newline_at_the_end_is_none_of_the_value(planted: Path, content: str, value: str) -> None:
    planted.write_bytes(content.encode())

    assert read_value(str(planted)) == value


def test_a_file_that_may_not_be_read_is_told(folder: SettingsFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder.path.parent / "value"
    file.write_text("hunter2")

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("opa._util.reading.open", refused, raising=False)  # root may read all
    folder.variables(OPA_SECRET_KEY__FILE=str(file))

    assert folder.mistakes() == [
        f"SECRET_KEY: the file {file} cannot be read: Permission denied; the file should have the value alone, as "
        "UTF-8 text that this user may read (environment variable OPA_SECRET_KEY__FILE)"
    ]


def test_a_value_with_several_sources_is_from_a_file_where_one_of_them_is() -> None:
    of_file = "file /run/secrets/a of environment variable OPA_A__FILE"

    assert is_from_file(of_file)
    assert is_from_file(f"settings/a.yaml [default], {of_file}")
    assert not is_from_file("settings/a file [default]")
