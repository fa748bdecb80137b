from __future__ import annotations

from pathlib import Path

import pytest

from opa.process.told import STARTED_LIMIT, forget_told, is_told, tell_start, wait_for_start
from opa.settings.inherited import PROCESS_VARIABLE, STATE_VARIABLE


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".opa").mkdir()
    return tmp_path


def test_a_mistake_is_reported_once_for_each_state_of_the_files(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for state, expected in (("1", [False, True, True]), ("2", [False, True, True])):
        monkeypatch.setenv(STATE_VARIABLE, state)
        assert [is_told("no module", project) for _ in range(3)] == expected


def test_another_mistake_is_reported(project: Path) -> None:
    assert [is_told(text, project) for text in ("one", "two")] == [False, False]


def test_mistakes_of_several_processes_in_turn_are_reported_once_each(project: Path) -> None:
    assert [is_told(text, project) for text in ("one", "two", "one", "three", "two")] == [
        False,
        False,
        True,
        False,
        True,
    ]


def test_another_run_tells_it_again(project: Path) -> None:
    assert not is_told("no module", project)
    forget_told(project / ".opa")
    assert not is_told("no module", project)


def test_a_failure_that_cannot_be_noted_as_told_is_reported_each_time(tmp_path: Path) -> None:
    assert [is_told("no module", tmp_path) for _ in range(2)] == [False, False]


def pauses_of(process: str, state: str, project: Path, monkeypatch: pytest.MonkeyPatch, *, most: int = 3) -> int:
    """How often a process of an `opa up` that has seen the files in a state has to wait for the api."""
    monkeypatch.setenv(PROCESS_VARIABLE, process)
    monkeypatch.setenv(STATE_VARIABLE, state)
    pauses = 0

    def wait(_seconds: float) -> bool:
        nonlocal pauses
        pauses += 1
        return pauses == most  # it is told to stop

    wait_for_start(project, wait)
    return pauses


def test_others_wait_until_the_api_has_started_with_the_same_files(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pauses_of("worker", "1", project, monkeypatch) == 3
    monkeypatch.setenv(PROCESS_VARIABLE, "api")
    tell_start(project)
    assert pauses_of("worker", "1", project, monkeypatch) == 0
    assert pauses_of("beat", "2", project, monkeypatch) == 3
    forget_told(project / ".opa")
    assert pauses_of("worker", "1", project, monkeypatch) == 3


def test_the_api_and_a_process_that_stands_alone_wait_for_nobody(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pauses_of("api", "1", project, monkeypatch) == 0
    assert pauses_of("", "1", project, monkeypatch) == 0
    assert pauses_of("worker", "1", project / "nowhere", monkeypatch) == 3


def test_an_api_that_never_starts_holds_the_others_up_for_a_moment(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(100))
    monkeypatch.setattr("opa.process.told.time.monotonic", lambda: float(next(clock)))
    assert pauses_of("worker", "1", project, monkeypatch, most=50) == STARTED_LIMIT - 1
