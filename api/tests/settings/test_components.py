from __future__ import annotations

import pytest

from opa.local.run import runs_tasks
from opa.settings.components import task_components
from tests.project import Project


def test_components_of_the_drivers_that_run_tasks_are_known_by_the_settings_alone(project: Project) -> None:
    project.component("Jobs", "MINE")
    project.settings(TASK_DRIVERS=["celery", "mine"])
    assert sorted(task_components(project.config())) == ["celery", "jobs"]


@pytest.mark.parametrize(
    ("drivers", "load", "expected"),
    [
        (["celery"], "yes", False),
        (["mine"], "yes", True),
        (["mine"], "no", False),
    ],
)
def test_opa_up_runs_tasks_where_a_component_of_such_a_driver_may_be_loaded(
    project: Project, drivers: list[str], load: str, expected: bool
) -> None:
    project.component("JOBS", "mine", load=load)
    project.settings(TASK_DRIVERS=drivers)
    assert runs_tasks(project.config()) is expected
