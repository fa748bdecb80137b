"""What a worker does beside Celery with each connection to the broker, step by step."""

from __future__ import annotations

from functools import partial
from typing import Any

from celery import bootsteps
from celery.worker.state import maybe_shutdown
from redis.exceptions import OutOfMemoryError

from opa.core.manager import get_plugin_manager
from opa.logging.logger import log
from opa.process.health_target import HEARTBEAT, note_alive, note_not_ready
from opa.tasks.brokers.queues import dead_letter_queue
from opa.tasks.worker.reconnects import STABLE_AFTER
from opa.tasks.worker.refused_results import warn_where_refused


class GiveBack(bootsteps.StartStopStep):
    """Writes what could not be written when redis was gone, or could not write.

    Redis itself does not notice that a worker was gone, and would keep its tasks back for `TASK_VISIBILITY_TIMEOUT`.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def include_if(self, c: Any) -> bool:
        """Called when the worker is made."""
        return bool(c.conninfo.transport.driver_type == "redis")

    def start(self, c: Any) -> None:
        """Called after each connect."""
        self._pay(c)
        c.timer.call_repeatedly(HEARTBEAT, self._pay, (c,))

    def _pay(self, c: Any) -> None:
        try:
            c.debts.pay(c.task_consumer.channel)
        except OutOfMemoryError as error:
            # The tasks that wait may be what fills it: this worker goes on, and tries again.
            log.debug("Redis has no memory for what goes back to it: {}", error)

    def shutdown(self, c: Any) -> None:
        """Called when the worker ends."""
        try:
            self._pay(c)
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker ends
            log.debug("Redis takes nothing from the worker that ends: {}", error)
        c.debts.say_what_stays()


class DeadLetters(bootsteps.StartStopStep):
    """Declares the queue for the tasks that are given up, before a task can be."""

    requires = ("celery.worker.consumer.connection:Connection",)

    def start(self, c: Any) -> None:
        """Called after each connect."""
        if c.connection.transport.driver_type == "amqp":
            with c.connection.channel() as channel:
                dead_letter_queue()(channel).declare()


class Readiness(bootsteps.StartStopStep):
    """Tells the health check whether the worker takes tasks: from when it consumes until its connection is lost."""

    requires = (
        "celery.worker.consumer.tasks:Tasks",
        "celery.worker.consumer.delayed_delivery:DelayedDelivery",
        # Its queue may be another worker's, which ends a worker that has not taken tasks yet. Celery has no order for
        # steps that require the same: it is another one in each process.
        "celery.worker.consumer.control:Control",
        DeadLetters,
        GiveBack,
    )

    def __init__(self, c: Any, **kwargs: Any) -> None:
        super().__init__(c, **kwargs)
        self._timer: Any = None
        note_not_ready("worker", "it is not connected to the broker yet")

    def start(self, c: Any) -> None:
        """Called when the worker begins to consume."""
        maybe_shutdown()  # before Celery finds out that a child is gone, and calls that an error of its own
        self._note(c)
        self._timer = c.timer.call_repeatedly(HEARTBEAT, self._note, (c,))
        if not c.has_taken_tasks:
            self._ask_results(c.app)
        c.has_taken_tasks = True
        c.timer.call_after(STABLE_AFTER, c.reconnects.is_over)

    def _ask_results(self, app: Any) -> None:
        # Beside the start, which waits for no results.
        app.state_writer.add("the first state of a task", partial(warn_where_refused, app), backend=app.backend)

    def _note(self, c: Any) -> None:
        # A child that took the place of another may have skipped a plugin that the first ones could start.
        c.controller.children.skip_what_they_skipped()
        for name in c.strategies.keys() - c.app.tasks.keys():
            del c.strategies[name]
        note_alive("worker", skipped=get_plugin_manager().roster.skipped_as_told())

    def stop(self, c: Any) -> None:
        """Called when the connection is lost, and when the worker stops."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        note_not_ready("worker", "it has lost the broker, or it is stopping")
