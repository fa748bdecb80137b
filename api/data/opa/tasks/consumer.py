"""What a worker does with its connection to the broker, and with messages that are no tasks: it refuses them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from amqp.exceptions import PreconditionFailed, ResourceLocked
from celery import bootsteps, signals
from celery.app.task import Context
from celery.exceptions import NotRegistered, WorkerShutdown
from celery.platforms import EX_FAILURE
from celery.utils.log import get_logger
from celery.worker import state
from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.state import maybe_shutdown
from kombu import Connection

from opa.core.log import log
from opa.core.running import get_plugin_manager
from opa.serve.health_target import HEARTBEAT, note_alive, note_not_ready
from opa.tasks.messages import UnfitMessageError, check
from opa.tasks.queues import dead_letter_queue
from opa.tasks.unpacking import UnpackingError

if TYPE_CHECKING:
    from kombu import Message

LONGEST_RETRY_PAUSE = 5
"""Seconds between two tries to reach the broker; Celery's own grow to 30."""


class Consumer(CeleryConsumer):
    """Celery's consumer, which tries often enough to reach the broker, and throws away no message."""

    connection: Any
    connection_errors: tuple[type[Exception], ...]
    hostname: str
    app: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.held: list[str] = []
        self.unplaced: list[tuple[bytes, bytes]] = []
        super().__init__(*args, **kwargs)
        if gossip := getattr(self, "gossip", None):
            gossip.on_message = _tolerant(gossip.on_message)

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
        held, unplaced = _take_held_on_redis(self.connection)
        self.held += held
        self.unplaced += unplaced
        super().on_connection_error_after_connected(exc)

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Message], None]:
        """What is called with each message. Whatever is wrong with one, that one is refused, and the worker goes on."""
        handle = super().create_task_handler(*args, **kwargs)
        limits = self.app.limits

        def on_message(message: Message) -> None:
            try:
                check(message, limits)
            except UnfitMessageError as error:
                self._refuse(message, error.problem)
                return
            try:
                handle(message)
            except self.connection_errors:
                raise
            except Exception as error:  # noqa: BLE001 - the process serves everybody
                log.opt(exception=error).error("a message that looked like a task cannot be handled")
                self._forget(message)
                self._refuse(message, f"it cannot be handled ({type(error).__name__})")

        return on_message

    def on_decode_error(self, message: Message, exc: Exception) -> None:
        """Called for a message that cannot be read; also for one that is sent to all workers, such as a command."""
        why = str(exc) if isinstance(exc, UnpackingError) else f"it cannot be read ({type(exc).__name__})"
        self._refuse(message, why)

    def on_unknown_message(self, body: Any, message: Message) -> None:
        """Called for a message that names no task."""
        self._refuse(message, "it names no task")

    def on_invalid_task(self, body: Any, message: Message, exc: Exception) -> None:
        """Called for a message that is no task; its content may be secret, and is not logged."""
        self._refuse(message, f"it is no task ({type(exc).__name__})")

    def on_unknown_task(self, body: Any, message: Message, exc: Exception) -> None:
        """Called for a task that no plugin here has; Celery would log all its arguments, and say that it is discarded.

        Whoever waits for the result is told. Sent again to a worker that has the task, its success takes the place.
        """
        fields: Any = message.headers if "task" in message.headers else message.payload
        name, task_id = fields["task"], fields["id"]
        self._refuse(message, f"no plugin of this worker has the task '{name}'")
        request = Context(id=task_id, task=name, root_id=fields.get("root_id"))
        try:
            self.app.backend.mark_as_failure(task_id, NotRegistered(name), request=request)
        except Exception as error:  # noqa: BLE001 - the results' server is another one
            log.warning(f"that task {task_id} failed cannot be stored ({type(error).__name__})")
        signals.task_unknown.send(sender=self, message=message, exc=exc, name=name, id=task_id)

    def _refuse(self, message: Message, problem: str) -> None:
        """Give a message to the dead letters."""
        info = message.delivery_info or {}
        log.error(f"a message on queue '{info.get('routing_key')}' is refused, see `opa tasks dead`: {problem}")
        if info.get("consumer_tag") in (getattr(message.channel, "no_ack_consumers", None) or ()):
            return  # it was sent to all workers, and the broker does not wait for an answer
        if not message.acknowledged:
            message.reject_log_error(get_logger(__name__), self.connection_errors)
        signals.task_rejected.send(sender=self, message=message, exc=None)

    def _forget(self, message: Message) -> None:
        """Let nobody wait for the end of a task whose message is refused."""
        for request in [*state.reserved_requests, *state.active_requests]:
            if request.message is message:
                state.task_ready(request)


def _tolerant(on_message: Callable[..., Any]) -> Callable[..., None]:
    """What Celery's workers tell one another is of no use where it cannot be read, and Celery's worker would end."""

    def on_any_message(*args: Any) -> None:
        try:
            on_message(*args)
        except Exception as error:  # noqa: BLE001 - anybody can send anything there
            log.warning(f"an event of a worker is dropped, since it cannot be read ({type(error).__name__})")

    return on_any_message


def _take_held_on_redis(connection: Any) -> tuple[list[str], list[tuple[bytes, bytes]]]:
    """The delivery tags of the messages that this worker has not acknowledged, and what redis could not hold for it.

    Kombu would give them back as it closes the connection; that is lost, and the worker would end with an error.
    """
    held: list[str] = []
    unplaced: list[tuple[bytes, bytes]] = []
    if connection.transport.driver_type != "redis":
        return held, unplaced
    for channel in connection.transport.channels:
        unplaced += getattr(channel, "unplaced", ())
        if channel._qos is not None:
            held += [tag for tag in channel._qos._delivered if tag not in channel._qos._dirty]
            channel._qos._delivered.clear()
    return held, unplaced


class GiveBack(bootsteps.StartStopStep):
    """Redis does not notice that a worker was gone, and would keep its tasks back for `TASK_VISIBILITY_TIMEOUT`."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, c: Any) -> None:
        """Called after each connect."""
        channel = c.task_consumer.channel
        if c.unplaced:
            channel.put_back(c.unplaced)
        while c.held:
            channel.qos.restore_by_tag(c.held[-1])
            c.held.pop()


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
