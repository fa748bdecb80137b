"""What a worker does with its connection to the broker, and with messages that are no tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from amqp.exceptions import PreconditionFailed, ResourceLocked
from celery import bootsteps
from celery.exceptions import WorkerShutdown
from celery.platforms import EX_FAILURE
from celery.utils.log import get_logger
from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.state import maybe_shutdown
from kombu import Connection

from opa.core.log import log
from opa.core.running import get_plugin_manager
from opa.serve.health_target import HEARTBEAT, note_alive, note_not_ready
from opa.tasks.queues import dead_letter_queue

if TYPE_CHECKING:
    from kombu import Message

LONGEST_RETRY_PAUSE = 5
"""Seconds between two tries to reach the broker; Celery's own grow to 30."""


class Consumer(CeleryConsumer):
    """Celery's consumer, which tries often enough to reach the broker, and throws away no message."""

    connection: Any
    connection_errors: tuple[type[Exception], ...]
    hostname: str

    def start(self) -> None:
        """Take tasks until the worker stops."""
        try:
            super().start()
        except PreconditionFailed as error:
            log.error(
                f"RabbitMQ has a queue or an exchange of this name with other properties: {error.reply_text}."
                " Delete it there once it is empty, or choose another name, such as with CELERY_TASK_DEFAULT_QUEUE"
            )
            raise WorkerShutdown(EX_FAILURE) from error
        except ResourceLocked as error:
            log.error(
                f"another worker with the name {self.hostname} is connected to RabbitMQ."
                " Give this one a name of its own, such as CELERY_PARAMS='-n second@%h'"
            )
            raise WorkerShutdown(EX_FAILURE) from error

    def ensure_connected(self, conn: Connection) -> Any:
        """Wait until the broker answers."""
        ensure_connection = conn.ensure_connection

        def with_short_pauses(*args: Any, **kwargs: Any) -> Any:
            return ensure_connection(*args, **{"interval_max": LONGEST_RETRY_PAUSE, **kwargs})

        conn.ensure_connection = with_short_pauses  # type: ignore[method-assign]
        return super().ensure_connected(conn)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """End the tasks that run, because the broker gives them to another worker."""
        self.held = _take_held_on_redis(self.connection)
        super().on_connection_error_after_connected(exc)

    def on_decode_error(self, message: Message, exc: Exception) -> None:
        """A message that cannot be read, such as one that is not JSON, is refused: it goes to the dead-letter queue."""
        queue = (message.delivery_info or {}).get("routing_key")
        log.error(f"a message of type {message.content_type} on queue '{queue}' is refused: {exc}")
        message.reject_log_error(get_logger(__name__), self.connection_errors)

    def on_invalid_task(self, body: Any, message: Message, exc: Exception) -> None:
        """A message that is no task is refused as well; its content may be secret, and is not logged."""
        self.on_decode_error(message, exc)


def _take_held_on_redis(connection: Any) -> list[str]:
    """The delivery tags of the messages that this worker has not acknowledged.

    Kombu would give them back as it closes the connection; that is lost, and the worker would end with an error.
    """
    if connection.transport.driver_type != "redis":
        return []
    held = []
    for channel in connection.transport.channels:
        if channel._qos is not None:
            held += [tag for tag in channel._qos._delivered if tag not in channel._qos._dirty]
            channel._qos._delivered.clear()
    return held


class GiveBack(bootsteps.StartStopStep):
    """Redis does not notice that a worker was gone, and would keep its tasks back for `TASK_VISIBILITY_TIMEOUT`."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, c: Any) -> None:
        """Called after each connect."""
        held, c.held = getattr(c, "held", []), []
        for tag in held:
            c.task_consumer.channel.qos.restore_by_tag(tag)


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

    def _note(self, c: Any) -> None:
        # A child that took the place of another may have left out a plugin that the first ones could start.
        c.controller.children.leave_out_what_they_did()
        for name in c.strategies.keys() - c.app.tasks.keys():
            del c.strategies[name]
        note_alive("worker", left_out=get_plugin_manager().roster.left_out_as_told())

    def stop(self, c: Any) -> None:
        """Called when the connection is lost, and when the worker stops."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        note_not_ready("worker", "it has lost the broker, or it is stopping")
