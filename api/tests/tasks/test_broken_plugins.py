"""A broken plugin in a real api and a real worker: what serves, what is said, and the exit status."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import opa as package
from tests.serve.process import wait_until
from tests.tasks.workers import TaskProject

SCRIPT = Path(package.__file__).with_name("healthcheck.py")
GOOD = """
from opa import get_router, task

router = get_router()
router.get("/good")(lambda: "good")

@task
def good():
    return "good"
"""
WAYS = {
    "syntax error": "def f(:",
    "missing import": "import nowhere_to_be_found",
    "SystemExit": "raise SystemExit(0)",
    "hang": "import time\ntime.sleep(600)",
    "bad hook": "from opa import Hook\nclass stray(Hook):\n    def run(self): pass",
    "ready": "def ready():\n    raise ValueError('not ready')",
    "ready hangs": "import time\ndef ready():\n    time.sleep(600)",
}
TASK = "from opa import task\n\n@task\ndef bad():\n    return 'bad'\n\n"


@pytest.fixture(params=WAYS)
def broken(tasks: TaskProject, request: pytest.FixtureRequest) -> TaskProject:
    tasks.plugin("good.py", GOOD)
    tasks.plugin("bad.py", TASK + WAYS[request.param])
    tasks.settings(PLUGIN_IMPORT_TIMEOUT=2, PLUGIN_READY_TIMEOUT=2)
    return tasks


@pytest.mark.parametrize("mode", ["api", "worker"])
def test_with_fail_the_process_ends_with_status_1_and_one_line(broken: TaskProject, mode: str) -> None:
    process = broken.start(MODE=mode, OPA_PORT="0", WEB_CONCURRENCY="1", CELERY_PARAMS="-c 1")
    assert process.wait() == 1
    said = [line for line in process.log.splitlines() if "plugin 'bad'" in line and "has taken" not in line]
    assert len(said) == 1, said


def test_with_skip_a_worker_runs_what_is_left_and_says_what_is_not(tasks: TaskProject) -> None:
    tasks.plugin("good.py", GOOD)
    names = [f"bad_{number}" for number in range(len(WAYS))]
    for name, way in zip(names, WAYS.values(), strict=True):
        tasks.plugin(f"{name}.py", TASK + way)
    tasks.settings(PLUGIN_IMPORT_TIMEOUT=2, PLUGIN_READY_TIMEOUT=2, PLUGIN_FAILURE="skip")
    worker = tasks.worker()
    with tasks.sending():
        assert tasks.module("good").good.delay().get(timeout=60) == "good"
    assert [name for name in names if not worker.says(f"plugin '{name}' is skipped")] == []
    assert worker.stop(signal.SIGTERM) == 0


def test_with_skip_a_worker_does_not_take_the_tasks_of_a_plugin_whose_ready_failed(tasks: TaskProject) -> None:
    tasks.plugin("good.py", GOOD)
    tasks.plugin(
        "bad.py", TASK + "from opa import state\n\ndef ready():\n    if state['runner'] == 'celery':\n        1 / 0"
    )
    tasks.settings(PLUGIN_FAILURE="skip")
    worker = tasks.worker()
    with tasks.sending():
        tasks.module("bad").bad.delay()
        assert tasks.module("good").good.delay().get(timeout=60) == "good"
        wait_until(lambda: worker.says("bad.bad"), what="the worker has refused the task")
    assert not worker.says("bad.bad succeeded")
    assert [plugin["name"] for plugin in worker.health["plugins"]] == ["bad"]
    checked = subprocess.run(
        [sys.executable, "-I", str(SCRIPT)],
        env={"HEALTH_FILE": str(worker.health_file)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert checked.stdout.startswith("plugin 'bad' is skipped: ")


def test_a_plugin_that_is_only_broken_in_a_process_that_takes_the_place_of_another_is_skipped_then(
    tasks: TaskProject,
) -> None:
    tasks.plugin("good.py", GOOD)
    tasks.plugin("bad.py", TASK + "from pathlib import Path\n\ndef ready():\n    Path('broken').exists() and 1 / 0")
    tasks.settings(PLUGIN_FAILURE="skip")
    worker = tasks.worker()
    with tasks.sending():
        assert tasks.module("bad").bad.delay().get(timeout=60) == "bad"
        (tasks.folder / "broken").touch()
        (child,) = worker.children
        os.kill(child, signal.SIGKILL)
        wait_until(lambda: worker.health.get("plugins"), what="the worker tells of it")
        tasks.module("bad").bad.delay()
        assert tasks.module("good").good.delay().get(timeout=60) == "good"
        wait_until(
            lambda: worker.says("no plugin of this worker has the task 'bad.bad'"),
            what="the worker has refused the task",
        )
