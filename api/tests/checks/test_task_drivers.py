from __future__ import annotations

from opa.checks.task_drivers import unnamed_task_drivers
from tests.project import Project

DRIVER = """
from opa import Driver


class Queue(Driver):
    name = "Queue"
    runs_tasks = {}
"""


def told(project: Project) -> list[str]:
    return [str(mistake).replace(str(project.plugins), "…") for mistake in unnamed_task_drivers(project.prepare())]


def test_a_driver_that_runs_tasks_and_is_not_named_is_told_with_what_to_set(project: Project) -> None:
    project.plugin("queue_driver.py", DRIVER.format(True))
    project.component("JOBS", "queue")
    assert told(project) == [
        "component 'jobs' has the driver 'queue', which runs tasks, and TASK_DRIVERS does not name it: opa up starts "
        "no worker for it, and plugins do not get it while they are imported (…/queue_driver.py:5). "
        "Set TASK_DRIVERS to ['celery', 'queue']"
    ]


def test_one_that_is_named_in_any_case_is_as_it_should_be(project: Project) -> None:
    project.plugin("queue_driver.py", DRIVER.format(True))
    project.component("JOBS", "queue")
    project.settings(TASK_DRIVERS=["QUEUE"])
    assert told(project) == []


def test_one_that_runs_no_tasks_or_that_no_component_has_need_not_be_named(project: Project) -> None:
    project.plugin("queue_driver.py", DRIVER.format(False))
    project.plugin("other_driver.py", DRIVER.format(True).replace('"Queue"', '"other"'))
    project.component("JOBS", "queue")
    assert told(project) == []
