"""A worker in development: it reloads, and a debugger attaches to it."""

from __future__ import annotations

import os
import signal

import pytest
from celery.exceptions import TimeLimitExceeded

from tests.docker.dap import DapClient
from tests.serve.process import children_of, free_port, is_running, wait_until
from tests.tasks.workers import TaskProject

RELOAD = {"OPA_RELOAD": "true", "OPA_RELOAD_POLLING": "yes"}

WORD = """
import time

from opa import log, task


@task
def word():
    return "{word}"


@task
def slow():
    log.info("slow begins")
    time.sleep(3)
    return "{word}"
"""

LIMITED = """
import time

from celery.exceptions import SoftTimeLimitExceeded

from opa import task


@task(time_limit=1)
def endless():
    time.sleep(600)


@task(soft_time_limit=1, time_limit=2)
def busy():
    try:
        while True:
            time.sleep(0.01)
    except SoftTimeLimitExceeded:
        return "cleaned up"


@task
def other():
    return "other"
"""

DOUBLE = """
import asyncio

from opa import task


@task
def double(number):
    answer = 2 * number
    return answer


@task
async def double_later(number):
    await asyncio.sleep(0)
    answer = 2 * number
    return answer
"""


def test_a_changed_task_runs_as_changed_one_that_runs_has_its_time_and_a_mistake_is_shown_and_fixed(
    tasks: TaskProject,
) -> None:
    file = tasks.plugin("words.py", WORD.format(word="one"))
    worker = tasks.worker(**RELOAD)
    with tasks.sending():
        words = tasks.module("words")
        assert words.word.delay().get(timeout=60) == "one"
        running = words.slow.delay()
        wait_until(lambda: worker.says("slow begins"))
        file.write_text(WORD.format(word="two"))
        wait_until(lambda: worker.says("changed"))
        changed = words.word.delay()
        assert running.get(timeout=60) == "one"
        assert changed.get(timeout=60) == "two"
        file.write_text("def broken(:\n")
        wait_until(lambda: worker.says("restarts when a file changes"))
        file.write_text(WORD.format(word="three"))
        assert words.word.delay().get(timeout=60) == "three"
    assert worker.stop() == 0


def test_a_worker_that_reloads_ends_a_task_at_its_time_limit_and_is_started_again_when_it_is_killed(
    tasks: TaskProject,
) -> None:
    tasks.plugin("words.py", WORD.format(word="one"))
    tasks.plugin("limited.py", LIMITED)
    worker = tasks.worker(**RELOAD)
    with tasks.sending():
        with pytest.raises(TimeLimitExceeded):
            tasks.module("limited").endless.delay().get(timeout=60)
        wait_until(lambda: worker.says("exceeded for limited.endless"))
        assert not [word for word in ("Task handler raised error", "Traceback") if word in worker.log], worker.log
        (child,) = children_of(worker.process.pid)
        left = children_of(child)
        assert left, "the processes of the worker"
        os.kill(child, signal.SIGKILL)
        assert tasks.module("words").word.delay().get(timeout=60) == "one"
    assert not [line for line in ("raised error: TimeLimitExceeded", "Traceback") if line in worker.log], worker.log
    assert worker.says("ended with signal SIGKILL; it restarts in 1 s")
    assert not any(map(is_running, left))
    assert worker.stop() == 0


def test_time_limits_hold_where_a_debugger_may_attach(tasks: TaskProject) -> None:
    tasks.plugin("limited.py", LIMITED)
    worker = tasks.worker("-c 3", OPA_DEBUGPY="true", OPA_DEBUGPY_PORT=str(free_port()))
    with tasks.sending():
        limited = tasks.module("limited")
        for name in ("endless", "busy"):
            with pytest.raises(TimeLimitExceeded):
                getattr(limited, name).delay().get(timeout=60)
        assert limited.other.delay().get(timeout=60) == "other"
    assert "task 'limited.busy' is not interrupted at its soft_time_limit of 1 s" in worker.log
    assert worker.log.count("is not interrupted at its soft_time_limit") == 1
    assert worker.stop() == 0


@pytest.mark.parametrize("reload", ["true", "false"])
def test_a_debugger_stops_in_a_task_and_in_an_asynchronous_one(tasks: TaskProject, reload: str) -> None:
    file = tasks.plugin("numbers_.py", DOUBLE)
    lines = [number for number, line in enumerate(DOUBLE.splitlines(), 1) if line == "    return answer"]
    port = free_port()
    worker = tasks.start(OPA_RELOAD=reload, OPA_DEBUGPY="true", OPA_DEBUGPY_PORT=str(port), CELERY_PARAMS="-c 1")
    worker.wait_until_ready()
    with tasks.sending(), DapClient("127.0.0.1", port) as debugger:
        folder = str(file.parent)
        debugger.attach(local_root=folder, remote_root=folder, breakpoints={str(file): lines})
        for name, number in (("double", 21), ("double_later", 4)):
            result = getattr(tasks.module("numbers_"), name).delay(number)
            variables = debugger.variables_where_stopped()
            assert (variables["number"], variables["answer"]) == (str(number), str(2 * number))
            debugger.resume()
            assert result.get(timeout=60) == 2 * number
