"""Entries of the schedule as the settings have them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from celery import Task

from opa.tasks.schedules import parse_entries


def build(pages: int, COUNT: int = 0) -> None:  # noqa: N803 - a parameter may be in upper case
    """A task."""


class Import(Task[Any, Any]):
    def run(self, pages: int) -> None:
        """A task that is a class."""


FUNCTIONS: dict[str, Callable[..., Any]] = {"jobs.build": build, "jobs.import": Import}
PLANNED = {"jobs.build": {"task": "jobs.build", "schedule": 600}}


def parsed(**entries: Any) -> Any:
    return parse_entries(entries, FUNCTIONS, PLANNED)


@pytest.mark.parametrize("task", FUNCTIONS)
def test_keys_in_upper_case_are_those_of_celery(task: str) -> None:
    entry = {
        "TASK": task,
        "SCHEDULE": 60,
        "OPTIONS": {"QUEUE": "slow"},
        "KWARGS": {"PAGES": 1, "COUNT": 2, "OTHER": 3},
    }
    assert parsed(TICK=entry)["TICK"] | {"kwargs": None} == {
        "task": task,
        "schedule": 60,
        "options": {"queue": "slow"},
        "kwargs": None,
    }
    known = {"pages": 1, "COUNT": 2, "OTHER": 3}
    assert parsed(TICK=entry)["TICK"]["kwargs"] == known


def test_an_entry_with_the_name_of_a_task_is_one_of_it() -> None:
    assert parse_entries({"jobs.build": {"args": [1]}}, FUNCTIONS, PLANNED) == {
        "jobs.build": {"task": "jobs.build", "schedule": 600, "args": [1]}
    }
    assert parse_entries({"JOBS.IMPORT": {"SCHEDULE": 5}}, FUNCTIONS, PLANNED) == {
        "jobs.import": {"task": "jobs.import", "schedule": 5}
    }


@pytest.mark.parametrize(
    ("written", "means"), [(False, False), ("false", False), ("off", False), ("True", True), (True, True)]
)
def test_an_entry_can_be_turned_off_and_is_otherwise_that_of_its_task(written: Any, means: bool) -> None:
    for key in ("enabled", "ENABLED", "relative"):
        assert parse_entries({"jobs.build": {key: written}}, FUNCTIONS, PLANNED) == {
            "jobs.build": {"task": "jobs.build", "schedule": 600, key.lower(): means}
        }


def test_a_list_or_mapping_of_an_entry_may_be_json_as_in_a_variable() -> None:
    entry = {"TASK": "jobs.build", "SCHEDULE": 60, "ARGS": "[1]", "KWARGS": '{"COUNT": 2}', "OPTIONS": '{"queue": "q"}'}
    found = parsed(TICK=entry)["TICK"]
    assert (found["args"], found["kwargs"], found["options"]) == ([1], {"COUNT": 2}, {"queue": "q"})


def test_an_entry_whose_name_is_nearly_that_of_a_task_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ValueError, match=re.escape("names no task; did you mean 'jobs.build'?")):
        parse_entries({"jobs.biuld": {"enabled": False}}, FUNCTIONS, PLANNED)


def test_an_entry_may_name_another_task_than_its_own_name_does() -> None:
    entries = {"jobs.build": {"task": "jobs.import", "schedule": 5}}
    assert parse_entries(entries, FUNCTIONS, PLANNED)["jobs.build"]["task"] == "jobs.import"


def test_an_entry_without_a_task_is_refused() -> None:
    for entry in ({"schedule": 60}, 60, None):
        with pytest.raises(ValueError, match="names no task"):
            parsed(nightly=entry)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({1: 2}, "the entry 'tick' has the key 1, an int"),
        ({"kwargs": {1: 2}}, "kwargs of the entry 'tick' has the key 1, an int"),
        ({"OPTIONS": {None: 2}}, "options of the entry 'tick' has the key None, a NoneType"),
        ({"kwargs": [1]}, "the kwargs of the entry 'tick' are a list, and should be names with values"),
        ({"options": "slow"}, "the options of the entry 'tick' are a str, and should be names with values"),
        ({"enabled": 0}, "enabled of the entry 'tick' is an int, and should be true or false"),
        ({"args": "abc"}, "the args of the entry 'tick' are a str, and should be a list"),
    ],
)
def test_a_bad_field_of_an_entry_is_reported_with_the_name_of_the_entry(changed: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        parsed(tick={"task": "jobs.build", "schedule": 60, **changed})


def test_a_name_of_an_entry_that_is_no_text_is_refused() -> None:
    with pytest.raises(ValueError, match="the schedule of the settings has the key 5, an int"):
        parse_entries({5: {"task": "jobs.build", "schedule": 60}}, FUNCTIONS, PLANNED)  # type: ignore[dict-item]
