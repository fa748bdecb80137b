from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from opa import healthcheck
from opa._util.printable import encodable, in_one_line, indented, json_text, printable
from opa._util.tables import print_table
from opa.cli.commands import app
from opa.errors import StartError
from opa.logging.logger import log, setup_logging
from tests.project import Project
from tests.serve.process import free_port

ESC, BEL, NUL = "\x1b", "\x07", "\x00"
HARMFUL = [
    *map(chr, (code for code in range(0x20) if chr(code) not in "\t\n")),
    *map(chr, range(0x7F, 0xA0)),
    "\u2028",
    "\u2029",
    *map(chr, range(0x202A, 0x202F)),
    *map(chr, range(0x2066, 0x206A)),
    "\u200e",
    "\u200f",
    "\u061c",
    "\ufeff",
    "\ud800",
    "\udfff",
]
ATTACK = f"x{ESC}[2J{ESC}]0;title{BEL}\x9b31m\x08\r\x0b\x0c\x85\u2028\u202e\u2066{NUL}\x7f\ud800y"
FORGED = "2026-01-01 00:00:00.000 CRITICAL opa forged.py:1 nothing happened"


Start = Callable[..., None]


@pytest.fixture
def start() -> Iterator[Start]:
    """Sets the log up, and alone: pytest would send what is no Unicode to its other processes."""
    root = logging.getLogger()
    before = root.level, list(root.handlers)

    def set_up(form: str, *, values: bool = False) -> None:
        root.handlers.clear()
        setup_logging(settings(form, values=values))

    yield set_up
    logging.captureWarnings(False)
    setup_logging(settings("text"))
    root.setLevel(before[0])
    root.handlers[:] = before[1]


def settings(form: str, *, values: bool = False) -> Any:
    return SimpleNamespace(
        LOGLEVEL="trace", LOG_FORMAT=form, BETTER_EXCEPTIONS=values, BETTER_EXCEPTIONS_MAX_LENGTH=100
    )


def is_harmless(text: str) -> bool:
    return not any(character in text for character in HARMFUL)


def test_a_character_that_does_something_is_shown_as_an_escape() -> None:
    for character in HARMFUL:
        escape = f"\\x{ord(character):02x}" if ord(character) < 0x100 else f"\\u{ord(character):04x}"
        for shown in (printable, in_one_line, indented):
            assert shown(f"a{character}b") == f"a{escape}b"
        written = json_text({"a": character})
        assert is_harmless(written)
        assert json.loads(written) == {"a": character}


def test_numbers_that_json_does_not_have_are_texts() -> None:
    """`.nan` and `.inf` of a settings file: programs could read nothing of a document that has one."""
    value = {"a": [float("nan"), {"b": float("-inf")}], "c": (1.5, 10**400)}
    assert json.loads(json_text(value), parse_constant=pytest.fail) == {
        "a": ["nan", {"b": "-inf"}],
        "c": [1.5, 10**400],
    }


@pytest.mark.parametrize("text", ["", "plain", "a\tb", "naïve 日本語 🎉 👩‍💻", "\xa0", "شكرا"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert printable(text) == in_one_line(text) == indented(text) == text


def test_newlines_stay_are_escapes_or_are_indented() -> None:
    assert printable("a\nb") == "a\nb"
    assert in_one_line("a\nb") == "a\\nb"
    assert indented("a\nb\nc") == "a\n  b\n  c"


def test_a_character_that_an_encoding_lacks_is_an_escape() -> None:
    assert encodable("é🎉\ud800", "latin-1") == "é\\U0001f389\\ud800"
    assert encodable("é", "ascii") == "\\xe9"


def write_everything(text: str) -> None:
    log.info(text)
    log.info("{}", text)
    log.info("{}", [text])
    log.bind(**{text: text}, deep={text: [text, {text}]}, number=1).info("bound")
    text | log
    {text: text} | log
    logging.getLogger(text).warning("%s", text, extra={"note": text})
    error = ValueError(text)
    error.add_note(text)
    log.opt(exception=ExceptionGroup(text, [error, KeyError(text)])).error("failed")
    try:
        raise ValueError(text)
    except ValueError:
        log.exception(text)
    log.info("{missing}", text)


@pytest.mark.parametrize("values", [False, True])
@pytest.mark.parametrize("colors", [False, True])
def test_no_escape_sequence_reaches_the_terminal_through_the_text_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, values: bool, colors: bool, start: Start
) -> None:
    monkeypatch.setenv("FORCE_COLOR" if colors else "NO_COLOR", "1")
    monkeypatch.delenv("NO_COLOR" if colors else "FORCE_COLOR", raising=False)
    start("text", values=values)
    capsys.readouterr()
    write_everything(ATTACK)
    written = capsys.readouterr().err
    assert (f"{ESC}[" in written) is colors
    if colors:  # our own, which are colors and nothing else
        written = re.sub(r"\x1b\[[0-9;]*m", "", written)
    assert is_harmless(written)
    assert "x\\x1b[2J\\x1b]0;title\\x07\\x9b31m" in written


@pytest.mark.parametrize("values", [False, True])
def test_no_text_makes_a_second_record_of_the_text_log(
    capsys: pytest.CaptureFixture[str], values: bool, start: Start
) -> None:
    start("text", values=values)
    capsys.readouterr()
    for newline in ("\n", "\r\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029"):
        write_everything(f"a{newline}{FORGED}{newline}  {newline}{FORGED}")
    lines = capsys.readouterr().err.split("\n")
    assert not [line for line in lines if line.startswith(FORGED[:20])]
    assert all(line.startswith("  ") or line == "" or line[:4].isdecimal() for line in lines)
    assert any(FORGED in line for line in lines)


def test_each_record_is_one_line_of_json_whatever_is_in_it(capsys: pytest.CaptureFixture[str], start: Start) -> None:
    start("json")
    capsys.readouterr()
    write_everything(ATTACK)
    write_everything(f"a\n{FORGED}")
    written = capsys.readouterr().err
    assert written.isascii()
    lines = [json.loads(line) for line in written.splitlines()]
    assert len(lines) == 22 - 2  # one each, and none from the standard library's own root
    assert lines[0]["message"] == ATTACK


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("form", ["json", "text"])
def test_no_line_is_lost_where_standard_error_cannot_write_it(
    monkeypatch: pytest.MonkeyPatch, encoding: str, form: str, start: Start
) -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding=encoding, errors="strict", write_through=True)
    monkeypatch.setattr(sys, "stderr", stream)
    start(form)
    log.bind(note="日本\ud800").info("é 🎉 \udfff")
    monkeypatch.undo()
    stream.flush()
    assert written.getvalue().count(b"\n") == 1


def test_a_table_and_the_commands_errors_show_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    from opa.process.error_report import print_error

    print_table(["a"], [[ATTACK], ["two\nlines"]])
    try:
        raise StartError(f"it is {ATTACK}\n{FORGED}", hint=ATTACK) from RuntimeError(ATTACK)
    except StartError as error:
        print_error(error)
    out, err = capsys.readouterr()
    assert is_harmless(out.replace("\n", ""))
    assert "two\\nlines" in out
    assert is_harmless(err.replace("\n", ""))
    assert err.splitlines()[0].startswith("error: it is x\\x1b[2J")
    assert FORGED in err.splitlines()[0]


def test_opa_config_and_opa_plugins_show_escapes(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    attack = ATTACK.replace(NUL, "").replace("\ud800", "")
    project.plugin(
        "good.py",
        f"from opa import get_router\nrouter = get_router()\nrouter.add_api_route({f'/{ESC}[2J'!r}, list)\n",
    )
    project.meta("good.json", {"description": attack, "tags": ["x\ny"]})
    project.settings(MINE={attack: [attack], "two": "a\nb"})
    monkeypatch.setenv("OPA_OTHER", attack)
    for arguments in (["config"], ["config", "--json"], ["plugins"], ["plugins", "good"], ["plugins", "--json"]):
        run = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert run.exit_code == 0, arguments
        assert is_harmless(run.output), arguments
        if "--json" in arguments:
            json.loads(run.stdout)


HOSTILE = """
from opa import Driver, get_router, task

router = get_router()
text = {text!r}


@router.get("/a", name=text)
def route():
    pass


@task(name=text, schedule=60)
def run():
    pass


class Failing(Driver):
    name = "failing"

    def connect(self):
        raise ConnectionError(text)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["health"],
        ["health", "--json"],
        ["tasks", "list"],
        ["tasks", "list", "--json"],
        ["plugins"],
        ["plugins", "hostile"],
        ["plugins", "broken"],
        ["plugins", "--json"],
        ["check"],
        ["config"],
    ],
)
def test_no_plugin_writes_to_the_terminal_through_a_command(project: Project, arguments: list[str]) -> None:
    text = f"{ATTACK.replace(chr(0xD800), '')}\n{FORGED}"
    project.plugin("hostile.py", HOSTILE.format(text=text))
    project.plugin("broken.py", f"raise ValueError({text!r})")
    project.component("THING", "failing", load="auto")
    project.settings(PLUGIN_FAILURE="skip", COMPONENT_CONNECT_TIMEOUT=0.1, PORT=free_port())
    run = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert is_harmless(run.output)
    assert not any(line.lstrip().startswith(FORGED) for line in run.output.splitlines())
    if "--json" in arguments:
        assert FORGED in json.dumps(json.loads(run.stdout))


def test_the_health_check_of_a_container_shows_escapes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "health.json"
    text = f"{ATTACK}\n{FORGED}"
    told = {"mode": "worker", "until": 0, "reason": text, "plugins": [{"name": "a", "reason": text}]}
    file.write_text(json.dumps(told))
    monkeypatch.setenv("HEALTH_FILE", str(file))
    assert healthcheck.main() == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all(line.isascii() and FORGED in line and is_harmless(line) for line in lines)


def test_a_command_ends_well_where_the_terminal_cannot_show_a_character(project: Project) -> None:
    project.settings(MINE="日本 é")
    command = [sys.executable, "-c", "from opa.cli import main; main()", "config", "MINE"]
    environ = {
        "PATH": "/usr/bin:/bin",
        "PYTHONIOENCODING": "ascii",
        "OPA_SETTINGS_DIR": str(project.folder / "settings"),
    }
    done = subprocess.run(command, capture_output=True, timeout=60, check=False, env=environ, cwd=project.folder)
    assert done.returncode == 0, done.stderr
    assert b"\\u65e5\\u672c \\xe9" in done.stdout


def test_a_long_text_takes_time_in_proportion_to_its_length() -> None:
    def seconds(length: int) -> float:
        text = (ESC + "\n\u2028") * (length // 3)
        started = time.process_time()
        printable(text), in_one_line(text), indented(text)
        return time.process_time() - started

    small = max(seconds(30_000), 0.001)
    assert seconds(300_000) < 60 * small


def test_the_log_is_a_file_of_lines_also_for_other_tools(tmp_path: Path) -> None:
    program = "import sys\nfrom opa import log\nlog.info(sys.argv[1])\nlog.info('end')"
    command = [sys.executable, "-c", program, f"a\n{FORGED}\x85b\x0cc"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"OPA_LOG_FORMAT": "text", "NO_COLOR": "1"},
    )
    assert [line[:4].isdecimal() for line in done.stderr.splitlines()] == [True, False, True]
