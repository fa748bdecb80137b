"""The Celery application that the tasks of the plugins belong to."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

from celery import Celery
from celery.utils.time import maybe_iso8601, maybe_make_aware
from kombu.exceptions import EncodeError

from opa.core.errors import RegistrationError, TaskArgumentError, TaskTooLargeError
from opa.core.sources import where_is_function
from opa.tasks.codec import Limits, TooLargeError, encode
from opa.tasks.options import unknown_options
from opa.tasks.queues import Amqp
from opa.tasks.request_ids import with_request_id
from opa.tasks.schedules import FORMS, parse_schedule
from opa.tasks.task import Task, synchronous


class TaskApplication(Celery):
    """A Celery application whose tasks may be `async def`, whose names are unique, and whose queues lose no task.

    It is made before the plugins are imported, so that their tasks have something to belong to, and configured by the
    driver `celery` when they are.
    """

    def __init__(self) -> None:
        super().__init__(
            "opa",
            task_cls=Task,
            amqp=f"{Amqp.__module__}:{Amqp.__name__}",
            set_as_current=False,
            autofinalize=True,
        )
        self.delivery_limit = 5
        self.limits = Limits()
        self.waits_in_broker = False
        self.schedules: dict[str, dict[str, Any]] = {}
        self.unknown_options: dict[str, tuple[Callable[..., Any], list[str]]] = {}
        self._functions: dict[str, Callable[..., Any]] = {}
        self._discarded: set[str] = set()

    @cached_property
    def Worker(self) -> Any:  # noqa: N802 - Celery's name
        """The worker that runs the tasks; imported when a worker starts, and not where tasks are only sent."""
        from opa.tasks import consumer, events, worker

        self.events.dispatcher_cls = f"{events.EventDispatcher.__module__}:{events.EventDispatcher.__name__}"
        self.steps["worker"].add(worker.ChildrenUp)
        self.steps["consumer"].update({consumer.DeadLetters, consumer.GiveBack, consumer.Readiness})
        self.conf.worker_consumer = f"{consumer.Consumer.__module__}:{consumer.Consumer.__name__}"
        return self.subclass_with_self(worker.Worker)

    @cached_property
    def Beat(self) -> Any:  # noqa: N802 - Celery's name
        """What runs the schedule; imported when a beat starts."""
        from opa.tasks.beat import Beat

        return self.subclass_with_self(Beat)

    def functions(self) -> list[Callable[..., Any]]:
        """The functions that the tasks of all plugins were made from."""
        return list(self._functions.values())

    def tasks_of(self, module: str) -> list[str]:
        """The names of the tasks of the plugin whose module is `module`."""
        return [
            name for name, function in self._functions.items() if f"{function.__module__}.".startswith(f"{module}.")
        ]

    def discard(self, module: str) -> None:
        """Take out the tasks of the plugin whose module is `module`: a worker refuses them, and beat sends none."""
        for name in self.tasks_of(module):
            del self._functions[name]
            self.schedules.pop(name, None)
            self.unknown_options.pop(name, None)
            self.conf.beat_schedule.pop(name, None)
            self._discarded.add(name)
        if self.finalized:  # type: ignore[attr-defined]  # celery-types lacks it
            self._remove_discarded()

    def finalize(self, auto: bool = False) -> None:
        """Make the tasks that were declared; Celery calls it when the first one is used."""
        super().finalize(auto=auto)
        self._remove_discarded()

    def _remove_discarded(self) -> None:
        for name in self._discarded:
            self._tasks.pop(name, None)  # type: ignore[attr-defined]  # celery-types lacks it

    def task(self, *args: Any, **options: Any) -> Any:
        """Make a task from a function, as a decorator with or without options.

        Besides Celery's options there is `schedule`: seconds, a `timedelta`, a Celery schedule, or the five fields of a
        crontab entry, such as `"*/5 * * * *"`.

        Raises:
            RegistrationError: a task of this name is there already, or `schedule` is none.
        """
        if len(args) == 1 and callable(args[0]):
            return self._add(args[0], options)

        def decorate(function: Callable[..., Any]) -> Any:
            return self._add(function, options)

        return decorate

    def send_task(  # type: ignore[override]  # celery-types names all of them
        self, name: str, args: Any = None, kwargs: Any = None, countdown: Any = None, eta: Any = None, **options: Any
    ) -> Any:
        """Celery's `send_task`. RabbitMQ counts whole seconds, so there a countdown is rounded up; Celery fails.

        The id of the request that sends the task goes with it. `delay`, `apply_async`, `send` and beat come here too.

        Raises:
            TaskArgumentError: an argument is not JSON.
            TaskTooLargeError: the arguments take more bytes, or more levels, than the settings allow.
        """
        if self.waits_in_broker and (countdown or eta):
            if eta is not None:
                point: Any = maybe_iso8601(eta)
                countdown = (maybe_make_aware(point, self.timezone) - self.now()).total_seconds()
            countdown, eta = max(0, math.ceil(countdown)), None
        options["headers"] = with_request_id(options.get("headers"))
        try:
            return super().send_task(name, args, kwargs, countdown, eta, **options)
        except EncodeError as error:
            raise self._argument_error(name, args or (), kwargs or {}, error) from error

    def _argument_error(self, name: str, args: Any, kwargs: Any, error: EncodeError) -> TaskArgumentError:
        where = self.where(name) or None
        if isinstance(cause := error.args[0] if error.args else None, TooLargeError):
            return TaskTooLargeError(
                f"task '{name}' cannot be sent with its arguments: {cause}",
                where=where,
                hint="Put what is large into a component or a file, and send its name",
            )
        named = [(f"number {number}", value) for number, value in enumerate(args, 1)]
        named += [(f"'{key}'", value) for key, value in kwargs.items()]
        which = next((f"argument {key} ({type(value).__name__})" for key, value in named if not _is_json(value)), "")
        return TaskArgumentError(
            f"task '{name}' is sent with {which or 'something'} that is not JSON: {error}",
            where=where,
            hint="Send numbers, texts, lists and dicts, and make objects from them in the task",
        )

    def configure_tasks(self) -> None:
        """Give each task what the settings say of it: one that is used while plugins are imported comes before them.

        And be Celery's current application from now on, which `shared_task`, `AsyncResult` and the like belong to.
        """
        self.set_current()
        self.set_default()
        self.__dict__.pop("annotations", None)
        for task in self._tasks.values():  # type: ignore[attr-defined]  # celery-types lacks it
            task.configure()

    def where(self, name: str) -> str:
        """File and line of the function that a plugin's task was made from; empty for a task of Celery's own."""
        function = self._functions.get(name)
        if function is None or function.__module__.startswith("celery."):
            return ""
        return where_is_function(function)

    def _add(self, function: Callable[..., Any], options: dict[str, Any]) -> Any:
        options = dict(options)
        schedule = options.pop("schedule", None)
        name = options.get("name") or self.gen_task_name(function.__name__, function.__module__)
        if name in self._functions:
            raise RegistrationError(
                f"task '{name}' stands twice, also at {where_is_function(self._functions[name])}",
                where=where_is_function(function),
                hint="Rename one of them, or give it another name=…",
            )
        self._functions[name] = function
        if unknown := unknown_options(options):
            self.unknown_options[name] = (function, unknown)
        if schedule is not None:
            self.schedules[name] = {"task": name, "schedule": _schedule(schedule, name, function)}
        # Not shared: Celery would put it into every other application of the process too.
        return super().task(synchronous(function), **{"shared": False, **options})


def _is_json(value: Any) -> bool:
    try:
        encode(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _schedule(value: Any, name: str, function: Callable[..., Any]) -> Any:
    try:
        return parse_schedule(value)
    except ValueError as error:
        raise RegistrationError(
            f"the schedule of task '{name}' cannot be used: {error}",
            where=where_is_function(function),
            hint=f"Write {FORMS}",
        ) from error.__cause__
