from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from opa.cli.snippet import run_snippet
from opa.errors import OpaError


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as found:
        yield found


def test_code_runs_with_the_names_it_is_given(runner: asyncio.Runner) -> None:
    seen: list[int] = []
    assert run_snippet("def f():\n    seen.append(number)\nf()", "<x>", {"seen": seen, "number": 3}, runner)
    assert seen == [3]


def test_a_snippet_awaits_on_the_loop_of_the_runner(runner: asyncio.Runner) -> None:
    loops: list[Any] = []
    code = "import asyncio\nloops.append(asyncio.get_running_loop())\nawait asyncio.sleep(0)"
    assert run_snippet(code, "<x>", {"loops": loops}, runner)
    assert loops == [runner.get_loop()]


def test_values_are_printed_only_when_asked_for(runner: asyncio.Runner, capsys: pytest.CaptureFixture[str]) -> None:
    code = "1 + 1\nasync def f(): return 'x'\nNone\nawait f()\ny = 5"
    assert run_snippet(code, "<x>", {}, runner)
    assert capsys.readouterr().out == ""
    assert run_snippet(code, "<x>", {}, runner, show_values=True)
    assert capsys.readouterr().out == "2\n'x'\n"


def test_an_error_is_shown_with_the_lines_of_the_code_alone(
    runner: asyncio.Runner, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not run_snippet("async def f():\n    1 / 0\nawait f()", "<x>", {}, runner)
    written = capsys.readouterr().err
    assert 'File "<x>", line 2, in f\n    1 / 0' in written
    assert "ZeroDivisionError" in written
    assert "snippet.py" not in written
    assert "runners.py" not in written


@pytest.mark.parametrize("show_values", [True, False])
def test_code_that_does_not_parse_is_shown(
    runner: asyncio.Runner, capsys: pytest.CaptureFixture[str], show_values: bool
) -> None:
    assert not run_snippet("print('no')\nprint(", "<x>", {}, runner, show_values=show_values)
    written = capsys.readouterr()
    assert "SyntaxError" in written.err
    assert written.out == ""


def test_exit_and_errors_of_the_stack_pass_through(runner: asyncio.Runner) -> None:
    with pytest.raises(SystemExit) as left:
        run_snippet("import sys; sys.exit(7)", "<x>", {}, runner)
    assert left.value.code == 7
    with pytest.raises(OpaError):
        run_snippet("raise error", "<x>", {"error": OpaError("known")}, runner)


def test_a_snippet_runs_its_code_for_main(runner: asyncio.Runner, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_snippet("if __name__ == '__main__':\n    print('main')", "<x>", {}, runner)
    assert capsys.readouterr().out == "main\n"
