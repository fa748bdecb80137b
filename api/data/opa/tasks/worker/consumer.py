"""What a worker does with its connection to the broker, and with messages that are no tasks: it refuses them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from amqp.exceptions import AccessRefused, PreconditionFailed, ResourceLocked
from celery import signals
from celery.app.task import Context
from celery.exceptions import NotRegistered, WorkerLostError, WorkerShutdown
from celery.platforms import EX_FAILURE
from celery.utils.log import get_logger
from celery.worker import state
from celery.worker.consumer import Consumer as CeleryConsumer
from kombu import Connection
from kombu.asynchronous import set_event_loop

from opa._util.masking.secrets import mask_text
from opa.logging.logger import log
from opa.tasks.brokers.queues import are_names
from opa.tasks.brokers.redis_debts import Debts
from opa.tasks.messages import UnfitMessageError, check
from opa.tasks.unpacking import UnpackingError
from opa.tasks.worker.gossip import ForeignEventError, bound
from opa.tasks.worker.reconnects import MAX_RETRY_DELAY, Reconnects

if TYPE_CHECKING:
    from kombu import Message


class Consumer(CeleryConsumer):
    """Celery's consumer, which outlasts whatever becomes of the broker, and throws away no message."""

    connection: Any
    connection_errors: tuple[type[Exception], ...]
    channel_errors: tuple[type[Exception], ...]
    hostname: str
    hub: Any
    app: Any
    steps: list[Any]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if gossip := getattr(self, "gossip", None):
            bound(gossip)
            gossip.on_message = _tolerant(gossip.on_message)
            gossip.get_consumers = _tolerant_consumers(gossip.get_consumers)
        self.debts = Debts()
        self.has_taken_tasks = False
        self._foreseen = (*self.connection_errors, *self.channel_errors)
        self.reconnects = Reconnects(self._foreseen)
        # With `broker_channel_error_retry` these make it reconnect, and no error ends it but those below.
        self.channel_errors = (Exception,)
        for step in self.steps:
            if mailbox := getattr(step, "box", None):
                # Celery opens the channel of its commands anew after each that it cannot read, and with RabbitMQ the
                # channel of the tasks may suffer from it: then no task is taken any more.
                mailbox.node.handle_message = _tolerant(mailbox.node.handle_message, lets_through=self._foreseen)

    def connect(self) -> Any:
        """Connect to the broker, for as long as it takes."""
        self.reconnects.wait()
        if self.hub is not None:
            set_event_loop(self.hub)  # it forgets that after an error
        return super().connect()

    def ensure_connected(self, conn: Connection) -> Any:
        """Wait until the broker answers."""
        ensure_connection: Any = conn.ensure_connection

        def with_short_pauses(errback: Any, *args: Any, **kwargs: Any) -> Any:
            def on_error(error: Exception, interval: float) -> None:
                self.reconnects.failed(error, f"Cannot connect to {conn.as_uri()}")

            return ensure_connection(on_error, *args, **{"interval_max": MAX_RETRY_DELAY, **kwargs})

        conn.ensure_connection = with_short_pauses  # type: ignore[assignment, method-assign]
        return super().ensure_connected(conn)

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        """Called when the broker refuses the connection."""
        self._end_where_it_is_of_no_use(exc)
        self.reconnects.failed(exc, is_foreseen=isinstance(exc, self._foreseen))

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """End the tasks that run, because the broker gives them to another worker."""
        self._end_where_it_is_of_no_use(exc)
        self.reconnects.failed(exc, is_foreseen=isinstance(exc, self._foreseen))
        is_redis = self.connection.transport.driver_type == "redis"
        channels = list(self.connection.transport.channels) if is_redis else []
        self.debts.take_over(channels)
        super().on_connection_error_after_connected(exc)
        self.debts.take_over(channels)  # a channel reads what was on its way while it is closed

    def _end_where_it_is_of_no_use(self, error: Exception) -> None:
        """Raise what ends the worker: a mistake in its settings, which would stay forever."""
        # Later on it may also be a delivery that RabbitMQ has waited for too long to be acknowledged.
        is_of_arguments = not self.has_taken_tasks or "inequivalent arg" in str(error)
        if isinstance(error, PreconditionFailed) and is_of_arguments:
            if "invalid arg" in str(error):
                log.error(f"RabbitMQ has no such queue: {error.reply_text}. Remove the argument, or change its type")
            else:
                log.error(
                    f"RabbitMQ has a queue or an exchange of this name with other properties: {error.reply_text}."
                    " Delete it there once it is empty, or choose another name, such as with CELERY_TASK_DEFAULT_QUEUE"
                )
            raise WorkerShutdown(EX_FAILURE) from error
        if isinstance(error, ResourceLocked) and not self.has_taken_tasks:
            log.error(
                f"another worker with the name {self.hostname} is connected to RabbitMQ."
                " Give this one a name of its own, such as CELERY_PARAMS='-n second@%h'"
            )
            raise WorkerShutdown(EX_FAILURE) from error
        if isinstance(error, AccessRefused) and not self.has_taken_tasks:
            log.error(
                f"RabbitMQ refuses this worker: {mask_text(str(error))}. Check BROKER_URL, and what its user may do"
            )
            raise WorkerShutdown(EX_FAILURE) from error
        if isinstance(error, WorkerLostError) or not (self.has_taken_tasks or isinstance(error, self._foreseen)):
            raise error

    def add_task_queue(  # type: ignore[override]  # it gives nothing back
        self, queue: Any, exchange: Any = None, exchange_type: Any = None, routing_key: Any = None, **options: Any
    ) -> None:
        """Take tasks from one more queue, as the command `add_consumer` asks for.

        One that cannot be made is forgotten: it would fail again with each connect, and the worker would take no tasks.
        """
        queues = self.app.amqp.queues
        is_new = queue not in queues
        try:
            if is_new and (exchange or routing_key or options or exchange_type not in (None, "direct")):
                names = {"exchange": exchange or queue, "exchange_type": exchange_type or "direct"}
                queues.add(queue, **options, **names, routing_key=routing_key)
            # Else it is as those who send to it make it; "direct" is what Celery says where the command says nothing.
            # On a connection of its own: RabbitMQ ends one for some errors, and with it the tasks that run.
            with self.app.connection_for_write() as trial:
                queues[queue].bind(trial.default_channel).declare()
        except Exception as error:  # noqa: BLE001 - anybody can send any options, and one may be of another queue
            log.warning(f"the command add_consumer is refused: {type(error).__name__}: {mask_text(str(error))}")
            if is_new:
                queues.forget(queue)
            return
        try:
            super().add_task_queue(queue)
        except Exception:
            if is_new:
                queues.forget(queue)
            raise

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
            except Exception as error:
                # Kombu counts KeyError among the errors of a connection to redis.
                if isinstance(error, self.connection_errors) and not isinstance(error, KeyError):
                    raise
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
        """Called for a message that is not a task; its content may be secret, and is not logged."""
        self._refuse(message, f"it is not a task ({type(exc).__name__})")

    def on_unknown_task(self, body: Any, message: Message, exc: Exception) -> None:
        """Called for a task that no plugin here has; Celery would log all its arguments, and say that it is discarded.

        Anyone who waits for the result is told. Sent again to a worker that has the task, its success takes the place.
        """
        fields: Any = message.headers if "task" in message.headers else message.payload
        name, task_id = fields["task"], fields["id"]
        self._refuse(message, f"no plugin of this worker has the task '{name}'")
        request = Context(id=task_id, task=name, root_id=fields.get("root_id"))
        backend = self.app.backend
        mark = partial(backend.mark_as_failure, task_id, NotRegistered(name), request=request)
        self.app.state_writer.add(f"that task {task_id} failed", mark, backend=backend)
        signals.task_unknown.send(sender=self, message=message, exc=exc, name=name, id=task_id)

    def _refuse(self, message: Message, problem: str) -> None:
        """Give a message to the dead letters."""
        info = message.delivery_info or {}
        log.error(f"a message on queue '{info.get('routing_key')}' is refused, see `opa tasks dead`: {problem}")
        if info.get("consumer_tag") in (getattr(message.channel, "no_ack_consumers", None) or ()):
            return  # it was sent to all workers, and the broker does not wait for an answer
        if not message.acknowledged:
            message.reject_log_error(get_logger(__name__), self.connection_errors)
        self._tell_dead(message, problem)
        signals.task_rejected.send(sender=self, message=message, exc=None)

    def _tell_dead(self, message: Message, problem: str) -> None:
        """Tell observers of a message that names a task; others are none of a task."""
        observers = self.app.observers
        fields = message.headers
        if observers is None or not isinstance(fields, dict) or not are_names(fields.get("id"), fields.get("task")):
            return
        known: dict[str, Any] = {
            name: fields[name] for name in ("id", "task", "parent_id", "argsrepr", "kwargsrepr") if name in fields
        }
        info = message.delivery_info or {}
        observers.tell_end("dead", {**known, "hostname": self.hostname, "delivery_info": info}, reason=problem)

    def _forget(self, message: Message) -> None:
        """Let nobody wait for the end of a task whose message is refused."""
        for request in [*state.reserved_requests, *state.active_requests]:
            if request.message is message:
                state.task_ready(request)


def _tolerant(on_message: Callable[..., Any], *, lets_through: tuple[type[Exception], ...] = ()) -> Callable[..., None]:
    """What Celery's workers tell one another is of no use where it cannot be read, and Celery's worker would end."""

    def on_any_message(*args: Any) -> None:
        try:
            on_message(*args)
        except lets_through:
            raise
        except Exception as error:  # noqa: BLE001 - anyone can send anything there
            why = f"{error}" if isinstance(error, ForeignEventError) else f"it cannot be read ({type(error).__name__})"
            log.warning(f"an event or a command is dropped: {why}")

    return on_any_message


def _tolerant_consumers(get_consumers: Callable[..., Any]) -> Callable[..., Any]:
    """What cannot even be unpacked does not come as far as `on_message`."""

    def get_tolerant_consumers(channel: Any) -> Any:
        consumers = get_consumers(channel)
        for consumer in consumers:
            consumer.on_decode_error = _tolerant(_raise)
        return consumers

    return get_tolerant_consumers


def _raise(_message: Message, error: Exception) -> None:
    raise error
