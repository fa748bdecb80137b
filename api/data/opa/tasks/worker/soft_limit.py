"""Celery's soft time limit in a process of its own: it interrupts the function of a task, and nothing after it.

It is a signal, whose handler raises an exception between any two lines of what the main thread does. Where that is the
storing of the result, the result would be lost; and in the middle of connecting to redis it would leave a connection
behind that all later tasks of the process fail with.

What it knows is of the main thread, where the handler runs; a function that is called in another thread changes nothing
there.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from celery.exceptions import SoftTimeLimitExceeded

from opa._compat.celery.app import get_current_task
from opa.current import current


class Interruptible:
    """A context around the function of a task: what Celery does when that has ended is not interrupted."""

    # No generator: one that is interrupted on its way out would end when it is collected, inside another task.
    def __enter__(self) -> None:
        self._is_outermost = not current.soft_limit.is_in_function  # a task may call others, as functions
        current.soft_limit.is_in_function = True
        if self._is_outermost:
            current.soft_limit.spared = None  # the same task may have run here before

    def __exit__(self, *_: object) -> None:
        if self._is_outermost:
            current.soft_limit.is_in_function = False
            spare(_current_id())


def spare(task_id: str | None) -> None:
    """Do not interrupt this task from now on: it has ended, or is a coroutine that holds its limit by itself."""
    if not current.soft_limit.is_in_function:
        current.soft_limit.spared = task_id
        if current.soft_limit.when_spared is not None:
            current.soft_limit.when_spared(task_id)


@contextmanager
def telling(when_spared: Callable[[str | None], None]) -> Iterator[None]:
    """Call `when_spared` with the id of each task that this thread is to spare while the context lasts."""
    before, current.soft_limit.when_spared = current.soft_limit.when_spared, when_spared
    try:
        yield
    finally:
        current.soft_limit.when_spared = before


def listen() -> None:
    """Called in a new process, once it handles signals as Celery has it."""
    signal.signal(signal.SIGUSR1, _interrupt)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    task_id = _current_id()  # that of a task that is called as a function is None
    if not current.soft_limit.is_in_function and task_id in (None, current.soft_limit.spared):
        return
    # It comes once for each task, and what it interrupts may be the end of an `Interruptible`.
    current.soft_limit.is_in_function = False
    current.soft_limit.spared = task_id
    raise SoftTimeLimitExceeded


def _current_id() -> str | None:
    task = get_current_task()
    return None if task is None else task.request.id
