"""The dead letters on RabbitMQ: messages in a queue, which come back to it unless they are acknowledged."""

from __future__ import annotations

import time
from collections.abc import Generator
from datetime import UTC
from typing import Any

from amqp import Message
from amqp.exceptions import ChannelError, MessageNacked, NotFound

from opa.core.errors import StartError
from opa.tasks.dead import DeadLetter, Held, describe
from opa.tasks.queues import DEAD_LETTER_QUEUE

BACK_LIMIT = 2.0
BACK_PAUSE = 0.02
"""Seconds in which messages that were only looked at are back in the queue, and between two looks at that."""


def held_messages(connection: Any, delivery_limit: int) -> Generator[Held]:
    """The messages of the dead-letter queue; what is not acknowledged is back there when the iterator is closed.

    Args:
        delivery_limit: the deliveries after which the queues give up a message.
    """
    channel = connection.channel()
    try:
        count = channel.queue_declare(DEAD_LETTER_QUEUE, passive=True).message_count
    except NotFound:
        return
    held: list[HeldMessage] = []
    try:
        for _ in range(count):
            message = channel.basic_get(DEAD_LETTER_QUEUE)
            if message is None:
                return
            held.append(HeldMessage(connection, channel, message, delivery_limit))
            yield held[-1]
    finally:
        channel.close()
        _wait_until_back(connection, sum(not message.is_gone for message in held))


def _wait_until_back(connection: Any, count: int) -> None:
    """RabbitMQ puts them back a moment later, and who looks in that moment would find none."""
    channel = connection.channel()
    deadline = time.monotonic() + BACK_LIMIT
    while channel.queue_declare(DEAD_LETTER_QUEUE, passive=True).message_count < count:
        if time.monotonic() > deadline:
            return  # somebody else looks at them
        time.sleep(BACK_PAUSE)


class HeldMessage(Held):
    """A message that was got and is not acknowledged."""

    def __init__(self, connection: Any, channel: Any, message: Any, delivery_limit: int) -> None:
        self._connection = connection
        self._channel = channel
        self._message = message
        self.is_gone = False
        self.letter = _letter(message, delivery_limit)

    def send_again(self) -> bool:
        """Send it, with the count of deliveries from zero; acknowledge it when RabbitMQ has confirmed."""
        if not self._has_queue():
            return False
        # What RabbitMQ has noted in its headers counts for nothing when a client sends it.
        message = Message(self._message.body, **self._message.properties)
        try:
            # It waits for the confirmation; see `confirm_publish` in the driver.
            self._channel.basic_publish(message, exchange="", routing_key=self.letter.queue, mandatory=True)
        except (ChannelError, MessageNacked) as error:
            raise StartError(
                f"the broker does not take the task {self.letter.id} for the queue '{self.letter.queue}': {error!r}",
                hint="It is still among the dead letters",
            ) from None
        self.drop()
        return True

    def drop(self) -> None:
        """Acknowledge it."""
        self._channel.basic_ack(self._message.delivery_tag)
        self.is_gone = True

    def _has_queue(self) -> bool:
        # On a channel of its own: RabbitMQ closes it when the queue is not there.
        channel = self._connection.channel()
        try:
            channel.queue_declare(self.letter.queue, passive=True)
        except NotFound:
            return False
        channel.close()
        return True


def _letter(message: Any, delivery_limit: int) -> DeadLetter:
    headers = message.headers or {}
    # The last death stands first; a countdown, which RabbitMQ makes of expiring messages, leaves entries behind it.
    death: dict[str, Any] = next(iter(headers.get("x-death", [])), {})
    reason = death.get("reason", "")
    died = death.get("time")
    return describe(
        headers,
        message.properties.get("content_type", ""),
        message.body if isinstance(message.body, bytes) else message.body.encode(),
        queue=death.get("queue", ""),
        reason=reason,
        # The header with the count is lost when the dead-letter queue is read.
        deliveries=delivery_limit if reason == "delivery_limit" else None,
        died=died.replace(tzinfo=UTC) if died else None,
    )
