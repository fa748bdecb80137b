"""The dead letters on RabbitMQ: messages in a queue, which come back to it unless they are acknowledged."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime
from struct import error
from typing import Any

from amqp import Message
from amqp.exceptions import ChannelError, FrameSyntaxError, MessageNacked, NotFound

from opa.errors import StartError
from opa.tasks.brokers.queues import DEAD_LETTER_QUEUE
from opa.tasks.brokers.rabbitmq import UNREADABLE
from opa.tasks.codec import Limits
from opa.tasks.dead_letters.letters import DeadLetter, Held, describe
from opa.tasks.headers import OF_DELIVERIES

REQUEUE_TIMEOUT = 2.0
REQUEUE_POLL_INTERVAL = 0.02
"""Seconds in which messages that were only looked at are back in the queue, and between two looks at that."""


def held_messages(connection: Any, delivery_limit: int, limits: Limits) -> Generator[Held]:
    """The messages of the dead-letter queue; what is not acknowledged is back there when the iterator is closed.

    Args:
        delivery_limit: the deliveries after which the queues give up a message.
        limits: what a worker takes.
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
            held.append(HeldMessage(connection, channel, message, delivery_limit, limits))
            yield held[-1]
    finally:
        channel.close()
        _wait_until_back(connection, sum(not message.is_gone for message in held))


def _wait_until_back(connection: Any, count: int) -> None:
    """RabbitMQ puts them back a moment later, and who looks in that moment would find none."""
    channel = connection.channel()
    deadline = time.monotonic() + REQUEUE_TIMEOUT
    while channel.queue_declare(DEAD_LETTER_QUEUE, passive=True).message_count < count:
        if time.monotonic() > deadline:
            return  # someone else looks at them
        time.sleep(REQUEUE_POLL_INTERVAL)


class HeldMessage(Held):
    """A message that was got and is not acknowledged."""

    def __init__(self, connection: Any, channel: Any, message: Any, delivery_limit: int, limits: Limits) -> None:
        self._connection = connection
        self._channel = channel
        self._message = message
        self.is_gone = False
        self.letter = _letter(message, delivery_limit, limits)

    def send_again(self) -> bool:
        """Send it, with the count of deliveries from zero; acknowledge it when RabbitMQ has confirmed."""
        if not self._has_queue():
            return False
        # What RabbitMQ has noted in its headers counts for nothing when a client sends it.
        properties = dict(self._message.properties)
        if headers := properties.get("application_headers"):
            properties["application_headers"] = {k: v for k, v in headers.items() if k not in OF_DELIVERIES}
        message = Message(self._message.body, **properties)
        # On a channel of its own, since RabbitMQ closes the one on which it refuses something.
        channel = self._connection.channel()
        try:
            # It waits for the confirmation; see `confirm_publish` in the driver.
            channel.basic_publish(message, exchange="", routing_key=self.letter.queue, mandatory=True)
            channel.close()
        except (ChannelError, FrameSyntaxError, MessageNacked, OverflowError, TypeError, ValueError, error) as problem:
            raise StartError(
                f"the broker does not take the task {self.letter.id} for the queue '{self.letter.queue}': {problem!r}",
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


def _letter(message: Any, delivery_limit: int, limits: Limits) -> DeadLetter:
    headers = message.headers or {}
    # The last death stands first; a countdown, which RabbitMQ makes of expiring messages, leaves entries behind it.
    deaths = headers.get("x-death")
    first = deaths[0] if isinstance(deaths, list) and deaths else None
    death: dict[str, Any] = first if isinstance(first, dict) else {}
    reason = _text(death.get("reason"))
    died = death.get("time")
    letter = describe(
        headers,
        message.properties.get("content_type"),
        message.body if isinstance(message.body, bytes) else message.body.encode(),
        limits,
        queue=_text(death.get("queue")),
        reason=reason,
        # The header with the count is lost when the dead-letter queue is read.
        deliveries=delivery_limit if reason == "delivery_limit" else None,
        died=died.replace(tzinfo=UTC) if isinstance(died, datetime) else None,
    )
    if UNREADABLE in headers:
        return replace(letter, problem=f"its properties cannot be read ({_text(headers[UNREADABLE])})")
    return letter


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
