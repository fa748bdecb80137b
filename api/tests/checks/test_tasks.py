from __future__ import annotations

from typing import Any

import pytest

from opa.checks.tasks import components_of_tasks, parameters_of_others, runs_that_fail, settings_of_no_task
from tests.project import Project

TASKS = """
from typing import Annotated

from celery import Task, shared_task
from fastapi import Depends
from opa import Component, get_instance, task


@task
def fits(pages=1, *more, key=None): ...


@task{options}
def build({parameters}): ...


@shared_task
def shared(pages): ...


class Import(Task):
    name = "reports.import"

    def run(self, pages): ...


get_instance("celery").register_task(Import())
"""


def told(project: Project, check: Any, parameters: str = "", options: str = "", **settings: Any) -> list[str]:
    project.plugin("reports.py", TASKS.format(parameters=parameters, options=options))
    project.component("CELERY", "celery", BROKER_URL="memory://", BACKEND_URL="cache+memory://")
    project.settings(**settings)
    manager = project.prepare()
    return [str(mistake).replace(str(project.plugins), "…") for mistake in check(manager)]


def test_a_schedule_entry_of_a_missing_task_is_reported(project: Project) -> None:
    (line,) = told(project, runs_that_fail, CELERY_BEAT_SCHEDULE={"nightly": {"task": "reports.biuld", "schedule": 60}})
    assert line.startswith("the schedule 'nightly' sends the task 'reports.biuld', which no plugin here has (")
    assert "00-test.json" in line
    assert line.endswith("Did you mean 'reports.build'?")


@pytest.mark.parametrize(
    ("parameters", "options", "problem"),
    [
        ("pages", "(schedule=60)", "missing a required argument: 'pages'"),
        ("*, pages", "(schedule=60)", "missing a required argument: 'pages'"),
        ("self, pages", "(schedule=60, bind=True)", "missing a required argument: 'pages'"),
        ("pages=1", "(schedule=60)", None),
        ("self", "(schedule=60, bind=True)", None),
        ("*pages, **more", "(schedule=60)", None),
    ],
)
def test_a_scheduled_task_that_needs_arguments_is_reported(
    project: Project, parameters: str, options: str, problem: str | None
) -> None:
    lines = told(project, runs_that_fail, parameters, options)
    lines = [line.replace("required keyword-only argument", "required argument") for line in lines]  # Python 3.13
    assert lines == (
        [
            "the schedule 'reports.build' sends the task 'reports.build' with arguments that do not fit: "
            f"{problem} (…/reports.py:13). Give the parameter a default, or the entry of CELERY_BEAT_SCHEDULE args or "
            "kwargs"
        ]
        if problem
        else []
    )


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"task": "reports.fits", "args": [1, 2], "kwargs": {"key": 1}}, None),
        ({"task": "reports.fits", "kwargs": {"keys": 1}}, "got an unexpected keyword argument 'keys'"),
        ({"task": "reports.build", "args": [1]}, "too many positional arguments"),
        ({"task": "reports.shared"}, "missing a required argument: 'pages'"),
        ({"task": "reports.shared", "args": [1]}, None),
        ({"task": "reports.import"}, "missing a required argument: 'pages'"),
        ({"task": "reports.import", "args": [1]}, None),
        ({"task": "celery.backend_cleanup"}, None),
    ],
)
def test_an_entry_whose_arguments_do_not_fit_is_reported(project: Project, entry: Any, problem: str | None) -> None:
    lines = told(project, runs_that_fail, CELERY_BEAT_SCHEDULE={"nightly": {"schedule": 60, **entry}})
    assert len(lines) == bool(problem)
    if problem:
        assert (
            f"the schedule 'nightly' sends the task '{entry['task']}' with arguments that do not fit: {problem}"
            in lines[0]
        )


def test_a_setting_for_a_missing_task_is_reported(project: Project) -> None:
    names = {"reports.biuld": {"queue": "slow"}, "reports.*": {}, "elsewhere.run": {}, "reports.build": {}}
    (line,) = told(project, settings_of_no_task, CELERY_TASK_ROUTES=names)
    assert "CELERY_TASK_ROUTES names the task 'reports.biuld', which no plugin here has" in line
    (line,) = told(project, settings_of_no_task, CELERY_TASK_ROUTES={}, CELERY_TASK_ANNOTATIONS=names)
    assert "CELERY_TASK_ANNOTATIONS names the task 'reports.biuld'" in line


@pytest.mark.parametrize(
    ("parameters", "options", "problem"),
    [
        (
            "self, pages",
            "",
            "has the parameter 'self', which is passed only with bind=True (…/reports.py:13). Write @task(bind=True)",
        ),
        ("", "(bind=True)", "has bind=True and no parameter for itself"),
        ('redis=Component("aioredis")', "", None),
        ('redis: Annotated[object, Component("aioredis")]', "", None),
        ("user=Depends(dict)", "", "has the parameter 'user' with a Depends, which only routes have"),
        ("self, pages", "(bind=True)", None),
        ("this, pages", "(bind=True)", None),
        ("self=None", "", None),
        ("*args", "(bind=True)", None),
        ('redis: "Unknown"', "", None),
    ],
)
def test_a_parameter_without_a_value_is_reported(
    project: Project, parameters: str, options: str, problem: str | None
) -> None:
    lines = told(project, parameters_of_others, parameters, options)
    assert len(lines) == bool(problem)
    if problem:
        assert f"task 'reports.build' of plugin 'reports' {problem}" in lines[0]


def test_an_unknown_component_is_reported(project: Project) -> None:
    (line,) = told(project, components_of_tasks, 'redis=Component("aioredsi")', "")
    assert "task 'reports.build' of plugin 'reports' asks for the component 'aioredsi', which" in line
    assert line.endswith("Did you mean 'aioredis'?")
    assert told(project, components_of_tasks, 'redis: Annotated[object, Component("aioredis")]', "") == []
