"""The connection to the broker, with transports on which no message can end the process that reads it."""

from __future__ import annotations

from typing import Any

import kombu
from kombu.transport import pyamqp, redis

from opa.tasks.brokers import rabbitmq as amqp_broker
from opa.tasks.brokers import redis as redis_broker

TRANSPORTS: dict[Any, Any] = {
    pyamqp.Transport: amqp_broker.Transport,
    pyamqp.SSLTransport: amqp_broker.SSLTransport,
    redis.Transport: redis_broker.Transport,
    redis.SentinelTransport: redis_broker.SentinelTransport,
}
"""What is used where kombu's own is asked for."""


class Connection(kombu.Connection):
    """A connection to RabbitMQ or redis by our transports; to other brokers it is kombu's."""

    def get_transport_cls(self) -> Any:
        """Called once, to connect."""
        found = super().get_transport_cls()
        return TRANSPORTS.get(found, found)

    def Pool(self, limit: int | None = None, **options: Any) -> Any:  # noqa: N802 - kombu's name
        """A pool of such connections."""
        return ConnectionPool(self, limit, **options)


class PooledConnection(kombu.connection.PooledConnection, Connection):  # type: ignore[misc]
    """The same in a pool."""


class ConnectionPool(kombu.connection.ConnectionPool):
    """Kombu's makes connections of its own class."""

    def new(self) -> Any:
        """Make a connection."""
        connection: Any = super().new()
        connection.__class__ = PooledConnection
        return connection
