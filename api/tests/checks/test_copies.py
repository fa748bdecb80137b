from __future__ import annotations

import pytest

from opa.checks.copies import copied_handlers, copied_schedules
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


def test_a_handler_of_events_that_a_copied_file_has_once_more_is_reported(project: Project) -> None:
    text = "from opa import on\n@on('orders.paid')\ndef mail(order: dict):\n    print('sent')\n"
    project.plugin("mails.py", text)
    project.plugin("mails_old.py", text)
    project.plugin("other.py", text.replace("paid", "gone"))
    (finding,) = copied_handlers(project.prepare())
    assert finding.problem.startswith("handler of events 'mails_old.mail' of plugin 'mails_old' is the same as 'mails.")
    assert finding.problem.endswith("mails.py:2), and each event is handled once more")
