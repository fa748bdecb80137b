"""Limits of no use are told at the start, with the task and its place."""

from __future__ import annotations

import pytest

from opa.errors import OpaError
from opa.tasks.limits.task_limits import TaskLimit, limits_of
from tests.project import Project
from tests.tasks.workers import TaskProject

TASK = "from opa import TaskLimit, task\n\n@task({options})\ndef build(document, color='red', *more):\n    pass\n"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("unique='{document.id}'", "unique has the field {document.id}"),
        (
            "unique='{more}'",
            "unique has the field {more}, which is not a parameter of the task; it has document, color",
        ),
        ("unique=True", "unique should be a text"),
        ("unique='x', unique_for=0", "unique_for should be from 1 to"),
        ("concurrency=0", "concurrency is 0, and should be a whole number from 1"),
        ("concurrency=True", "concurrency is a bool"),
        ("concurrency=TaskLimit(2, by='customer')", "concurrency: by names no parameter"),
        ("concurrency=TaskLimit(2, by='{customer}')", "concurrency: by has the field {customer}"),
        ("rate='often'", "rate should be a number, a slash and a unit of time"),
        ("rate='10/m; 100/h'", "rate should be one rate"),
        ("rate='100000/s'", "rate should be one rate of up to 10,000"),
    ],
)
def test_a_limit_of_no_use_is_told_with_its_task_and_place(project: Project, options: str, problem: str) -> None:
    project.plugin("docs.py", TASK.format(options=options))
    with pytest.raises(OpaError) as raised, project.client():
        pass
    assert "task 'docs.build'" in str(raised.value)
    assert problem in str(raised.value)
    assert "docs.py:3" in str(raised.value)


def test_limits_without_the_component_stop_the_start(tasks: TaskProject) -> None:
    tasks.project.component("AIOREDIS", "redis-aioredis", load="no")
    tasks.plugin("docs.py", TASK.format(options="unique='{document}'"))
    with pytest.raises(OpaError, match="task 'docs.build' has limits, .* component 'aioredis'"), tasks.sending():
        pass


def test_the_settings_set_limits_and_take_them_away(tasks: TaskProject) -> None:
    tasks.project.component("AIOREDIS", "redis-aioredis", URL=tasks.backend)
    tasks.plugin("docs.py", TASK.format(options="unique='{document}', rate='10/m'"))
    given = {"unique": None, "concurrency": {"limit": 2, "by": "{color}"}}
    tasks.settings(CELERY_TASK_ANNOTATIONS={"docs.build": given})
    with tasks.sending():
        build = tasks.module("docs").build
        assert str(build.app.limits_of("docs.build")) == "2 at once by {color}, 10/minute"
        assert build.delay("a").id != build.delay("a").id


def test_a_task_whose_limits_the_settings_take_away_needs_no_redis(tasks: TaskProject) -> None:
    tasks.project.component("AIOREDIS", "redis-aioredis", load="no")
    tasks.plugin("docs.py", TASK.format(options="rate='10/m'"))
    tasks.settings(CELERY_TASK_ANNOTATIONS={"docs.build": {"rate": None}})
    with tasks.sending():
        assert tasks.module("docs").build.delay("a").id


def test_a_limit_of_the_settings_that_is_of_no_use_is_told(tasks: TaskProject) -> None:
    tasks.project.component("AIOREDIS", "redis-aioredis", URL=tasks.backend)
    tasks.plugin("docs.py", TASK.format(options=""))
    tasks.settings(CELERY_TASK_ANNOTATIONS={"docs.build": {"concurrency": {"limit": 2, "of": "{color}"}}})
    with (
        pytest.raises(OpaError, match="CELERY_TASK_ANNOTATIONS: docs.build: concurrency has of, which is not one of"),
        tasks.sending(),
    ):
        pass


def test_a_task_without_limits_has_none() -> None:
    assert not limits_of("t", None, {})
    assert str(limits_of("t", None, {"concurrency": TaskLimit(3, by="{a}")})) == "3 at once by {a}"
