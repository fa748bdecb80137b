from __future__ import annotations

from pathlib import Path

import pytest

from opa.process.told import forget_told, is_told
from opa.settings.inherited import STATE_VARIABLE


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
