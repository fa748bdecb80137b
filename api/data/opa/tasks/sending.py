"""How the Celery application sends tasks: with arguments that arrive, within their limits, and not to a dead broker."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from celery.utils.time import maybe_iso8601, maybe_make_aware
from kombu.exceptions import EncodeError, OperationalError

from opa._compat.celery.app import Application
from opa.errors import TaskArgumentError, TaskTooLargeError
from opa.tasks.codec import Limits, Sending, UnfitError, encode
from opa.tasks.declared import LIMITS, DeclaredTasks
from opa.tasks.headers import SENT_AT
from opa.tasks.marks import TooLargeError
from opa.tasks.parameters import Parameters, parameters_of
from opa.tasks.request_ids import with_request_id

if TYPE_CHECKING:
    from opa.core.breaker import Breaker
    from opa.core.component_observers import TellWait
    from opa.tasks.limits.store import LimitStore
    from opa.tasks.limits.task_limits import TaskLimits
    from opa.tasks.observing.observers import Observers


class SendingApplication(DeclaredTasks, Application):
    """What `TaskApplication` is made of, as far as it sends the tasks that are declared in it."""

    def __init__(self, main: str, **options: Any) -> None:
        DeclaredTasks.__init__(self)
        Application.__init__(self, main, **options)
        self.project = "opa-stack"
        self.limits = Limits()
        self.waits_in_broker = False
        self.breaker: Breaker | None = None
        self.tell_wait: TellWait | None = None  # where something shows how long the broker is waited for
        self.observers: Observers | None = None  # where a plugin has one
        self.limit_driver: Any = None
        self._limit_stores: dict[int, LimitStore] = {}

    def send_task(  # type: ignore[override]  # celery-types names all of them
        self, name: str, args: Any = None, kwargs: Any = None, countdown: Any = None, eta: Any = None, **options: Any
    ) -> Any:
        """Celery's `send_task`. RabbitMQ counts whole seconds, so there a countdown is rounded up; Celery fails.

        The id of the request that sends the task goes with it. `delay`, `apply_async`, `send` and beat come here too.

        Raises:
            TaskArgumentError: an argument would not arrive as it is.
            TaskTooLargeError: the arguments take more bytes, or more levels, than the settings allow.
            ComponentUnavailableError: the task is unique, and redis does not answer.
            kombu.exceptions.OperationalError: the broker does not answer, or is known not to.
        """
        if self.breaker is not None:
            self.breaker.check_in_thread()
        if name in self.limited and (limits := self.limits_of(name)) and limits.unique:
            from opa.tasks.limits.sending import send_unique

            def send(given: Mapping[str, Any]) -> Any:
                return self._send(name, args, kwargs, **given)

            return send_unique(self, limits, (args, kwargs), {**options, "countdown": countdown, "eta": eta}, send)
        return self._send(name, args, kwargs, countdown, eta, **options)

    def _send(self, name: str, args: Any, kwargs: Any, countdown: Any = None, eta: Any = None, **options: Any) -> Any:
        if self.waits_in_broker and (countdown or eta):
            if eta is not None:
                point: Any = maybe_iso8601(eta)
                countdown = (maybe_make_aware(point, self.timezone) - self.now()).total_seconds()
            countdown, eta = max(0, math.ceil(countdown)), None
        options["headers"] = with_request_id(options.get("headers"))
        if (made := self.made_tasks.get(name)) is not None and made.ignore_result:
            options.setdefault("ignore_result", True)  # as `apply_async` does: nobody waits for what nobody keeps
        if self.observers is not None:
            options["headers"] = {**(options["headers"] or {}), SENT_AT: time.time()}
        try:
            return super().send_task(name, args, kwargs, countdown, eta, **options)
        except EncodeError as error:
            raise self.argument_error(name, error) from error
        except OperationalError as error:
            if self.breaker is not None:
                self.breaker.failed(error)
            raise

    def producer_or_acquire(self, producer: Any = None) -> Any:
        """Celery's: a context that gives what sends a task."""
        context = super().producer_or_acquire(producer)
        if self.tell_wait is None or producer is not None:
            return context
        from opa.tasks.broker_pool import measured_where_used_up

        return measured_where_used_up(self, context)

    def check_arguments(self, name: str, args: list[Any]) -> None:
        """See that a task could be sent with these arguments.

        Raises:
            TaskArgumentError: one of them would not arrive as it is.
            TaskTooLargeError: they take more bytes, or more levels, than the settings allow.
        """
        try:
            with Sending(self.limits, name, self.parameters_of):
                encode((args, {}, {}))
        except (TypeError, ValueError) as error:
            raise self.argument_error(name, EncodeError(error)) from error

    def argument_error(self, name: str, error: EncodeError) -> TaskArgumentError:
        """What is raised where the arguments of a task cannot be encoded."""
        where = self.where(name) or None
        if isinstance(cause := error.args[0] if error.args else None, TooLargeError):
            return TaskTooLargeError(
                f"task '{name}' cannot be sent with its arguments: {cause}",
                where=where,
                hint="Put what is large into a component or a file, and send its name",
            )
        what = cause.what if isinstance(cause, UnfitError) else "something"
        return TaskArgumentError(
            f"task '{name}' is sent with {what} that is not JSON: {error}",
            where=where,
            hint="Send what JSON has, or annotate the parameter: a Pydantic model, a dataclass, an enum, a set, bytes",
        )

    def parameters_of(self, name: str) -> Parameters | None:
        """What is known of the parameters of a task; None of one that is not here."""
        task = self.made_tasks.get(name)
        return None if task is None else parameters_of(task)

    def limits_of(self, name: str) -> TaskLimits | None:
        """The limits of a task, with what the settings say of it; None of one that has none.

        Raises:
            ValueError: one of them is of no use.
        """
        if name not in self.limited:
            return None
        found = self.limited[name]
        if found is None and name in self._functions and (task := self.tasks.get(name)) is not None:
            from opa.tasks.limits.task_limits import limits_of

            options = {option: getattr(task, option, None) for option in LIMITS}
            found = self.limited[name] = limits_of(name, self.signature_of(name), options)
        return found

    @property
    def limit_store(self) -> LimitStore:
        """What redis keeps of limits, by connections of this process."""
        process = os.getpid()
        store = self._limit_stores.get(process)
        if store is None:
            from opa.tasks.limits.store import new_store

            store = new_store(self.limit_driver, self.project, is_guarded=self.breaker is not None)
            self._limit_stores = {process: store}  # a child has no use for the connections of its parent
        return store
