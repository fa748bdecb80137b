"""The queues: on RabbitMQ a task that was delivered too often is given up, and kept in the dead-letter queue."""

from __future__ import annotations

from functools import partial
from typing import Any

from celery.app.amqp import AMQP, Queues
from kombu import Exchange, Queue

DEAD_LETTER_QUEUE = "opa.dead"
CLASSIC_ARGUMENTS = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": DEAD_LETTER_QUEUE}


def queue_arguments(delivery_limit: int) -> dict[str, Any]:
    """The arguments of a quorum queue.

    Args:
        delivery_limit: deliveries of a task; RabbitMQ counts how often it comes back.

    A task that reached the limit is moved to the dead-letter queue and deleted only once it has arrived there
    (`at-least-once`, which asks for `reject-publish`).
    """
    return CLASSIC_ARGUMENTS | {
        "x-queue-type": "quorum",
        "x-delivery-limit": delivery_limit - 1,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }


def dead_letter_queue() -> Queue:
    """The queue of the tasks that were given up."""
    return Queue(
        DEAD_LETTER_QUEUE,
        Exchange(""),
        routing_key=DEAD_LETTER_QUEUE,
        # Without -1 RabbitMQ would throw a letter away when it is looked at for the 21st time.
        queue_arguments={"x-queue-type": "quorum", "x-delivery-limit": -1},
    )


class TaskQueues(Queues):
    """Celery's queues, with our arguments for those that do not say otherwise.

    Args:
        delivery_limit: deliveries of a task after which a quorum queue gives it up.
    """

    def __init__(self, *args: Any, delivery_limit: int, **options: Any) -> None:
        self._delivery_limit = delivery_limit
        super().__init__(*args, **options)

    def __setitem__(self, name: str, queue: Queue) -> None:
        super().__setitem__(name, queue)
        arguments = dict(queue.queue_arguments or {})
        is_quorum = arguments.get("x-queue-type") == "quorum"
        queue.queue_arguments = (queue_arguments(self._delivery_limit) if is_quorum else CLASSIC_ARGUMENTS) | arguments


class Amqp(AMQP):
    """Celery's queues and producers, with `TaskQueues`."""

    @property
    def Connection(self) -> Any:  # type: ignore[override]  # noqa: N802 - Celery's name, and it only reads it
        """What connects to the broker."""
        from opa.tasks.redis_broker import Connection

        return Connection

    @property
    def queues_cls(self) -> Any:  # type: ignore[override]  # Celery only reads it
        """What makes the queues."""
        return partial(TaskQueues, delivery_limit=self.app.delivery_limit)  # type: ignore[attr-defined]  # TaskApplication has it
