from __future__ import annotations

import pytest

from opa.checks.code import Code
from opa.checks.task_calls import sent_functions
from tests.project import Project

CALLS = """
import jobs
from opa import get_router, task
from jobs import build, tidy

router = get_router()


class Queue:
    @staticmethod
    def send(): ...

{code}
"""
JOBS = "from opa import task\n\ndef build(): ...\n\n@task\ndef tidy(): ...\n\ndef other(): ...\nother.send = print\n"


def told(project: Project, code: str) -> list[str]:
    project.plugin("jobs.py", JOBS)
    project.plugin("shop/__init__.py", CALLS.format(code=code))
    return [str(mistake).replace(str(project.plugins), "…") for mistake in sent_functions(Code(project.prepare()))]


def test_sending_a_function_that_is_no_task_is_reported(project: Project) -> None:
    assert told(project, "async def send():\n    await build.send(1)") == [
        "'build.send()' in plugin 'shop' is called, and build (…/jobs.py:3) is not a task (…/shop/__init__.py:14). "
        "Write @task above the function, or call it"
    ]


@pytest.mark.parametrize(
    "code",
    [
        "def send():\n    jobs.build.delay()",
        "def send():\n    from jobs import build as make\n    make.apply_async()",
        "def send():\n    import jobs as other\n    other.build.si()",
        "send = lambda: build.send_with({}, 1)",
        "def send():\n    (build\n        . delay())",
        "def send():\n    build. \\\n    delay()",
        "def send():\n    def inner(build): ...\n    build.delay()",
        "def send():\n    def inner():\n        from jobs import build\n        build.delay()",
        "class Shop:\n    def send(self):\n        return [build.s(x) for x in range(3)]",
    ],
)
def test_a_call_is_reported_wherever_it_is(project: Project, code: str) -> None:
    assert len(told(project, code)) == 1


@pytest.mark.parametrize(
    "code",
    [
        "def send():\n    tidy.delay()",
        "def send():\n    jobs.other.send()",
        "def send():\n    Queue.send()",
        "def send(build):\n    build.delay()",
        "def send():\n    build = tidy\n    build.delay()",
        "def send():\n    def build(): ...\n    build.unknown()",
        "def send():\n    if build():\n        build = tidy\n    from jobs import build\n    build.delay()",
        "def send(build):\n    def inner():\n        build.delay()",
        "def send():\n    def inner(build):\n        build.delay()",
        "# build.delay()",
        "for_later = lambda: [build.delay() for build in [tidy]]",
        "def send(): ...\n\ndef s():\n    unknown.send()",
    ],
)
def test_calls_of_tasks_and_of_other_names_are_not_reported(project: Project, code: str) -> None:
    assert told(project, code) == []
