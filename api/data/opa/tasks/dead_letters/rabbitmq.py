"""The dead letters on RabbitMQ: messages in a queue, which come back to it unless they are acknowledged."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from struct import error
from typing import Any

from amqp import Message
from amqp.exceptions import ChannelError, FrameSyntaxError, MessageNacked, NotFound, RecoverableConnectionError

from opa.errors import StartError
from opa.tasks.brokers.queues import DEAD_LETTER_QUEUE
from opa.tasks.brokers.rabbitmq import UNREADABLE
from opa.tasks.codec import Limits
from opa.tasks.dead_letters.letters import DeadLetter, Held, describe, id_in
from opa.tasks.headers import OF_DELIVERIES

MOST_SENT = 65_535
"""Messages that RabbitMQ sends to a consumer before one is acknowledged; those behind them are got one by one."""
TAKE_TIMEOUT = 2.0
"""Seconds without a message after which there are no more."""
REQUEUE_TIMEOUT = 2.0
REQUEUE_POLL_INTERVAL = 0.02
"""Seconds in which messages that were only looked at are back in the queue, and between two looks at that."""


def message_count(connection: Any) -> int:
    """How many messages the dead-letter queue has, without those that are being looked at; 0 where there is none."""
    channel = connection.channel()
    try:
        count: int = channel.queue_declare(DEAD_LETTER_QUEUE, passive=True).message_count
    except NotFound:
        return 0
    channel.close()
    return count


def held_messages(
    connection: Any, delivery_limit: int, limits: Limits, start: int = 0, most: int | None = None
) -> Generator[Held]:
    """The messages of the dead-letter queue; what is not acknowledged is back there when the iterator is closed.

    All are taken, also where only some are looked at: RabbitMQ puts them behind those that were not taken.

    Args:
        delivery_limit: the deliveries after which the queues give up a message.
        limits: what a worker takes.
        start: how many are left out.
        most: how many are taken, where that would take too long.
    """
    count = message_count(connection)
    count = count if most is None else min(count, most)
    if not count:
        return
    channel = connection.channel()
    taken = _Taken(connection, channel, count)
    try:
        for message in islice(taken, start, None):
            yield HeldMessage(connection, taken, message, delivery_limit, limits)
    finally:
        with suppress(RecoverableConnectionError, OSError):
            for _ in taken:
                pass  # in order, they are back in order
        channel.close()
        _wait_until_back(connection, taken.count)


class _Taken:
    """The messages that RabbitMQ sends to a consumer, which is faster than to get them one by one.

    Attributes:
        channel: on which they are acknowledged.
        count: how many were taken, without those that were acknowledged.
    """

    def __init__(self, connection: Any, channel: Any, most: int) -> None:
        self._connection = connection
        self._waiting: deque[Any] = deque()
        self._left = most
        self._sent = min(most, MOST_SENT)
        self.channel = channel
        self.count = 0
        channel.basic_qos(0, self._sent, False)  # a quorum queue sends 2000 otherwise
        channel.basic_consume(DEAD_LETTER_QUEUE, callback=self._waiting.append)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        message = self._next() if self._left else None
        if message is None:
            self._left = 0  # other processes have taken the rest
            raise StopIteration
        self._left -= 1
        self.count += 1
        return message

    def _next(self) -> Any:
        if not self._sent and not self._waiting:
            return self.channel.basic_get(DEAD_LETTER_QUEUE)
        while not self._waiting:
            try:
                self._connection.drain_events(timeout=TAKE_TIMEOUT)
            except TimeoutError:
                return None
        self._sent -= 1
        return self._waiting.popleft()

    def acknowledge(self, message: Any) -> None:
        """It is not put back."""
        self.channel.basic_ack(message.delivery_tag)
        self.count -= 1


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

    def __init__(self, connection: Any, taken: _Taken, message: Any, delivery_limit: int, limits: Limits) -> None:
        self._connection = connection
        self._taken = taken
        self._message = message
        self._delivery_limit = delivery_limit
        self._limits = limits

    @property
    def id(self) -> str:
        """That of its headers, or a digest."""
        return id_in(self._message.headers or {}, _body(self._message))

    @cached_property
    def letter(self) -> DeadLetter:
        """What the message says, and RabbitMQ notes."""
        return _letter(self._message, self._delivery_limit, self._limits)

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
        self._taken.acknowledge(self._message)

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
        _body(message),
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


def _body(message: Any) -> bytes:
    body: bytes = message.body if isinstance(message.body, bytes) else message.body.encode()
    return body


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
