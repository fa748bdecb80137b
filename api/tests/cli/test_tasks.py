from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from opa import OpaError
from opa.cli.commands import app
from opa.process.error_report import print_error
from tests.project import Project
from tests.serve.process import free_port

REPORTS = """
from opa import task

@task(schedule="0 3 * * 1-5")
def build():
    pass

@task(queue="slow", name="mail", schedule=90)
async def send():
    pass

@task
def plain():
    pass
"""


def rows() -> dict[str, dict[str, Any]]:
    result = CliRunner().invoke(app, ["tasks", "list", "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    return {row["task"]: row for row in json.loads(result.stdout)}


def error_lines(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """What the command prints of the error with which it ends."""
    with pytest.raises(OpaError) as raised:
        CliRunner().invoke(app, arguments, catch_exceptions=False)
    capsys.readouterr()
    print_error(raised.value)
    return capsys.readouterr().err.splitlines()


def test_opa_tasks_list_shows_each_task_with_its_place_queue_and_schedule(project: Project) -> None:
    file = project.plugin("reports.py", REPORTS)
    project.component("CELERY", "celery", BROKER_URL="pyamqp://rabbit.invalid", BACKEND_URL="redis://redis.invalid")
    assert rows() == {
        "reports.build": {
            "task": "reports.build",
            "queue": "celery",
            "schedule": "0 3 * * 1-5",
            "limits": None,
            "where": f"{file}:4",
        },
        "mail": {"task": "mail", "queue": "slow", "schedule": "every 90 s", "limits": None, "where": f"{file}:8"},
        "reports.plain": {
            "task": "reports.plain",
            "queue": "celery",
            "schedule": None,
            "limits": None,
            "where": f"{file}:12",
        },
    }


def test_a_broker_that_does_not_answer_is_said_in_a_line_by_opa_tasks_run(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.plugin("reports.py", REPORTS)
    port = free_port()
    project.component("CELERY", "celery", BROKER_URL=f"redis://:hush@127.0.0.1:{port}/1")
    (line,) = error_lines(capsys, "tasks", "run", "reports.plain")
    assert line.startswith(
        f"error: the broker redis://:***@127.0.0.1:{port}/1 does not answer, so that nothing is sent"
    )
    assert "(setting OPTIONAL_COMPONENTS.CELERY.OPTS.BROKER_URL)" in line
    assert "hush" not in line


@pytest.mark.parametrize("arguments", ["[1]", '{"colour": "red"}'])
def test_arguments_that_a_task_does_not_take_are_said_in_a_line(
    project: Project, capsys: pytest.CaptureFixture[str], arguments: str
) -> None:
    project.plugin("reports.py", REPORTS)
    project.component("CELERY", "celery", BROKER_URL=f"redis://127.0.0.1:{free_port()}/1")
    (line,) = error_lines(capsys, "tasks", "run", "reports.plain", arguments)
    assert line.startswith("error: task 'reports.plain' is not called so: plain() ")


def test_a_command_says_in_a_line_that_a_server_does_not_answer_and_waits_for_less_than_a_start(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.settings(COMMAND_CONNECT_TIMEOUT=0.1)
    project.component("AIOREDIS", "redis-aioredis", URL=f"redis://127.0.0.1:{free_port()}/1")
    line = error_lines(capsys, "keys", "list")[-1]
    assert line.startswith("error: component 'aioredis' (driver redis-aioredis) did not connect within 0.1 s")
    assert "to '127.0.0.1': " in line
    assert "(setting OPTIONAL_COMPONENTS.AIOREDIS)" in line


def test_opa_tasks_shows_queues_and_schedules_of_the_settings(project: Project) -> None:
    project.plugin("reports.py", REPORTS)
    project.component("CELERY", "celery", BROKER_URL="pyamqp://rabbit.invalid", BACKEND_URL="redis://redis.invalid")
    project.settings(
        CELERY_TASK_DEFAULT_QUEUE="jobs",
        CELERY_TASK_ROUTES={"reports.*": {"queue": "nightly"}},
        CELERY_BEAT_SCHEDULE={"mine": {"task": "reports.build", "schedule": 60}},
    )
    found = rows()
    assert (found["reports.build"]["queue"], found["mail"]["queue"]) == ("nightly", "slow")
    assert found["reports.build"]["schedule"] == "0 3 * * 1-5, every 60 s"


def test_the_table_shows_the_same(project: Project) -> None:
    file = project.plugin("reports.py", REPORTS)
    result = CliRunner().invoke(app, ["tasks", "list"], catch_exceptions=False)
    lines = [line.split() for line in result.stdout.splitlines() if line.strip()]
    assert lines[0] == ["task", "queue", "schedule", "where"]
    assert ["reports.plain", "celery", "-", f"{file}:12"] in lines


def test_opa_tasks_list_needs_no_broker(project: Project) -> None:
    project.plugin("reports.py", REPORTS)
    assert rows()["mail"]["schedule"] == "every 90 s"


def test_without_tasks_there_are_none(project: Project) -> None:
    assert rows() == {}
