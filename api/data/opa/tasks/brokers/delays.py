"""Countdowns on RabbitMQ: a task waits there in queues of its own, and those must be there before the first is sent."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from kombu import Exchange
from kombu.common import Broadcast
from kombu.transport.native_delayed_delivery import (
    MAX_LEVEL,
    bind_queue_to_native_delayed_delivery_exchange,
    declare_native_delayed_delivery_exchanges_and_queues,
    level_name,
)

from opa.tasks.brokers.queues import SETTLING, is_there
from opa.tasks.brokers.refusals import is_unroutable

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery

ENTRANCE = level_name(MAX_LEVEL)
"""The exchange to which Celery sends a task with a countdown."""


class Delays:
    """Celery has its workers make these queues, and tie theirs to them: a countdown sent before that would be lost."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._tied: set[str] = set()
        self._lock = threading.Lock()

    def is_delayed(self, exchange: Any) -> bool:
        """Whether a message to this exchange is to wait."""
        return isinstance(exchange, Exchange) and exchange.name == ENTRANCE

    def send(self, send: Callable[[], Any]) -> Any:
        """Send a message that is to wait.

        Raises:
            kombu.exceptions.OperationalError: the broker does not answer.
        """
        self._make()
        try:
            return send()
        except Exception as error:
            if is_unroutable(error):  # RabbitMQ has been emptied since
                self._tied.clear()
            raise

    def _make(self) -> None:
        with self._lock:
            # All that this process knows, since Celery has taken the queue of the message away by now.
            queues = [
                queue
                for queue in self._app.amqp.queues.values()
                if queue.name not in self._tied and not isinstance(queue, Broadcast)
            ]
            if not queues:
                return
            with self._app.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, interval_start=0, timeout=int(connection.connect_timeout))
                is_new = not is_there(level_name(0), connection.default_channel)  # the last that is made
                declare_native_delayed_delivery_exchanges_and_queues(
                    connection, self._app.conf.broker_native_delayed_delivery_queue_type
                )
                if is_new:
                    time.sleep(SETTLING)
                for queue in queues:
                    queue(connection.default_channel).declare()
                    bind_queue_to_native_delayed_delivery_exchange(connection, queue)
                    self._tied.add(queue.name)
