"""`task`, by which any function of a plugin becomes a background task."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeVar, overload

from opa.tasks.application import current_application

if TYPE_CHECKING:
    from opa.tasks.task import Task

P = ParamSpec("P")
R = TypeVar("R")


@overload
def task(function: Callable[P, R], /) -> Task[P, R]: ...


@overload
def task(
    *, bind: Literal[True], schedule: Any = None, **options: Any
) -> Callable[[Callable[Concatenate[Any, P], R]], Task[P, R]]: ...


@overload
def task(
    *, bind: Literal[False] = False, schedule: Any = None, **options: Any
) -> Callable[[Callable[P, R]], Task[P, R]]: ...


def task(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a background task from a function; `def` and `async def` alike.

    Args:
        function: what the worker runs. Its arguments and its result arrive as they are, or are refused.
        options: Celery's (`queue`, `max_retries`, `time_limit`, `bind`, …), and `schedule`: seconds, a `timedelta`, a
            Celery schedule, or the five fields of a crontab entry (`"*/5 * * * *"`). And limits that hold across all
            workers: `unique` (a template, `"report:{id}"`) with `unique_for` (seconds), `concurrency` (how many run at
            once) and `rate` (how many start within a time, `"10/m"`), the last two also as a `TaskLimit`.

    Raises:
        RegistrationError: a task of this name is there already, `schedule` is none, `base` no class of tasks, the
            function a generator or a class, or a limit of no use.
    """
    tasks = current_application()
    return tasks.task(**options) if function is None else tasks.task(function, **options)
