from __future__ import annotations

import pytest

from opa.checks.copies import copied_schedules
from tests.project import Project

TASK = "from opa import task\n@task(schedule=60)\ndef nightly():\n    print('night')\n"


def told(project: Project) -> list[str]:
    return [str(mistake).replace(str(project.plugins), "…") for mistake in copied_schedules(project.prepare())]


def test_a_schedule_that_a_copied_file_runs_once_more_is_reported(project: Project) -> None:
    project.plugin("report.py", TASK)
    project.plugin("report_copy.py", TASK)
    assert told(project) == [
        "task 'report_copy.nightly' of plugin 'report_copy' is the same as 'report.nightly' (…/report.py:2), and its"
        " schedule runs once more (…/report_copy.py:2). If the file is a copy, move it out of the plugin path"
    ]


@pytest.mark.parametrize("other", [TASK.replace("60", "61"), TASK.replace("'night'", "'day'"), "x = 1\n" + TASK])
def test_another_task_or_schedule_is_not_reported(project: Project, other: str) -> None:
    project.plugin("report.py", TASK)
    project.plugin("weekly.py", other)
    assert told(project) == []
