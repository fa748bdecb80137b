"""What Celery sends tasks with: its queues and producers, whatever the broker."""

from __future__ import annotations

from functools import cached_property, partial
from typing import Any

from kombu.common import Broadcast
from kombu.exceptions import OperationalError

from opa._compat.celery import app as celery_app
from opa.tasks.brokers import refusals
from opa.tasks.brokers.connection import Connection
from opa.tasks.brokers.delays import Delays
from opa.tasks.brokers.queues import TaskQueues
from opa.tasks.codec import Sending
from opa.tasks.unpacking import CAN_UNPACK, can_unpack


class Amqp(celery_app.Amqp):
    """Celery's queues and producers, with `TaskQueues` and `Delays`."""

    app: Any

    @cached_property
    def delays(self) -> Delays:
        """What sends a task with a countdown on RabbitMQ."""
        return Delays(self.app)

    def new_task_sender(self) -> Any:
        """The function that sends tasks."""
        send = super().new_task_sender()
        default_compression = self.app.conf.task_compression

        def send_task_message(
            producer: Any, name: str, message: Any, exchange: Any = None, expiration: Any = None, **options: Any
        ) -> Any:
            if self.app.breaker is not None:  # a producer may have been waited for
                self.app.breaker.check()
            compression = options.get("compression") or default_compression
            if compression and not can_unpack(compression):
                raise ValueError(f"task '{name}' cannot be sent with compression '{compression}': {CAN_UNPACK}")
            # Without `expiration`: a worker finds out what has expired, and RabbitMQ would keep it as a dead letter.
            sending = partial(send, producer, name, message, exchange=exchange, **options)
            queue = options.get("queue")
            is_delayed = self.delays.is_delayed(exchange)
            if is_delayed or (queue is not None and not isinstance(queue, Broadcast)):
                # RabbitMQ says where there is no such queue any more, and does not throw the task away.
                sending.keywords["mandatory"] = True
            sending = partial(self.delays.send, sending) if is_delayed else sending
            context = Sending(self.app.limits, name, self.app.parameters_of)
            try:
                with context:
                    sent = self._sent(sending, producer)
            except refusals.OF_THE_MESSAGE:
                raise
            except refusals.UNAVAILABLE as error:
                raise OperationalError(str(error)) from error
            if self.app.observers is not None and message.headers:  # Celery's first protocol has none
                self.app.observers.tell_sent(name, message, queue or options.get("routing_key"), context.text)
            return sent

        return send_task_message

    @staticmethod
    def _sent(sending: Any, producer: Any) -> Any:
        try:
            return sending()
        except Exception as error:
            if not refusals.is_unroutable(error):
                raise
        refusals.renew(producer)
        return sending()

    @property
    def Connection(self) -> Any:  # type: ignore[override]  # noqa: N802 - Celery's name, and it only reads it
        """What connects to the broker."""
        return Connection

    @property
    def queues_cls(self) -> Any:  # type: ignore[override]  # Celery only reads it
        """What makes the queues."""
        return partial(TaskQueues, delivery_limit=self.app.delivery_limit)
