from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests import programs
from tests.settings_folder import SettingsFolder

OPA = [sys.executable, "-c", "from opa.cli import main; main()"]
LONG = "redis://" + "a" * 300 + "/0"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SettingsFolder:
    return SettingsFolder(tmp_path, monkeypatch)


def opa(*arguments: str) -> subprocess.CompletedProcess[str]:
    return programs.run([*OPA, "config", *arguments])


def rows(output: str) -> dict[str, list[str]]:
    """The cells of each line, by the first one."""
    lines = [[cell for cell in line.strip().split("  ") if cell] for line in output.splitlines()]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines if cells}


def test_opa_config_shows_every_setting_with_its_source(folder: SettingsFolder) -> None:
    file = folder.file("a.yaml", "default: {PORT: 81, MINE: {a: [1, x]}}")
    folder.variables(ENV="dev", OPA_OPTIONAL_COMPONENTS__WALRUS__OPTS__URL="redis://other")

    run = opa()
    shown = rows(run.stdout)

    assert (run.returncode, run.stderr) == (0, "")
    assert shown["PORT"] == ["81", f"{file} [default]"]
    assert shown["MINE.a"] == ['[1, "x"]', f"{file} [default]"]
    assert shown["MODE"] == ['"dev"', "default-settings.yaml [dev]"]
    assert shown["WORKERS"] == ["null", "default-settings.yaml [default]"]
    assert shown["OPTIONAL_COMPONENTS.WALRUS.OPTS.URL"] == [
        '"redis://other"',
        "environment variable OPA_OPTIONAL_COMPONENTS__WALRUS__OPTS__URL",
    ]
    assert shown["SETTINGS_DIR"] == [f'"{folder.path}"', "environment variable OPA_SETTINGS_DIR"]
    assert set(folder.load().as_dict()) - {"OPTIONAL_COMPONENTS", "MINE"} <= set(shown)


def test_opa_config_masks_secrets(folder: SettingsFolder) -> None:
    folder.file("a.yaml", "default: {SECRET_KEY: hunter2, MINE: {API_TOKEN: hunter2, URL: 'redis://:hunter2@host'}}")

    for arguments in ([], ["--json"], ["SECRET_KEY"], ["MINE"], ["MINE", "--json"], ["MINE.API_TOKEN"]):
        run = opa(*arguments)

        assert run.returncode == 0
        assert "hunter2" not in run.stdout + run.stderr
        assert "***" in run.stdout


@pytest.mark.parametrize("name", ["SECRET_KEY", "PORT", "MINE", "OPTIONAL_COMPONENTS.WALRUS.OPTS.URL"])
def test_a_value_from_a_file_is_not_shown_and_its_source_is_the_file(folder: SettingsFolder, name: str) -> None:
    file = folder.path / "value"
    file.write_text("80")
    variable = f"OPA_{name.replace('.', '__')}__FILE"
    folder.variables(**{variable: str(file)})

    run = opa(name, "--json")

    assert (run.returncode, run.stderr) == (0, "")
    assert json.loads(run.stdout) == {
        name: {"value": "***", "source": f"file {file} of environment variable {variable}"}
    }


def test_piped_output_is_plain_and_not_cut(folder: SettingsFolder) -> None:
    folder.variables(OPA_MINE=LONG, COLUMNS="40")

    run = opa()

    assert rows(run.stdout)["MINE"] == [f'"{LONG}"', "environment variable OPA_MINE"]
    assert "\x1b" not in run.stdout


def test_a_terminal_shows_everything_too(folder: SettingsFolder) -> None:
    folder.variables(OPA_MINE=LONG, COLUMNS="80", TERM="xterm")
    master, slave = pty.openpty()
    with subprocess.Popen([*OPA, "config", "MINE"], stdout=slave, stderr=slave, stdin=slave) as process:
        os.close(slave)
        output = b""
        try:
            while chunk := os.read(master, 4096):
                output += chunk
        except OSError:  # how Linux says that the other end is closed
            pass
    os.close(master)

    assert process.returncode == 0
    assert output.count(b"a") >= 300
    assert "…".encode() not in output


def test_brackets_in_a_value_are_shown_as_they_are(folder: SettingsFolder) -> None:
    folder.variables(OPA_MINE="[bold]x[/]")

    assert rows(opa("MINE").stdout)["MINE"][0] == '"[bold]x[/]"'


def test_json_has_the_values_in_their_types(folder: SettingsFolder) -> None:
    file = folder.file("a.yaml", "default: {PORT: 81, MINE: {a: [1, x], day: 2024-01-31, ä: ö}, EMPTY: {}}")

    shown = json.loads(opa("--json").stdout)

    assert shown["PORT"] == {"value": 81, "source": f"{file} [default]"}
    assert shown["MINE.a"] == {"value": [1, "x"], "source": f"{file} [default]"}
    assert shown["MINE.day"]["value"] == "2024-01-31"
    assert shown["MINE.ä"]["value"] == "ö"
    assert shown["EMPTY"]["value"] == {}
    assert shown["WORKERS"]["value"] is None


@pytest.mark.parametrize("name", ["OPTIONAL_COMPONENTS.WALRUS", "optional_components.walrus"])
def test_a_name_shows_what_is_in_it_alone(folder: SettingsFolder, name: str) -> None:
    shown = json.loads(opa(name, "--json").stdout)

    assert list(shown) == [f"OPTIONAL_COMPONENTS.WALRUS.{key}" for key in ("LOAD", "DRIVER", "OPTS.URL")]


def test_a_name_that_is_not_there_is_an_error_with_the_one_that_is_meant(folder: SettingsFolder) -> None:
    run = opa("LOG_LEVEL")

    assert run.returncode == 1
    assert run.stdout == ""
    assert 'there is no setting "LOG_LEVEL". Did you mean LOGLEVEL?' in run.stderr


@pytest.mark.parametrize("arguments", [[], ["--json"], ["PORT"]])
def test_every_mistake_is_a_line_and_the_exit_status_is_1(folder: SettingsFolder, arguments: list[str]) -> None:
    folder.file("a.json", "{")
    folder.variables(OPA_PORT="x", OPA_DEBUG="maybe")

    run = opa(*arguments)

    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.splitlines() == [
        f"settings file does not parse: Expecting property name enclosed in double quotes ({folder.path}/a.json:1)",
        'DEBUG: is "maybe", should be true or false (environment variable OPA_DEBUG)',
        'PORT: is "x", should be a whole number (environment variable OPA_PORT)',
    ]


def test_warnings_are_written_to_standard_error(folder: SettingsFolder) -> None:
    folder.variables(OPA_PLUGIN_PATH="/x")

    run = opa("--json")

    assert "did you mean PLUGIN_PATHS?" in run.stderr
    assert json.loads(run.stdout)["PLUGIN_PATH"]["value"] == "/x"
