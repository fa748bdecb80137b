from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from opa.current import current
from opa.logging import tracebacks as exceptions
from opa.logging.tracebacks import format_exception, install


@pytest.fixture(autouse=True)
def undone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current, "traceback_format", current.traceback_format)


def switch(on: bool, max_length: int | None = 100) -> None:
    config: Any = SimpleNamespace(BETTER_EXCEPTIONS=on, BETTER_EXCEPTIONS_MAX_LENGTH=max_length)
    install(config)


def divide(numerator: int, denominator: int) -> float:
    return numerator / denominator


def failure(numerator: int = 1234567) -> ZeroDivisionError:
    try:
        divide(numerator, 0)
    except ZeroDivisionError as error:
        return error
    raise AssertionError


def test_the_values_of_variables_are_shown_when_it_is_on() -> None:
    switch(True)
    written = format_exception(failure())
    assert "return numerator / denominator" in written
    assert "└ 1234567" in written
    assert "└ 0" in written
    assert written.endswith("ZeroDivisionError: division by zero\n")


def test_no_values_are_shown_when_it_is_off() -> None:
    switch(True)
    switch(False)
    written = format_exception(failure())
    assert "return numerator / denominator" in written
    assert "1234567" not in written


def test_a_value_is_cut_at_the_limit() -> None:
    switch(True, max_length=4)
    written = format_exception(failure())
    assert "└ 1234..." in written
    assert "12345" not in written


def test_without_a_limit_a_value_is_shown_whole() -> None:
    switch(True, max_length=None)
    assert str(10**3000) in format_exception(failure(10**3000))


def test_causes_and_contexts_are_shown_with_their_values() -> None:
    switch(True)
    error = RuntimeError("outer")
    error.__cause__ = failure()
    written = format_exception(error)
    assert written.index("└ 1234567") < written.index("direct cause") < written.index("RuntimeError: outer")


def test_the_exceptions_of_a_group_are_shown_with_their_values() -> None:
    switch(True)
    written = format_exception(ExceptionGroup("several", [failure(), ValueError("second")]))
    assert "ExceptionGroup: several" in written
    assert "└ 1234567" in written
    assert "ValueError: second" in written


def test_notes_are_shown() -> None:
    switch(True)
    error = failure()
    error.add_note("look at the divisor")
    assert "look at the divisor" in format_exception(error)


def test_endless_recursion_does_not_flood_the_log() -> None:
    def forever(number: int) -> int:
        return forever(number + 1)

    switch(True)
    with pytest.raises(RecursionError) as caught:
        forever(0)
    written = format_exception(caught.value)
    assert "more frames" in written
    assert written.count("in forever") == exceptions.FRAMES_SHOWN - 1


def test_a_value_whose_repr_raises_does_not_hide_the_error() -> None:
    class Unprintable:
        def __repr__(self) -> str:
            raise ValueError("no")

    def use(value: object) -> None:
        raise KeyError(value is None)

    switch(True)
    with pytest.raises(KeyError) as caught:
        use(Unprintable())
    written = format_exception(caught.value)
    assert "<unprintable Unprintable object>" in written
    assert "KeyError: False" in written


def test_an_error_that_cannot_be_written_with_values_is_written_without() -> None:
    class OddError(AssertionError):
        def __str__(self) -> str:
            raise ValueError("no")

    switch(True)
    try:
        raise OddError
    except OddError as error:
        written = format_exception(error)
    assert "raise OddError" in written
    assert "no values: collecting them gave ValueError('no')" in written


def test_colors_are_there_only_when_asked_for() -> None:
    switch(True)
    assert "\x1b[" not in format_exception(failure())
    assert "\x1b[" in format_exception(failure(), colored=True)


PROGRAM = """
from types import SimpleNamespace
from opa.logging.tracebacks import install
from opa.logging.logger import log
from opa.logging.uncaught import report_what_nothing_caught

install(SimpleNamespace(BETTER_EXCEPTIONS=True, BETTER_EXCEPTIONS_MAX_LENGTH=20))
report_what_nothing_caught(log)
def half(number):
    return number / "two"
try:
    half(4711)
except TypeError:
    log.exception("logged")
half(4712)
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    return file


def test_both_what_is_logged_and_what_ends_the_process_show_values(program: Path) -> None:
    environ = os.environ | {"OPA_LOG_FORMAT": "text"}
    done = subprocess.run(
        [sys.executable, program], env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "└ 4711" in done.stderr
    assert "└ 4712" in done.stderr


@pytest.mark.docker
def test_values_are_shown_on_the_python_of_the_image(program: Path, image: str) -> None:
    program.parent.chmod(0o755)  # the user of the image is another one
    command = ["docker", "run", "--rm", "-e", "OPA_LOG_FORMAT=text", "-v", f"{program.parent}:/program:ro"]
    command += ["--entrypoint", "python", image, "/program/program.py"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert "└ 4711" in done.stderr, done.stderr
    assert "└ 4712" in done.stderr
