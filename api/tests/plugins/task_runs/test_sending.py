"""Tasks that a person sends."""

from __future__ import annotations

import pytest

from opa.plugins.task_runs.failure import RunError
from opa.plugins.task_runs.sending import send_as_person
from tests.project import Project

JOBS = "from opa import task\n\n@task\ndef report(): ...\n"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("jobs.reprot", "Perhaps it is jobs.report"), ("xy", "`opa tasks list` shows those that there are")],
)
def test_an_unknown_task_is_an_error_with_the_name_that_may_be_meant(project: Project, name: str, hint: str) -> None:
    project.component("CELERY", "celery", BROKER_URL="memory://", BACKEND_URL="")
    project.plugin("jobs.py", JOBS)
    manager = project.prepare()
    with pytest.raises(RunError, match=f"there is no task '{name}'. {hint}"):
        send_as_person(manager, name, "[]", "ada", "")
