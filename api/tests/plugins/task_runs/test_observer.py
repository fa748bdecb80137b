"""What takes down the runs in a process."""

from __future__ import annotations

import gc
import sys
import weakref
from typing import Any

from tests.project import Project


def prepared(project: Project) -> weakref.ref[Any]:
    project.prepare()
    return weakref.ref(sys.modules["opa.plugins.task_runs.observer"].RunObserver)


def test_nothing_stays_of_an_application_that_another_one_has_replaced(project: Project) -> None:
    project.component("AIOREDIS", "redis-aioredis", URL="redis://127.0.0.1:1/0")
    project.prepare()  # in place of the modules that other tests have imported
    first, second = prepared(project), prepared(project)
    gc.collect()
    assert first() is None
    assert second() is not None
