"""The Celery worker, with components for its tasks, and what it needs to lose none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import bootsteps, signals
from celery.apps.worker import Worker as CeleryWorker
from celery.concurrency.prefork import TaskPool as PreforkPool
from celery.worker.consumer import Consumer as CeleryConsumer
from kombu import Connection

from opa.core.errors import OpaError
from opa.core.log import log
from opa.core.manager import get_plugin_manager
from opa.serve.health_target import HEARTBEAT, note_alive, note_not_ready
from opa.tasks.loop import start_process_loop, stop_process_loop
from opa.tasks.queues import dead_letter_queue

if TYPE_CHECKING:
    from kombu import Message

LONGEST_RETRY_PAUSE = 5
"""Seconds between two tries to reach the broker; Celery's own grow to 30."""


class Worker(CeleryWorker):
    """Celery's worker; a pool that does not fork has its components connected in the worker's own process."""

    pool_cls: Any
    concurrency: int
    hostname: str

    def setup_logging(self, colorize: bool | None = None) -> bool:  # type: ignore[override]  # as Celery uses it
        """Leave the log as opa-stack has set it up, and standard output alone; true says that this was done."""
        return True

    def emit_banner(self) -> None:
        """Say in a line of the log what Celery shows as a picture."""
        queues = ", ".join(self.app.amqp.queues.consume_from)
        pool = self.pool_cls.__module__.rpartition(".")[2]
        log.info(f"worker {self.hostname} with {self.concurrency} ({pool}) takes tasks from {queues}")

    def on_start(self) -> None:
        """Called before the pool starts."""
        super().on_start()
        if issubclass(self.pool_cls, PreforkPool):
            signals.worker_process_init.connect(_start_in_child, weak=False)
            signals.worker_process_shutdown.connect(_stop_in_child, weak=False)
        else:
            _start_or_exit()

    def _send_worker_shutdown(self) -> None:
        # The pool has stopped by now, so no task uses the components any more.
        super()._send_worker_shutdown()  # type: ignore[misc]  # celery-types lacks it
        stop_process_loop()


@signals.setup_logging.connect
def _leave_the_log_alone(**_: Any) -> None:
    """Celery sets up no log of its own, in the children either, where this has a receiver."""


def _start_in_child(**_: Any) -> None:
    _start_or_exit()


def _stop_in_child(**_: Any) -> None:
    stop_process_loop()


def _start_or_exit() -> None:
    try:
        start_process_loop(get_plugin_manager())
    except OpaError as error:
        log.error(str(error))
        # Celery logs whatever else a signal's receiver raises, and goes on without components.
        raise SystemExit(1) from error


class Consumer(CeleryConsumer):
    """Celery's consumer, which tries often enough to reach the broker, and throws away no message."""

    def ensure_connected(self, conn: Connection) -> Any:
        """Wait until the broker answers."""
        ensure_connection = conn.ensure_connection

        def with_short_pauses(*args: Any, **kwargs: Any) -> Any:
            return ensure_connection(*args, **{"interval_max": LONGEST_RETRY_PAUSE, **kwargs})

        conn.ensure_connection = with_short_pauses  # type: ignore[method-assign]
        return super().ensure_connected(conn)

    def on_decode_error(self, message: Message, exc: Exception) -> None:
        """A message that is not JSON, such as a pickle, goes to the dead-letter queue unread."""
        log.error(
            f"a message of type {message.content_type} on queue {message.delivery_info.get('routing_key')!r}"
            f" is refused: {exc}"
        )
        message.reject()


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

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, c: Any, **kwargs: Any) -> None:
        super().__init__(c, **kwargs)
        self._timer: Any = None
        note_not_ready("worker", "it is not connected to the broker yet")

    def start(self, c: Any) -> None:
        """Called when the worker begins to consume."""
        note_alive("worker")
        self._timer = c.timer.call_repeatedly(HEARTBEAT, note_alive, ("worker",))

    def stop(self, c: Any) -> None:
        """Called when the connection is lost, and when the worker stops."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        note_not_ready("worker", "it has lost the broker, or it is stopping")
