"""What Celery sends tasks with: its queues and producers, whatever the broker."""

from __future__ import annotations

import time
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from amqp.exceptions import NotFound
from kombu.common import Broadcast
from kombu.exceptions import OperationalError

from opa._compat.celery import app as celery_app
from opa.tasks.brokers import refusals
from opa.tasks.brokers.connection import Connection
from opa.tasks.brokers.delays import Delays
from opa.tasks.brokers.queues import SETTLING, TaskConsumer, TaskQueue, TaskQueues
from opa.tasks.codec import Sending
from opa.tasks.unpacking import CAN_UNPACK, can_unpack

if TYPE_CHECKING:
    from collections.abc import Callable

ATTEMPTS = 4
"""To send a task to a queue that is made at this moment, before it is bound."""


class Amqp(celery_app.Amqp):
    """Celery's queues and producers, with `TaskQueues` and `Delays`."""

    app: Any

    @property
    def producer_pool(self) -> Any:
        """The pool of what sends."""
        return celery_app.pool_of_producers(self)

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
                    sent = self.send_where_bound(sending, producer, queue)
            except refusals.OF_THE_MESSAGE:
                raise
            except refusals.UNAVAILABLE as error:
                raise OperationalError(str(error)) from error
            if self.app.observers is not None and message.headers:  # Celery's first protocol has none
                self.app.observers.tell_sent(name, message, queue or options.get("routing_key"), context.text)
            return sent

        return send_task_message

    def send_where_bound(self, sending: Callable[[], Any], producer: Any, queue: Any) -> Any:
        """Send a message that RabbitMQ returns if no queue gets it, also where the queue is made at this moment.

        Args:
            sending: sends it, with `mandatory`.
            producer: that it sends with, which is connected anew after each message that came back: RabbitMQ confirms
                those as well, and the next one would take that for its own confirmation.
            queue: the queue or its name, which is made and bound where nobody else does it; None if it is not known.

        Returns:
            What `sending` returns.

        Raises:
            amqp.exceptions.ChannelError: there is no way to a queue.
            kombu.exceptions.OperationalError: the broker does not answer.
        """
        queue = self.queues.get(queue) if isinstance(queue, str) else queue
        for attempt in range(ATTEMPTS):
            try:
                return sending()
            except Exception as error:
                if not refusals.is_unroutable(error):
                    raise
                has_exchange = not isinstance(error, NotFound)
            # Whoever has made the queue binds it when it has settled. If they are gone, it is for us.
            if attempt and has_exchange:
                time.sleep(SETTLING / (ATTEMPTS - 1))
            refusals.renew(producer)
            if isinstance(queue, TaskQueue) and (not has_exchange or attempt == ATTEMPTS - 1):
                queue.rebind(producer.channel)
        return sending()

    @property
    def Connection(self) -> Any:  # type: ignore[override]  # noqa: N802 - Celery's name, and it only reads it
        """What connects to the broker."""
        return Connection

    @property
    def Consumer(self) -> Any:  # type: ignore[override]  # noqa: N802 - as above
        """What takes messages of queues."""
        return TaskConsumer

    @property
    def queues_cls(self) -> Any:  # type: ignore[override]  # Celery only reads it
        """What makes the queues."""
        return partial(TaskQueues, delivery_limit=self.app.delivery_limit)
