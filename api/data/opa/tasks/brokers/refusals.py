"""RabbitMQ refuses what it is sent: an alarm of its memory or its disk, an exchange, a queue or a virtual host is gone.

It tells of an alarm (`connection.blocked`) to a connection that publishes, and reads no more from it. What it was sent
it publishes when the alarm is over, also for a connection that was closed meanwhile. So the message that met the alarm
is out of our hands; no further one is sent until that connection hears that the alarm is over.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from amqp import spec
from amqp.exceptions import (
    AMQPError,
    ChannelError,
    ContentTooLarge,
    MessageNacked,
    NotFound,
    PreconditionFailed,
    RecoverableConnectionError,
)
from kombu.exceptions import OperationalError
from kombu.transport import pyamqp

from opa.logging.logger import log
from opa.tasks.current_request import is_in_task

CONFIRM_TIMEOUT = 5
"""Seconds to wait for the confirmation of the message that met the alarm, once that is over."""
NO_ROUTE = 312
ALARM = "RabbitMQ takes no messages for now: it has an alarm, of its memory or its disk"

UNAVAILABLE = (AMQPError, MessageNacked)
"""What RabbitMQ answers where it cannot take a message now: a virtual host is gone, a password was changed."""
OF_THE_MESSAGE = (ContentTooLarge, PreconditionFailed)
"""What it answers to this one message, or to these arguments of a queue, every time."""


def is_unroutable(error: Exception) -> bool:
    """Whether an exchange or a queue is gone that was there when this process declared it."""
    return isinstance(error, NotFound) or (isinstance(error, ChannelError) and error.reply_code == NO_ROUTE)


class Alarm:
    """What this process knows of an alarm: the connection that was told of it, and the message that it has sent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._channel: Any = None
        self._message = ""
        self._process = 0
        self._confirmed = ""

    def begin(self, channel: Any, message: str) -> None:
        """A connection is blocked."""
        with self._lock:
            if self._connection is None:
                self._connection, self._channel, self._message = channel.connection, channel, message
                self._process = os.getpid()
                log.warning(ALARM)

    def keeps(self, connection: Any) -> bool:
        """Whether the connection is to stay open, though kombu gives it up."""
        return self._connection is connection

    def check(self, message: str) -> bool:
        """Called before a message is sent; true where it was sent already, when the alarm began.

        Raises:
            kombu.exceptions.OperationalError: the alarm is not over.
        """
        # A task waits until an alarm is over: it has its time limits, and would fail.
        if self._connection is not None and not is_in_task():
            with self._lock:
                if self._connection is not None and not self._is_over():
                    raise OperationalError(ALARM)
        if self._confirmed and self._confirmed == message:
            self._confirmed = ""
            return True
        return False

    def _is_over(self) -> bool:
        connection, channel = self._connection, self._channel
        if connection is None or self._process != os.getpid():  # a child has no use for its parent's connection
            self._connection = self._channel = None
            return True
        try:
            while connection.is_blocked:
                connection.drain_events(timeout=0.001)
            channel.wait([spec.Basic.Ack], timeout=CONFIRM_TIMEOUT)
            self._confirmed = self._message
        except TimeoutError:
            if connection.is_blocked:
                return False
        except (OSError, AMQPError) as error:
            log.debug("The connection that was blocked has ended: {}", error)
        self._connection = self._channel = None
        connection.end()
        log.info("RabbitMQ takes messages again")
        return True


class Channel(pyamqp.Channel):
    """A channel that gives up a message for which RabbitMQ has an alarm."""

    connection: Connection | None

    def basic_publish_confirm(self, msg: Any, *args: Any, **options: Any) -> Any:
        """Called to send a message, where RabbitMQ confirms them.

        Raises:
            kombu.exceptions.OperationalError: RabbitMQ has an alarm.
        """
        connection, message = self.connection, msg.properties.get("correlation_id") or ""
        if connection is None:  # it was closed
            return super().basic_publish_confirm(msg, *args, **options)
        if connection.alarm.check(message):
            return None
        connection.publishing = (self, message)
        try:
            return super().basic_publish_confirm(msg, *args, **options)
        finally:
            connection.publishing = None


class Connection(pyamqp.Connection):
    """A connection that knows whether it is blocked."""

    Channel = Channel
    alarm = Alarm()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "on_blocked": self._block, "on_unblocked": self._unblock})
        self.is_blocked = False
        self.publishing: tuple[Channel, str] | None = None
        self._was_given_up = False

    def _block(self, _reason: str) -> None:
        self.is_blocked = True
        if self.publishing and not is_in_task():
            self.alarm.begin(*self.publishing)
            raise RecoverableConnectionError(ALARM)

    def _unblock(self) -> None:
        self.is_blocked = False

    def collect(self) -> None:
        """Called when the connection is given up."""
        if self.alarm.keeps(self):
            self._was_given_up = True
        else:
            super().collect()

    def end(self) -> None:
        """Called when the alarm is over."""
        if self._was_given_up:
            super().collect()


def renew(producer: Any) -> None:
    """Connect a producer anew, which then declares once more what it has declared.

    Raises:
        kombu.exceptions.OperationalError: RabbitMQ does not answer.
    """
    connection = producer.connection
    connection.collect()
    connection.ensure_connection(max_retries=1, interval_start=0, timeout=connection.connect_timeout)
    producer.revive(connection.default_channel)
