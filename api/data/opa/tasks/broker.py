"""The connection to the broker, with transports on which no message can end the process that reads it."""

from __future__ import annotations

from typing import Any

import kombu
from kombu.transport import pyamqp, redis

from opa.tasks import amqp_broker, redis_broker

TRANSPORTS: dict[Any, Any] = {
    pyamqp.Transport: amqp_broker.Transport,
    pyamqp.SSLTransport: amqp_broker.SSLTransport,
    redis.Transport: redis_broker.Transport,
}
"""What is used where kombu's own is asked for."""


class Connection(kombu.Connection):
    """A connection to RabbitMQ or redis by our transports; to other brokers it is kombu's."""

    def get_transport_cls(self) -> Any:
        """Called once, to connect."""
        found = super().get_transport_cls()
        return TRANSPORTS.get(found, found)
