from __future__ import annotations

import pytest

from opa.checks.task_options import misspelt_options
from tests.project import Project

TASK = """
from opa import task

@task({options})
def build(self=None):
    {body}
"""


def told(project: Project, options: str, body: str = "pass", before: str = "") -> list[str]:
    project.plugin("reports.py", before + TASK.format(options=options, body=body))
    return [str(mistake).replace(str(project.plugins), "…") for mistake in misspelt_options(project.prepare())]


def test_a_slip_in_an_option_is_reported_with_the_task_its_place_and_the_option_that_was_meant(
    project: Project,
) -> None:
    assert told(project, "retires=3") == [
        "task 'reports.build' of plugin 'reports' has the option 'retires', which no task has (…/reports.py:4). "
        "Did you mean 'max_retries'?"
    ]


@pytest.mark.parametrize(
    ("option", "meant"),
    [
        ("max_retires", "max_retries"),
        ("time_limits", "time_limit"),
        ("autoretry", "autoretry_for"),
        ("shedule", "schedule"),
        ("wait_for_components", "waits_for_components"),
        ("timeout", "time_limit"),
        ("cron", "schedule"),
        ("by", "rate=TaskLimit(…, by=…)"),
        ("retry_delay", "default_retry_delay"),
    ],
)
def test_the_option_that_was_meant_is_named_also_where_other_libraries_have_another_word(
    project: Project, option: str, meant: str
) -> None:
    (line,) = told(project, f"{option}=3")
    assert line.endswith(f"Did you mean '{meant}'?")


@pytest.mark.parametrize("option", ["delay", "retry"])
def test_an_option_that_would_take_the_place_of_a_method_is_reported(project: Project, option: str) -> None:
    (line,) = told(project, f"{option}=3, bind=True", body="self.retry")
    assert f"has the option '{option}', which would take the place of a method of tasks" in line


@pytest.mark.parametrize(
    "options",
    [
        "queue='slow', routing_key='a', exchange='b', priority=1, expires=3, delivery_mode=1, compression='gzip'",
        "autoretry_for=(OSError,), dont_autoretry_for=(), retry_backoff=2, retry_backoff_max=9, retry_jitter=False, "
        "retry_kwargs={}, max_retries=None, default_retry_delay=1, throws=(OSError,)",
        "time_limit=2, soft_time_limit=1, rate_limit='1/s', ignore_result=True, store_errors_even_if_ignored=True, "
        "track_started=True, acks_late=True, acks_on_failure_or_timeout=True, reject_on_worker_lost=True, "
        "send_events=False, trail=False, typing=False, serializer='json', resultrepr_maxsize=9",
        "name='build', bind=True, schedule=60, waits_for_components=False, shared=False, lazy=True, filter=None",
        "pydantic=True, pydantic_strict=True, pydantic_context={}, pydantic_dump_kwargs={}",
        "on_failure=print, on_success=print, on_retry=print, after_return=print, before_start=print",
        "shadow_name=print, retry=print",
    ],
)
def test_documented_options_and_our_own_are_not_reported(project: Project, options: str) -> None:
    assert told(project, options) == []


def test_an_attribute_that_is_like_no_option_is_not_reported(project: Project) -> None:
    assert told(project, "owner='billing', tenant=3") == []


def test_an_attribute_that_the_task_reads_is_not_reported(project: Project) -> None:
    assert told(project, "timeout=3, bind=True", body="return self.timeout") == []


def test_an_attribute_that_its_base_has_is_not_reported(project: Project) -> None:
    base = "from opa.tasks.task import Task\n\nclass Calling(Task):\n    timeout = 5\n"
    assert told(project, "base=Calling, timeout=3", before=base) == []
    (line,) = told(project, "base=Calling, timeouts=3", before=base)
    assert "'timeouts'" in line


def test_a_task_of_a_plugin_that_is_skipped_is_not_reported(project: Project) -> None:
    project.settings(PLUGIN_FAILURE="skip")
    assert told(project, "retires=3", before="import opa\nclass stray(opa.Hook):\n    def run(self): pass\n") == []
