"""Each mistake is one clear line, and an exit status that is not 0."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys

import pytest

from opa.errors import TaskArgumentError
from tests import programs
from tests.project import Project
from tests.tasks.workers import TaskProject

TASK = "from opa import task\n\n@task\ndef build(document):\n    pass\n"
NAMED = "from opa import task\n\n@task(name='build')\ndef {function}():\n    pass\n"
SCHEDULED = "from opa import task\n\n@task(schedule={schedule})\ndef build():\n    pass\n"
FORMS = 'Write seconds, a timedelta, or five fields such as "*/5 * * * *"'


def opa(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the project, to its end."""
    return programs.run(
        [sys.executable, "-m", "opa.cli", *arguments], env=os.environ | {"OPA_LOG_FORMAT": "text"} | variables
    )


def first_line(done: subprocess.CompletedProcess[str], project: Project) -> str:
    """The first line of the error, of a command that ended with status 1."""
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr.splitlines()[0].replace(str(project.plugins), "…")


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """The error of a command that ended with status 1, behind what the log says of a start."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("files", "line"),
    [
        (
            {"one.py": NAMED.format(function="first"), "two.py": NAMED.format(function="second")},
            "plugin 'two' does not import: task 'build' is defined twice, also at …/one.py:3 (…/two.py:3)"
            ". Rename one of them, or give it another name=…",
        ),
        (
            {"one.py": NAMED.format(function="first") + "\n@task(name='build')\ndef second():\n    pass\n"},
            "plugin 'one' does not import: task 'build' is defined twice, also at …/one.py:3 (…/one.py:7)"
            ". Rename one of them, or give it another name=…",
        ),
        (
            {"reports/__init__.py": "", "reports/tasks.py": "import jsom\n"},
            "tasks.py of plugin 'reports' does not import: ModuleNotFoundError: No module named 'jsom' "
            "(…/reports/tasks.py:1)",
        ),
        (
            {"reports/__init__.py": "", "reports/tasks.py": "def f(:\n"},
            "tasks.py of plugin 'reports' does not import: SyntaxError: invalid syntax (…/reports/tasks.py:1)",
        ),
        (
            {"one.py": SCHEDULED.format(schedule="'* * *'")},
            "plugin 'one' does not import: the schedule of task 'one.build' cannot be used: "
            "'* * *' is not a crontab entry: ",
        ),
        (
            {"one.py": SCHEDULED.format(schedule="0")},
            "plugin 'one' does not import: the schedule of task 'one.build' cannot be used: "
            "the time between two runs should be more than 0 "
            f"(…/one.py:3). {FORMS}",
        ),
        (
            {"one.py": SCHEDULED.format(schedule="[60]")},
            "plugin 'one' does not import: the schedule of task 'one.build' cannot be used: "
            f"a list is none (…/one.py:3). {FORMS}",
        ),
    ],
)
@pytest.mark.parametrize("command", ["check", "worker"])
def test_a_mistake_in_a_plugin_with_tasks(project: Project, files: dict[str, str], line: str, command: str) -> None:
    for name, text in files.items():
        project.plugin(name, text)
    done = opa("check") if command == "check" else opa("start", MODE="worker")
    assert first_line(done, project).removeprefix("error: ").startswith(line)


@pytest.mark.parametrize("command", ["check", "worker", "beat"])
@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {"CELERY_TASK_DEFAULT_QUEUE_TYPE": "quick"},
            "CELERY_TASK_DEFAULT_QUEUE_TYPE: is \"quick\", should be 'quorum' or 'classic' (",
        ),
        (
            {"CELERY_BEAT_SCHEDULE": {"nightly": {"task": "one.build", "schedule": "at night"}}},
            "the schedule of the entry 'nightly' cannot be used: 'at night' is not a crontab entry",
        ),
        (
            {"CELERY_BEAT_SCHEDULE": {"nightly": {"schedule": 60}}},
            "the entry 'nightly' names no task",
        ),
        (
            {"CELERY_BEAT_SCHEDULE": {"nightly": {"task": "one.build", "every": 60}}},
            "the entry 'nightly' has every, which is not one of args, enabled, kwargs, options, relative, schedule,"
            " task",
        ),
    ],
)
def test_a_mistake_in_the_settings(tasks: TaskProject, settings: dict[str, object], line: str, command: str) -> None:
    tasks.settings(**settings)
    done = opa("check") if command == "check" else opa("start", MODE=command)
    assert line in first_line(done, tasks.project)
    assert "00-test.json" in first_line(done, tasks.project)


@pytest.mark.parametrize("mode", ["worker", "beat", "flower"])
def test_without_a_host_of_the_component_the_mode_says_which_does_not_resolve(project: Project, mode: str) -> None:
    project.component(
        "CELERY", "celery", load="auto", BROKER_URL="pyamqp://guest:hunter2@rabbit.invalid//", BACKEND_URL="rpc://"
    )
    assert last_line(opa("start", MODE=mode)) == (
        f"error: MODE={mode} needs a component with the driver 'celery', and there is none; component 'celery' is not "
        "loaded: host 'rabbit.invalid' does not resolve, LOAD is auto (setting OPTIONAL_COMPONENTS.CELERY). "
        "Start the broker (`opa up` in this folder does), or fix BROKER_URL and BACKEND_URL; LOAD 'yes' waits for them"
    )


@pytest.mark.parametrize("mode", ["worker", "beat", "flower"])
def test_with_the_component_off_the_mode_says_so(project: Project, mode: str) -> None:
    assert "component 'celery' is not loaded: LOAD is no" in last_line(opa("start", MODE=mode))


def test_an_argument_that_is_not_json_is_reported_at_the_call(tasks: TaskProject) -> None:
    file = tasks.plugin("reports.py", TASK)
    with tasks.sending():
        with pytest.raises(TaskArgumentError) as caught:
            tasks.module("reports").build.delay({1, 2})
        assert str(caught.value).startswith(
            "task 'reports.build' is sent with argument 'document' (set) that is not JSON"
        )
        assert f"({file}:3)" in str(caught.value)


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ("-c many", "Celery does not take its command line: Invalid value for '-c' / '--concurrency': must be a non-"),
        ("--concurency 2", "Celery does not take its command line: No such option:? '?--concurency"),
        ("-A mine", "Celery does not take its command line: No such option:? '?-A"),
        ("-P threds", "Celery does not take its command line: Invalid value for '-P' / '--pool': 'threds' is not one"),
    ],
)
def test_params_that_celery_does_not_take_are_told_in_a_line(tasks: TaskProject, params: str, told: str) -> None:
    done = opa("start", MODE="worker", CELERY_PARAMS=params)
    assert re.match(f"error: {told}", last_line(done))  # Click has written it in another way before 8.5
    assert "environment variable CELERY_PARAMS" in last_line(done)


@pytest.mark.parametrize("params", ["--detach", "-c 1 -D"])
def test_a_worker_does_not_go_into_the_background(tasks: TaskProject, params: str) -> None:
    done = opa("start", MODE="worker", CELERY_PARAMS=params)
    assert last_line(done).startswith("error: a worker does not go into the background (-D, --detach)")


def test_a_module_that_celery_params_names_and_that_is_not_there_is_told_in_a_line(tasks: TaskProject) -> None:
    done = opa("start", MODE="worker", CELERY_PARAMS="--include=json,nowhere.mine -c 1")
    assert last_line(done).startswith(
        "error: Celery is to import 'nowhere.mine': No module named 'nowhere' (environment"
    )


@pytest.mark.skipif(importlib.util.find_spec("gevent") is not None, reason="gevent is installed")
def test_a_pool_that_is_not_installed_is_told_with_its_package(tasks: TaskProject) -> None:
    done = opa("start", MODE="worker", CELERY_PARAMS="-P gevent")
    assert last_line(done).startswith(
        "error: the package 'gevent', which the pool of this name needs, is not installed"
    )
    assert "pip install gevent" in last_line(done)


def test_unbalanced_quotes_in_celery_params_are_reported(tasks: TaskProject) -> None:
    done = opa("start", MODE="worker", CELERY_PARAMS="-Q 'math")
    assert last_line(done).startswith("error: CELERY_PARAMS cannot be split into words: No closing quot")
