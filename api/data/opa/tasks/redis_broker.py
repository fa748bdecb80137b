"""Redis as broker: as on RabbitMQ, a task that was delivered too often is given up, and kept with those refused."""

from __future__ import annotations

import time
from typing import Any

import kombu
from kombu.transport import redis, virtual
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps, loads

from opa.tasks.queues import DEAD_LETTER_QUEUE

RETURNS = "x-delivery-count"
"""The header, by RabbitMQ's name, that counts how often a message came back."""
DEATH = "x-opa-death"
"""The header that says how a message came to the dead letters: `queue`, `reason`, `time` and `deliveries`."""


class QoS(redis.QoS):
    """Keeps what is refused, where kombu throws it away."""

    channel: Channel
    _remove_from_indices: Any

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Called for a message that is given back, or refused."""
        if requeue or not self.channel.delivery_limit:
            super().reject(delivery_tag, requeue=requeue)
            return

        def bury(pipe: Any) -> None:
            held = pipe.hget(self.unacked_key, delivery_tag)
            pipe.multi()
            self._remove_from_indices(delivery_tag, pipe)
            if held:
                payload, exchange, routing_key = loads(bytes_to_str(held))
                self.channel.bury(payload, exchange, routing_key, "rejected", pipe)

        with self.channel.conn_or_acquire() as client:
            client.transaction(bury, self.unacked_key)
        virtual.QoS.ack(self, delivery_tag)


class Channel(redis.Channel):
    """Counts how often a message comes back, and gives it up at the limit.

    Each message that comes back, from a worker that gives it back or from one that is gone, passes
    `_do_restore_message`, in one transaction with its removal from the messages in delivery. A message that never comes
    back costs nothing.
    """

    QoS = QoS
    delivery_limit: int | None = None
    from_transport_options = (*redis.Channel.from_transport_options, "delivery_limit")

    def _do_restore_message(
        self, payload: Any, exchange: str, routing_key: str, pipe: Any, leftmost: bool = False
    ) -> None:
        headers = payload.setdefault("headers", {})
        headers[RETURNS] = headers.get(RETURNS, 0) + 1
        if self.delivery_limit and headers[RETURNS] >= self.delivery_limit:
            self.bury(payload, exchange, routing_key, "delivery_limit", pipe)
        else:
            super()._do_restore_message(  # type: ignore[misc]  # celery-types lacks it
                payload, exchange, routing_key, pipe, leftmost
            )

    def bury(self, payload: Any, exchange: str, routing_key: str, reason: str, pipe: Any) -> None:
        """Add a message to the dead letters, by a command on `pipe`."""
        headers = payload.setdefault("headers", {})
        deliveries = headers.pop(RETURNS, 0) + (reason == "rejected")
        queue = next(iter(self._lookup(exchange, routing_key)), routing_key)
        headers[DEATH] = {"queue": queue, "reason": reason, "time": time.time(), "deliveries": deliveries}
        pipe.lpush(DEAD_LETTER_QUEUE, dumps(payload))


class Transport(redis.Transport):
    """Kombu's, with our channel."""

    Channel = Channel


class Connection(kombu.Connection):
    """A connection that gives up messages on redis too; to other brokers it is kombu's."""

    def get_transport_cls(self) -> Any:
        """Called once, to connect."""
        found = super().get_transport_cls()
        return Transport if found is redis.Transport else found
