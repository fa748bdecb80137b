"""RabbitMQ as broker: properties that cannot be read end no connection, and no message is unpacked without end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from struct import pack, unpack_from
from typing import Any

from amqp.exceptions import RecoverableConnectionError
from amqp.method_framing import frame_handler
from amqp.serialization import PROPERTY_CLASSES, dumps
from kombu.exceptions import OperationalError
from kombu.transport import pyamqp

from opa._util.sockets import shut
from opa.core.breaker import Breaker
from opa.tasks.brokers import refusals
from opa.tasks.codec import Limits
from opa.tasks.unpacking import unpack

UNREADABLE = "x-opa-unreadable"
"""The header that stands in the place of properties that cannot be read; it says why."""
MAX_BYTES = "max_bytes"
"""The transport option that says how large a message may be when it is unpacked."""
BREAKER = "breaker"
"""The transport option that has the breaker of the broker, where there is one."""

_HEADER_FRAME = 2
_HEADERS_FLAG = 0x2000
_Frame = tuple[int, int, bytes]


class Message(pyamqp.Message):
    """A message that is unpacked within limits; kombu's own unpacks whatever it is given."""

    body: Any

    def __init__(self, msg: Any, channel: Any = None, **kwargs: Any) -> None:
        compression = (msg.properties.get("application_headers") or {}).get("compression")
        if compression:
            self.errors = [None]  # kombu leaves a message alone that has an error already
        super().__init__(msg, channel, **kwargs)
        if compression:
            self.errors = []
            limit = channel.connection.client.transport_options.get(MAX_BYTES, Limits.bytes)
            try:
                self.body = unpack(_as_bytes(self.body), compression, limit)
            except ValueError:
                self.errors.append(sys.exc_info())


def _as_bytes(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else bytes(body)


class Channel(refusals.Channel):
    """Kombu's, with our messages, and a breaker that hears what was not confirmed."""

    Message = Message  # type: ignore[assignment]  # as kombu's own

    def basic_publish_confirm(self, msg: Any, *args: Any, **options: Any) -> Any:
        """Called to send a message, where RabbitMQ confirms them.

        Raises:
            kombu.exceptions.OperationalError: RabbitMQ has an alarm.
        """
        breaker = getattr(self.connection, "breaker", None)
        try:
            return super().basic_publish_confirm(msg, *args, **options)
        except (OSError, RecoverableConnectionError) as error:
            if breaker is not None:
                breaker.failed(OperationalError(str(error)))
            raise


class Connection(refusals.Connection):
    """A connection that goes on where the properties of a message cannot be read, and that a breaker can end."""

    Channel = Channel

    def __init__(self, *args: Any, breaker: Breaker | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **{"frame_handler": tolerant_frame_handler, **kwargs})
        self.breaker = breaker
        if breaker is not None:
            breaker.when_open(self.let_go)

    def connect(self, callback: Any = None) -> Any:
        """Connect.

        Raises:
            kombu.exceptions.OperationalError: the breaker is open.
        """
        if self.breaker is None:
            return super().connect(callback)
        self.breaker.check_in_thread()
        try:
            return super().connect(callback)
        except OSError as error:
            self.breaker.failed(OperationalError(str(error)))
            raise

    def let_go(self) -> None:
        """End what waits for an answer in another thread."""
        # `transport` would connect one that was given up.
        found = getattr(self.transport, "sock", None) if self.connected else None
        if found is not None:
            shut(found)


class Transport(pyamqp.Transport):
    """Kombu's, with our connections."""

    Connection = Connection


class SSLTransport(pyamqp.SSLTransport):
    """The same over TLS."""

    Connection = Connection


def tolerant_frame_handler(connection: Any, callback: Callable[..., Any]) -> Callable[[_Frame], bool]:
    """py-amqp's handler of frames, for properties of any kind.

    Texts that are not UTF-8, dates out of range and tables in tables raise where py-amqp reads them, in the middle of
    all that the connection does. Such a message is given empty properties and one header that says so; RabbitMQ keeps
    the real ones, and has them when the message is refused.
    """
    on_frame = frame_handler(connection, callback)

    def on_any_frame(frame: _Frame) -> bool:
        kind, channel, content = frame
        if kind != _HEADER_FRAME:
            return bool(on_frame(frame))
        try:
            return bool(on_frame(frame))
        except Exception as error:
            if not _is_unreadable(content):
                raise
            return bool(on_frame((kind, channel, _without_properties(content, error))))

    return on_any_frame


def _is_unreadable(content: bytes) -> bool:
    """Whether it is the properties that raise, and not what is done with a message that has no body."""
    (class_id,) = unpack_from(">H", content, 0)
    try:
        PROPERTY_CLASSES[class_id](content, 12)
    except Exception:  # noqa: BLE001 - as above
        return True
    return False


def _without_properties(content: bytes, error: Exception) -> bytes:
    class_id, size = unpack_from(">HxxQ", content, 0)
    headers = dumps("F", ({UNREADABLE: type(error).__name__},))
    return pack(">HxxQH", class_id, size, _HEADERS_FLAG) + bytes(headers)
