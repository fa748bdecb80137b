"""How many messages wait in the queues of the tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amqp.exceptions import ChannelError as AmqpChannelError
from kombu.exceptions import ChannelError

from opa.core.running import running_manager
from opa.tasks.brokers.queues import DEAD_LETTER_QUEUE


def queue_lengths() -> Mapping[str, int]:
    """How many messages wait in each queue of the tasks of this project, and under `opa.dead` how many dead letters.

    The broker is asked, over a connection of its own, which may take a while: call it in a thread, and not often. A
    queue that is not there has 0. Tasks that a worker has taken, and those that wait for their time, are not counted.

    Raises:
        Exception: the broker does not answer; which class it is depends on its kind.
    """
    manager: Any = running_manager()
    app = manager.celery
    app.finalize()
    names = list(dict.fromkeys([*app.amqp.queues, *_queues_of_tasks(app), DEAD_LETTER_QUEUE]))
    connection: Any
    with app.connection_for_read() as connection:
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=app.conf.broker_connection_timeout)
        is_redis = connection.transport.driver_type == "redis"
        return {name: _on_redis(connection, name) if is_redis else _declared(connection, name) for name in names}


def _queues_of_tasks(app: Any) -> list[str]:
    """Those that tasks name, which the process that asks may not know otherwise."""
    queues = (getattr(task, "queue", None) for task in app.tasks.values())
    return [str(getattr(queue, "name", queue)) for queue in queues if queue]


def _declared(connection: Any, name: str) -> int:
    channel = connection.channel()  # of its own, since RabbitMQ closes one on which it has refused
    try:
        return int(channel.queue_declare(queue=name, passive=True).message_count)
    except (AmqpChannelError, ChannelError):
        return 0
    finally:
        channel.close()


def _on_redis(connection: Any, name: str) -> int:
    channel = connection.default_channel
    if name == DEAD_LETTER_QUEUE:
        with channel.conn_or_acquire() as client:
            return int(client.llen(name))
    try:
        return int(channel.queue_declare(queue=name, passive=True).message_count)
    except ChannelError:
        return 0
