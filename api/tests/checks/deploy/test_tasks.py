from __future__ import annotations

from collections.abc import Callable

import pytest
from redis import Redis

from opa.checks.deploy.check import Deployment, NotChecked
from opa.checks.deploy.tasks import dead_letters, unsafe_formats
from opa.tasks.brokers.queues import DEAD_LETTER_QUEUE
from tests.checks.deploy.deployments import found
from tests.project import Project
from tests.servers import Server

TASK = "from opa import task\n\n@task\ndef noop(): ...\n"


@pytest.mark.parametrize(
    ("settings", "problems"),
    [
        ({}, []),
        ({"CELERY_ACCEPT_CONTENT": ["json", "pickle"]}, ["Celery accepts pickle"]),
        (
            {"CELERY_RESULT_ACCEPT_CONTENT": ["json", "application/x-python-serialize"]},
            ["Celery accepts application/x-python-"],
        ),
    ],
)
def test_formats_that_run_code_are_reported(
    project: Project, settings: dict[str, list[str]], problems: list[str]
) -> None:
    project.plugin("jobs.py", TASK)
    project.component("celery", "celery", BROKER_URL="redis://127.0.0.1:1/1", BACKEND_URL="redis://127.0.0.1:1/2")
    project.settings(**settings)

    reported = found(project, unsafe_formats)

    assert len(reported) == len(problems)
    assert all(map(str.startswith, reported, problems))


@pytest.mark.parametrize("check", [dead_letters, unsafe_formats])
def test_without_tasks_nothing_is_looked_at(project: Project, check: object) -> None:
    assert found(project, check) == []  # type: ignore[arg-type]


def test_a_broker_that_does_not_answer_is_a_note(project: Project) -> None:
    project.plugin("jobs.py", TASK)
    project.component("celery", "celery", BROKER_URL="redis://127.0.0.1:1/1", BACKEND_URL="redis://127.0.0.1:1/2")

    (note,) = dead_letters(Deployment(project.prepare(), {}))

    assert isinstance(note, NotChecked)
    assert note.problem.startswith("the dead letters were not looked at: the broker redis://")


def test_dead_letters_are_counted_and_stay(project: Project, start_redis: Callable[[], Server]) -> None:
    url = start_redis().url
    project.plugin("jobs.py", TASK)
    project.component("celery", "celery", BROKER_URL=f"{url}/1", BACKEND_URL=f"{url}/2")
    deployment = Deployment(project.prepare(), {})
    assert list(dead_letters(deployment)) == []

    with Redis.from_url(f"{url}/1") as redis:
        redis.lpush(DEAD_LETTER_QUEUE, "{}", "{}")

    for _ in range(2):
        (finding,) = dead_letters(deployment)
        assert finding.problem == "2 dead letters: tasks that were given up"
