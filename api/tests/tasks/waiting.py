"""A look into a queue of RabbitMQ."""

from __future__ import annotations

from typing import Any

from kombu import Connection


def waiting(url: str, queue: str) -> list[str]:
    """The ids of the tasks that wait in a queue; they stay there."""
    ids = []
    with Connection(url) as connection:
        channel: Any = connection.default_channel
        while message := channel.basic_get(queue):
            ids.append(message.properties["correlation_id"])
    return ids
