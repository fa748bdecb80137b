from __future__ import annotations

import json
import sys

import pytest
from loguru import logger

from opa.errors import SettingsError
from opa.logging.logger import log, setup_logging
from tests.logging.conftest import Lines, here, run, settings

pytestmark = pytest.mark.usefixtures("undone")


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_raw_message_is_a_line_as_any_other(capsys: pytest.CaptureFixture[str], form: str) -> None:
    setup_logging(settings(form=form))
    own: list[str] = []
    sink = logger.add(own.append, format="{message}")
    capsys.readouterr()
    text = "password=hunter2 from \x1b[31m\u202e\n2026-01-01 fake\n"
    log.opt(raw=True).info(text)
    log.opt(raw=True, colors=True).info("<red>password=hunter2</red>\n")
    logger.opt(raw=True).info(text)
    log.remove(sink)
    written = capsys.readouterr().err
    assert "hunter2" not in written
    assert written.isascii()
    assert "\x1b" not in written
    assert len([line for line in written.splitlines() if line[0] != " "]) == 3
    if form == "json":
        first = json.loads(written.splitlines()[0])
        assert first["message"] == "password=*** from \x1b[31m\u202e\n2026-01-01 fake"
    assert own[0] == text  # a sink of the user's own has it as it is


def test_an_unknown_format_is_an_error() -> None:
    with pytest.raises(SettingsError, match="LOG_FORMAT"):
        setup_logging(settings(form="xml"))


@pytest.mark.parametrize(
    ("form", "env", "terminal", "as_text"),
    [
        ("auto", "", False, False),
        ("auto", "dev", False, True),
        ("auto", "", True, True),
        ("json", "dev", True, False),
        ("TEXT", "", False, True),
    ],
)
def test_the_format_is_chosen(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    form: str,
    env: str,
    terminal: bool,
    as_text: bool,
) -> None:
    monkeypatch.setenv("ENV", env)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    setup_logging(settings(form=form))
    log.info("hello")
    assert capsys.readouterr().err.startswith("{") is not as_text


@pytest.mark.parametrize(
    ("environ", "terminal", "colored"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"TERM": "dumb"}, True, False),
    ],
)
def test_text_has_colors_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    environ: dict[str, str],
    terminal: bool,
    colored: bool,
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    setup_logging(settings(form="text"))
    log.info("hello")
    assert ("\x1b[" in capsys.readouterr().err) is colored


def test_text_has_file_line_extra_and_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging(settings(form="text"))
    try:
        int("x")
    except ValueError:
        log.bind(order=7).exception("failed <red>{braces}</red>")
        line = here() - 1
    written = capsys.readouterr().err
    assert f"ERROR    {__name__} test_stderr.py:{line} failed <red>{{braces}}</red> order=7\n" in written
    assert written.endswith("ValueError: invalid literal for int() with base 10: 'x'\n")


def test_the_log_writes_to_the_current_standard_error(
    lines: Lines, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import io

    other = io.StringIO()
    with monkeypatch.context() as replaced:
        replaced.setattr(sys, "stderr", other)
        log.info("there")
    log.info("here")
    assert json.loads(other.getvalue())["message"] == "there"
    assert [found["message"] for found in lines()] == ["here"]


def test_a_process_without_standard_error_continues(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as replaced:
        replaced.setattr(sys, "stderr", None)
        log.info("nowhere")
    assert lines() == []


def test_the_log_works_before_it_is_set_up() -> None:
    done = run("from opa import log; log.debug('no'); log.info('early')")
    (line,) = done.stderr.splitlines()
    assert json.loads(line)["message"] == "early"


def test_the_environment_says_how_before_it_is_set_up() -> None:
    done = run("from opa import log; log.debug('early')", OPA_LOGLEVEL="DEBUG", OPA_LOG_FORMAT="text")
    assert "DEBUG" in done.stderr
    assert not done.stderr.startswith("{")
