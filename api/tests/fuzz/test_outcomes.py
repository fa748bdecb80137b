"""What `make fuzz` says of an example, whatever schemathesis does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

from tests.fuzz import examples
from tests.fuzz.examples import Outcome, ask, main


def said(program: str, seconds: float, folder: Path) -> Outcome:
    outcome = Outcome()
    ask([sys.executable, "-c", program], folder, seconds, "fuzzing", outcome)
    return outcome


def test_the_cases_of_all_phases_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = said("print('  17 generated, 17 passed')", 60, tmp_path)
    ask([sys.executable, "-c", "print('3 generated'); raise SystemExit(1)"], tmp_path, 60, "stateful", outcome)

    assert str(outcome).strip() == "20 cases  stateful ended with 1, see above"
    assert "17 passed" in capsys.readouterr().out


class Timer:
    """Is over when the test says so."""

    made: ClassVar[list[Timer]] = []

    def __init__(self, _seconds: float, function: Callable[[], None]) -> None:
        self.function = function
        self.made.append(self)

    def start(self) -> None: ...

    def cancel(self) -> None: ...


@pytest.mark.parametrize(
    ("at_the_end", "cases"),
    [("print('5 generated', flush=True); raise SystemExit", 5), ("print('goes on', flush=True)", 0)],
)
def test_what_does_not_end_is_ended_with_what_it_has_found(
    tmp_path: Path, at_the_end: str, cases: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = f"""
import time
while True:
    try:
        print("begins", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        {at_the_end}
"""

    def show(line: str, **_: object) -> None:
        ends, kills = Timer.made
        if "begins" in line and not shown:
            shown.append(line)
            ends.function()
        if "goes on" in line:
            kills.function()

    shown: list[str] = []
    monkeypatch.setattr(Timer, "made", [])
    monkeypatch.setattr("tests.fuzz.examples.threading.Timer", Timer)
    monkeypatch.setattr(examples, "print", show, raising=False)
    outcome = said(program, 1, tmp_path)

    assert outcome.problems == ["fuzzing took longer than 1 s"]
    assert outcome.cases == cases


def test_an_example_that_does_not_run_is_a_line_among_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = examples.NAMES[:2]

    def broken(folder: Path) -> None:
        raise OSError(f"no room in {folder.name}")

    monkeypatch.setattr(examples, "up_in", broken)

    assert main([first, second]) == 1
    lines = capsys.readouterr().out.splitlines()[-2:]
    assert [line.split()[0] for line in lines] == [first, second]
    assert all("0 cases  it did not run: OSError: no room in" in line for line in lines)
