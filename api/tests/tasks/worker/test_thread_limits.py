"""Time limits of tasks in threads."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from celery.app import app_or_default

from opa.tasks.application import TaskApplication
from opa.tasks.task import Task
from opa.tasks.worker import thread_limits
from opa.tasks.worker.thread_limits import GivenUpError, Limited, ThreadLimits
from opa.tasks.worker.threads import Job


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> ThreadLimits:
    monkeypatch.setattr(thread_limits, "POLL_INTERVAL", 0.01)
    return ThreadLimits()


ID = "one"


def limited(seen: SimpleNamespace, *, soft: float | None = None, hard: float | None = None) -> Limited:
    """A task that notes what becomes of it."""
    seen.timeouts, seen.is_ended = [], False
    end = lambda: setattr(seen, "is_ended", True)  # noqa: E731
    return Limited(ID, soft, hard, lambda *told: seen.timeouts.append(told), end)


def run(
    limits: ThreadLimits, seconds: float, *, soft: float | None = None, hard: float | None = None
) -> SimpleNamespace:
    """What becomes of a task that takes so long."""
    seen = SimpleNamespace()
    with suppress(GivenUpError), limits.of(limited(seen, soft=soft, hard=hard)):
        time.sleep(seconds)
    time.sleep(0.1)
    return seen


def test_a_task_is_given_up_at_its_hard_limit(limits: ThreadLimits) -> None:
    seen = run(limits, 0.5, soft=0.05, hard=0.2)
    assert seen.timeouts == [(True, 0.05), (False, 0.2)]
    assert seen.is_ended


def test_a_task_that_ends_in_time_is_left_alone(limits: ThreadLimits) -> None:
    seen = run(limits, 0.02, soft=0.1, hard=0.1)
    assert (seen.timeouts, seen.is_ended) == ([], False)


def test_a_limit_whose_end_cannot_be_noted_keeps_the_others(limits: ThreadLimits) -> None:
    broken = Limited("other", None, 0.01, lambda *_: 1 / 0, lambda: None)  # type: ignore[arg-type]
    with pytest.raises(GivenUpError), limits.of(broken):
        assert run(limits, 0.2, hard=0.1).is_ended


def test_no_limit_holds_while_a_debugger_is_attached(limits: ThreadLimits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_limits, "_is_debugged", lambda: True)
    seen = run(limits, 0.2, soft=0.05, hard=0.1)
    assert (seen.timeouts, seen.is_ended) == ([], False)


@pytest.fixture
def app() -> Iterator[TaskApplication]:
    before = app_or_default()
    app = TaskApplication()
    app.configure_tasks()
    yield app
    before.set_current()
    before.set_default()


SOON = 2
"""Seconds: a limit within which a busy machine calls a function, and that a test can wait for."""


def test_an_asynchronous_task_is_left_to_its_own_limits(limits: ThreadLimits, app: TaskApplication) -> None:
    @app.task
    async def slow() -> str:
        await asyncio.sleep(SOON + 0.5)
        return "done"

    seen = SimpleNamespace()
    with limits.of(limited(seen, soft=SOON, hard=SOON)):
        assert app.tasks[slow.name].apply(task_id=ID).get() == "done"
    assert (seen.timeouts, seen.is_ended) == ([], False)


class Slowly(Task[Any, Any]):
    """Its end takes longer than it may run."""

    abstract = True

    def on_success(self, *_: Any) -> None:
        time.sleep(SOON + 0.5)


def test_a_task_whose_function_has_ended_has_no_limit_for_the_rest(limits: ThreadLimits, app: TaskApplication) -> None:
    @app.task
    def quick() -> None: ...

    def slow() -> str:
        app.tasks[quick.name].apply()  # a task of its own, which ends nothing
        return "done"

    task = app.task(slow, base=Slowly)

    seen = SimpleNamespace()
    with limits.of(limited(seen, soft=SOON, hard=SOON)):
        assert app.tasks[task.name].apply(task_id=ID).get() == "done"
    assert (seen.timeouts, seen.is_ended) == ([], False)


def test_a_task_that_another_one_runs_here_and_now_takes_no_limit_from_it(
    limits: ThreadLimits, app: TaskApplication
) -> None:
    @app.task
    def inner() -> None: ...

    @app.task
    def outer() -> None:
        app.tasks[inner.name].apply()
        time.sleep(0.3)

    seen = SimpleNamespace()
    with pytest.raises(GivenUpError), limits.of(limited(seen, hard=0.1)):
        app.tasks[outer.name].apply(task_id=ID)
    assert seen.timeouts == [(False, 0.1)]


def test_nothing_is_noted_of_a_task_that_continues_after_its_limit(limits: ThreadLimits, app: TaskApplication) -> None:
    noted: list[str] = []

    class Noting(Task[Any, Any]):
        abstract = True

        def on_success(self, *_: Any) -> None:
            noted.append("success")

        def on_failure(self, *_: Any) -> None:
            noted.append("failure")

    def slow(*, fails: bool) -> None:
        time.sleep(0.3)
        if fails:
            raise ValueError

    task = app.task(slow, base=Noting)

    def note(*told: Any) -> None:
        noted.append(str(told))

    for fails in (False, True):
        seen = SimpleNamespace()
        target = partial(app.tasks[task.name].apply, kwargs={"fails": fails}, task_id=ID)
        hold = partial(limits.of, limited(seen, hard=0.1))
        Job(ID).run(target, (), note, note, lambda *_: None, limits=hold)
        assert seen.timeouts == [(False, 0.1)]
    assert noted == []


def test_a_task_that_ends_while_the_end_of_another_is_noted_is_told_of_no_limit(limits: ThreadLimits) -> None:
    told: list[str] = []
    has_begun, has_ended = threading.Event(), threading.Event()
    may_end = {"a": threading.Event(), "b": threading.Event()}

    def run_until_told(name: str) -> None:
        def on_timeout(*_: Any) -> None:
            told.append(name)
            has_begun.set()
            has_ended.wait(10)

        with limits.of(Limited(name, None, 0.2, on_timeout, lambda: None)):
            may_end[name].wait(10)

    with ThreadPoolExecutor(2) as threads:
        futures = {name: threads.submit(run_until_told, name) for name in may_end}
        assert has_begun.wait(10)
        (first,) = told
        (second,) = may_end.keys() - told
        time.sleep(0.1)
        may_end[second].set()
        assert futures[second].exception(10) is None
        has_ended.set()
        time.sleep(0.2)
        may_end[first].set()
        assert isinstance(futures[first].exception(10), GivenUpError)
    assert told == [first]


def test_no_time_limit_is_checked_while_nothing_runs(limits: ThreadLimits, monkeypatch: pytest.MonkeyPatch) -> None:
    run(limits, 0.05, hard=10)
    looks: list[float] = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        threading.Event().wait(seconds)

    monkeypatch.setattr(thread_limits, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))
    time.sleep(0.2)
    assert len(looks) <= 1
    assert run(limits, 0.3, hard=0.1).is_ended  # and it looks again
    assert len(looks) > 1
