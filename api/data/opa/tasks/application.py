"""The Celery application that the tasks of the plugins belong to."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from opa._compat.celery.app import announce_finalized, pool_of_connections
from opa._util.sources import where_is_function
from opa.core.running import current_tasks
from opa.errors import RegistrationError
from opa.tasks.brokers.amqp import Amqp
from opa.tasks.clock import Clock
from opa.tasks.foreign import TaskRegistry, UnmadeTask, adopt, based_on_ours
from opa.tasks.schedules import FORMS, parse_schedule
from opa.tasks.sending import SendingApplication
from opa.tasks.serializer import register_serializer
from opa.tasks.task import Task, refuse_unfit, synchronous

if TYPE_CHECKING:
    from opa.core.manager import PluginManager
    from opa.tasks.worker.limit_keeper import LimitKeeper
    from opa.tasks.worker.state_writer import StateWriter

CONTROL = "opa.tasks.control"
"""The module of what sends commands to workers, which Celery imports where one is sent."""


class TaskApplication(SendingApplication):
    """A Celery application whose tasks may be `async def`, whose names are unique, and whose queues lose no task.

    It is made before the plugins are imported, so that their tasks have something to belong to, and configured by the
    driver `celery` when they are.
    """

    def __init__(self) -> None:
        super().__init__(
            "opa",
            task_cls=Task,
            tasks=TaskRegistry(),
            amqp=f"{Amqp.__module__}:{Amqp.__name__}",
            control=f"{CONTROL}:Control",
            set_as_current=False,
            autofinalize=True,
        )
        register_serializer()
        self.clock = Clock()
        self.home = ""
        self.delivery_limit = 5
        self.missed_after = 300.0
        self.state_writer: StateWriter | None = None  # in a worker
        self.limits_without_redis = "refuse"
        self.limit_keeper: LimitKeeper | None = None  # in a worker
        self._is_finalizing = False
        self._is_noting = False

    @property
    def pool(self) -> Any:
        """The pool of connections to the broker."""
        return pool_of_connections(self)

    @cached_property
    def Worker(self) -> Any:  # noqa: N802 - Celery's name
        """The worker that runs the tasks; imported when a worker starts, and not where tasks are only sent."""
        from opa.tasks.worker import commands, consumer, consumer_steps, events, worker

        self.control.mailbox.node_cls = commands.Node  # type: ignore[attr-defined]  # celery-types lacks it
        self.events.dispatcher_cls = f"{events.EventDispatcher.__module__}:{events.EventDispatcher.__name__}"
        self.steps["worker"].add(worker.ChildrenUp)
        self.steps["consumer"].update({consumer_steps.DeadLetters, consumer_steps.GiveBack, consumer_steps.Readiness})
        self.conf.worker_consumer = f"{consumer.Consumer.__module__}:{consumer.Consumer.__name__}"
        return self.subclass_with_self(worker.Worker)

    @cached_property
    def Beat(self) -> Any:  # noqa: N802 - Celery's name
        """What runs the schedule; imported when a beat starts."""
        from opa.tasks.beat.service import Beat

        return self.subclass_with_self(Beat)

    def scheduled(self) -> dict[str, dict[str, Any]]:
        """The entries of the schedule that run, by name; also where no component has configured the application."""
        entries = {**self.schedules, **self.conf.beat_schedule}
        return {name: entry for name, entry in entries.items() if name not in self.disabled_schedules}

    def discard(self, module: str) -> None:
        """Take out the tasks of the plugin whose module is `module`: a worker refuses them, and beat sends none."""
        for name in self.forget_tasks_of(module):
            self.conf.beat_schedule.pop(name, None)
            self.made_tasks.pop(name, None)

    def finalize(self, auto: bool = False) -> None:
        """Make the tasks that were declared; Celery calls it when the first one is used.

        One that cannot be made keeps no other from it: `unmade` has why, and so has who uses it.
        """
        self._is_finalizing = not self.finalized  # type: ignore[attr-defined]  # celery-types lacks it
        try:
            super().finalize(auto=auto)
        finally:
            self._is_finalizing = False
        self._adopt_tasks()

    def _adopt_tasks(self) -> None:
        for name, task in list(self.made_tasks.items()):
            if self.is_discarded(type(task)):
                del self.made_tasks[name]
                continue
            if name not in self._functions:
                self._functions[name] = type(task)
                self.note_options(name, type(task), {}, type(task))
            try:
                self.made_tasks[name] = adopt(task)
            except RegistrationError as error:
                del self.made_tasks[name]
                self.unmade[name] = error

    def task(self, *args: Any, **options: Any) -> Any:
        """Make a task from a function, as a decorator with or without options.

        Besides Celery's options there is `schedule`: seconds, a `timedelta`, a Celery schedule, or the five fields of a
        crontab entry, such as `"*/5 * * * *"`.

        Raises:
            RegistrationError: a task of this name is there already, `schedule` is none, `base` no class of tasks, or
                the function a generator or a class.
        """
        if self._is_noting:  # one of Celery's own
            return _itself
        if args:
            if len(args) > 1 or not callable(args[0]):
                raise RegistrationError(
                    f"@task takes a function, not {', '.join(map(repr, args))}",
                    hint="Write its options by their names, such as @task(name='…')",
                )
            return self._add(args[0], options)

        def decorate(function: Callable[..., Any]) -> Any:
            return self._add(function, options)

        return decorate

    def configure_tasks(self) -> None:
        """Give each task what the settings say of it: one that is used while plugins are imported comes before them.

        And be Celery's current application from now on, which `shared_task`, `AsyncResult` and the like belong to.
        """
        self.set_current()
        self.set_default()
        self.__dict__.pop("annotations", None)
        self._adopt_tasks()
        for task in self.made_tasks.values():
            task.configure(self)

    def note_shared_tasks(self) -> None:
        """Know the tasks of `shared_task`, and their options, which Celery makes when the first task is used.

        To make all of them here would take as long as to load the plugins.
        """
        if self.finalized:  # type: ignore[attr-defined]  # celery-types lacks it
            return
        self._is_noting = True
        try:
            announce_finalized(self)
        finally:
            self._is_noting = False

    def _add(self, function: Callable[..., Any], options: dict[str, Any]) -> Any:
        options = dict(options)
        schedule = options.pop("schedule", None)
        name = options.get("name") or self.gen_task_name(function.__name__, function.__module__)
        refuse_unfit(function)
        self.claim(name, function)
        if options.get("base") is not None:
            options["base"] = _base(options["base"], name, function)
        if options.get("bind"):
            self._bound.add(name)
        self.note_options(name, function, options, options.get("base"))
        if schedule is not None:
            self.schedules[name] = {"task": name, "schedule": _schedule(schedule, name, function)}
        # Not shared: Celery would put it into every other application of the process too.
        return super().task(function, **{"shared": False, **options})

    def register_task(self, task: Any, **options: Any) -> Any:
        """Celery's `register_task`, for a task that is a class of its own.

        Raises:
            RegistrationError: a task of this name is there already.
        """
        cls = task if isinstance(task, type) else type(task)
        name = task.name or self.gen_task_name(cls.__name__, cls.__module__)
        self.claim(name, cls)
        self.note_options(name, cls, {}, cls)
        return super().register_task(adopt(task), **options)

    def task_from_function(
        self, fun: Callable[..., Any], name: str | None = None, base: Any = None, **options: Any
    ) -> Any:
        """Called by Celery to make a task from a function, also from one of `shared_task`."""
        name = name or self.gen_task_name(fun.__name__, fun.__module__)
        known = self._functions.get(name)
        is_discarded = self.is_discarded(fun)
        if known is not fun and (_is_forgotten(fun) or (known and (is_discarded or _is_forgotten(known)))):
            # `shared_task` puts it into all applications, those before and those to come.
            return self.made_tasks.get(name)
        if not is_discarded:
            self._functions.setdefault(name, fun)
            if options.get("bind"):
                self._bound.add(name)
            if known is None:  # one of `shared_task`
                self.note_options(name, fun, {**options, "base": base}, base)
        try:
            refuse_unfit(fun)
            if self._is_noting:
                return _base(base, name, fun) if base is not None else None
            base = None if base is None else _base(base, name, fun)
            task = super().task_from_function(synchronous(fun), name, base, **options)
        except (Exception, SystemExit) as error:
            self.made_tasks.pop(name, None)
            failure = _unmade(name, fun, error)
            if not self._is_finalizing and not self._is_noting:
                raise failure from error
            failure.__cause__ = error
            self.unmade[name] = failure
            return UnmadeTask(failure)
        if is_discarded:  # anyone who has it may hold it, and nobody finds it
            self.made_tasks.pop(name, None)
        return task


def _is_forgotten(function: Callable[..., Any]) -> bool:
    """Whether the module of a function was imported anew since, or belongs to plugins that are gone."""
    module = sys.modules.get(function.__module__)
    return module is None or vars(module) is not getattr(inspect.unwrap(function), "__globals__", vars(module))


def _itself(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def _unmade(name: str, function: Callable[..., Any], error: BaseException) -> RegistrationError:
    if isinstance(error, RegistrationError):
        return error
    return RegistrationError(
        f"task '{name}' cannot be made: {type(error).__name__}: {error}",
        where=where_is_function(function),
        hint="Fix its options, or its base",
    )


def _base(base: Any, name: str, function: Callable[..., Any]) -> Any:
    return based_on_ours(base, of=f"the base of task '{name}'", where=where_is_function(function))


def _schedule(value: Any, name: str, function: Callable[..., Any]) -> Any:
    try:
        return parse_schedule(value)
    except ValueError as error:
        raise RegistrationError(
            f"the schedule of task '{name}' cannot be used: {error}",
            where=where_is_function(function),
            hint=f"Write {FORMS}",
        ) from error.__cause__


def application_of(manager: PluginManager) -> TaskApplication:
    """The Celery application that the tasks of a manager's plugins belong to."""
    return cast("TaskApplication", manager.celery)


def current_application() -> TaskApplication:
    """The Celery application for a task that is being made.

    Where a plugin is imported by hand there is none, and its tasks get one that can run them here but not send them.
    """
    tasks = current_tasks()
    return TaskApplication() if tasks is None else cast("TaskApplication", tasks.application())
