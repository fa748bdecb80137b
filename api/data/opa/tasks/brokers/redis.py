"""Redis as broker: as on RabbitMQ, a task that was delivered too often is given up, and kept with those refused."""

from __future__ import annotations

import base64
import sys
import time
from queue import Empty
from typing import Any
from uuid import uuid4

from kombu.transport import redis, virtual
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps, loads
from redis import ConnectionPool, Redis
from redis.exceptions import ConnectionError as ClosedError
from redis.exceptions import DataError, OutOfMemoryError, RedisError, ResponseError

from opa._compat import kombu as compat
from opa._util.words import kind_of
from opa.core.breaker import Breaker
from opa.logging.logger import log
from opa.redis_clients.pools import GuardedPlainPool
from opa.tasks.brokers.queues import DEAD_LETTER_QUEUE, are_names
from opa.tasks.brokers.rabbitmq import BREAKER, MAX_BYTES
from opa.tasks.brokers.redis_debts import note_without_memory
from opa.tasks.codec import Limits
from opa.tasks.headers import TICKET
from opa.tasks.observing.observers import Observers
from opa.tasks.unpacking import unpack

RETURNS = "x-delivery-count"
"""The header, by RabbitMQ's name, that counts how often a message came back."""
DEATH = "x-opa-death"
"""The header that says how a message came to the dead letters: `queue`, `reason`, `time` and `deliveries`."""
UNROUTABLE = "unroutable"
"""The reason of a message that came back, and whose exchange and routing key lead to no queue that is known here."""
MALFORMED = "malformed"
"""The reason of what is no message at all: the body of its letter is what stood in the queue."""

_BODY_ENCODINGS = (None, "base64", "utf-8")


class MalformedError(ValueError):
    """What stands in a queue is no message; the text does not repeat what it holds."""


class Message(compat.Message):
    """A message that is what kombu takes for granted, and is unpacked within limits.

    Raises:
        MalformedError: it is not.
    """

    body: Any

    def __init__(self, payload: Any, channel: Any = None, **kwargs: Any) -> None:
        _check_envelope(payload)
        compression = (payload.get("headers") or {}).get("compression")
        if compression:
            self.errors = [None]  # kombu leaves a message alone that has an error already
        super().__init__(payload, channel, **kwargs)
        if compression:
            self.errors = []
            try:
                body = self.body.encode() if isinstance(self.body, str) else self.body or b""
                self.body = unpack(body, compression, channel.max_bytes)
            except ValueError:
                self.errors.append(sys.exc_info())


def _check_envelope(payload: Any) -> None:
    """Whether `payload` has all that kombu needs to hold it, to give it back and to acknowledge it.

    Raises:
        MalformedError: it has not; the message says what.
    """
    if not isinstance(payload, dict):
        raise MalformedError(f"it is {kind_of(payload)}, not a message")
    properties = payload.get("properties")
    delivery = properties.get("delivery_info") if isinstance(properties, dict) else None
    if not isinstance(properties, dict) or not isinstance(delivery, dict):
        raise MalformedError("it has no properties of a message")
    texts = (properties.get("delivery_tag"), delivery.get("exchange"), delivery.get("routing_key"))
    if not all(isinstance(text, str) for text in texts) or not texts[0]:
        raise MalformedError("it does not say how it is delivered")
    if not isinstance(payload.get("headers"), dict | None):
        raise MalformedError("its headers are not a dict")
    if not isinstance(payload.get("body"), str | None):
        raise MalformedError("its body is not text")
    if properties.get("body_encoding") not in _BODY_ENCODINGS:
        raise MalformedError("its body has an unknown encoding")


class QoS(compat.QoS):
    """Keeps what is refused, where kombu throws it away.

    Attributes:
        late: tags of messages whose acknowledgement could not be written.
        late_refused: tags of messages that could not be put among the dead letters.
    """

    channel: Channel
    unacked_key: str

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.late: list[str] = []
        self.late_refused: list[str] = []

    def append(self, message: Any, delivery_tag: str) -> None:
        """Hold a message that was taken from its queue; from now on it is not lost."""
        if self.holds(delivery_tag):
            # The same message once more: it would take the place of the first.
            message.delivery_tag = delivery_tag = str(uuid4())
        try:
            super().append(message, delivery_tag)
        except OutOfMemoryError:
            if not note_without_memory(self, message, delivery_tag):
                raise
            virtual.QoS.append(self, message, delivery_tag)
        self.channel.taken = None

    def ack(self, delivery_tag: str) -> None:
        """Called for a message whose task is done."""
        try:
            super().ack(delivery_tag)
        except (RedisError, OSError) as error:
            log.debug("The acknowledgement {} waits: {}", delivery_tag, error)
            self.late.append(delivery_tag)
            virtual.QoS.ack(self, delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Called for a message that is given back, or refused."""
        if requeue or not self.channel.delivery_limit:
            super().reject(delivery_tag, requeue=requeue)
            return
        try:
            self.bury(delivery_tag)
        except (RedisError, OSError) as error:
            log.debug("The refusal of {} waits: {}", delivery_tag, error)
            self.late_refused.append(delivery_tag)
        virtual.QoS.ack(self, delivery_tag)

    def bury(self, delivery_tag: str) -> None:
        """Move a message that is held to the dead letters.

        Raises:
            redis.RedisError: the server does not answer, or cannot write.
        """

        def move(pipe: Any) -> None:
            held = pipe.hget(self.unacked_key, delivery_tag)
            pipe.multi()
            self.drop_note(delivery_tag, pipe)
            if held:
                payload, exchange, routing_key = loads(bytes_to_str(held))
                self.channel.bury(payload, exchange, routing_key, "rejected", pipe)

        with self.channel.conn_or_acquire() as client:
            client.transaction(move, self.unacked_key)

    def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:
        """Put a message that was not acknowledged back into its queue; what is none goes to the dead letters."""
        try:
            super().restore_by_tag(tag, client=client, leftmost=leftmost)
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
            cause = error

            def bury(pipe: Any) -> None:
                held = pipe.hget(self.unacked_key, tag)
                pipe.multi()
                self.drop_note(tag, pipe)
                if held:
                    self.channel.bury_raw(held, self.unacked_key, cause, pipe)

            with self.channel.conn_or_acquire(client) as connected:
                connected.transaction(bury, self.unacked_key)


OBSERVERS = "observers"
"""The transport option with what is told of tasks that are given up."""
OUR_OPTIONS = ("delivery_limit", MAX_BYTES, BREAKER, OBSERVERS)
"""What our channels take out of the transport options, besides kombu's."""


class Channel(compat.Channel):
    """Counts how often a message comes back, gives it up at the limit, and keeps what is no message.

    Each message that comes back, from a worker that gives it back or from one that is gone, passes
    `restore_message`, in one transaction with its removal from the messages in delivery. A message that never comes
    back costs nothing.

    Attributes:
        taken: the key of a queue, and what was taken from it and is not held yet.
        unplaced: the same, where redis could not hold it; it is to be put back.
    """

    QoS = QoS
    Message = Message
    delivery_limit: int | None = None
    max_bytes: int = Limits.bytes
    breaker: Breaker | None = None
    observers: Observers | None = None
    tells_of_delivery_limit = True
    """It does so when it puts a message among the dead letters, so its worker has not to."""
    from_transport_options = (*redis.Channel.from_transport_options, *OUR_OPTIONS)
    conn_or_acquire: Any
    connection: Any
    connection_errors: tuple[type[Exception], ...]
    global_keyprefix: str
    pool: Any
    sep: str

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.taken: tuple[bytes, bytes] | None = None
        self.unplaced: list[tuple[bytes, bytes]] = []
        self._plain_client: Any = None
        super().__init__(*args, **kwargs)

    def new_client(self, asynchronous: bool = False) -> Any:
        """A client, which says what it takes from a queue; a plain one is the same for each call.

        Kombu makes one for each message that it sends, takes and acknowledges, which takes longer than the command.
        """
        if self.connection is None:
            raise ClosedError("the connection of this channel is closed")  # kombu would raise an AttributeError
        if asynchronous:
            client = super().new_client(asynchronous)
            client.set_response_callback("BRPOP", self._take)
            return client
        if self._plain_client is None or self._plain_client.connection_pool is not self.pool:
            self._plain_client = super().new_client()
        return self._plain_client

    def new_pool(self, asynchronous: bool = False) -> Any:
        """A pool that knows of the breaker."""
        pool: Any = super().new_pool(asynchronous)
        if self.breaker is not None and type(pool) is ConnectionPool:
            guarded: Any = pool
            guarded.__class__ = GuardedPlainPool
            guarded.guard_by(self.breaker)
        return pool

    def put(self, queue: str, message: Any) -> None:
        """Put a message into its queue; one whose turn has come is taken next, since its place waits for it."""
        headers = message.get("headers") or {}
        if not headers.get(TICKET) or headers.get("eta"):
            super().put(queue, message)
            return
        with self.conn_or_acquire() as client:
            client.rpush(compat.key_of(self, queue, message), dumps(message))

    def _take(self, response: Any, **_: Any) -> Any:
        self.taken = tuple(response) if response else None
        return response

    def read_queues(self, **options: Any) -> Any:
        """Read a message of a queue; what is none goes to the dead letters."""
        self.taken = None
        try:
            return super().read_queues(**options)
        except Empty:
            raise
        except Exception as error:
            taken = self._let_go()
            if taken is None:
                raise  # the connection, or what was done with a message that is held
            if isinstance(error, RedisError) and not isinstance(error, DataError):
                self.unplaced.append(taken)
                raise
            self._bury_taken(taken, error)
            return True

    def _let_go(self) -> tuple[bytes, bytes] | None:
        taken, self.taken = self.taken, None
        return taken

    def _bury_taken(self, taken: tuple[bytes, bytes], error: Exception) -> None:
        queue = taken[0].decode().removeprefix(self.global_keyprefix).rsplit(self.sep, 1)[0]
        log.error(f"an entry of queue '{queue}' is not a message, and is kept among the dead letters: {_reason(error)}")
        try:
            with self.conn_or_acquire() as client:
                self.bury_raw(taken[1], queue, error, client)
        except RedisError:
            self.unplaced.append(taken)
            raise

    def put_back(self, unplaced: list[tuple[bytes, bytes]]) -> None:
        """Put what could not be held back into its queue, to be taken next."""
        # A plain client: kombu's puts the prefix of all keys before these once more.
        client = Redis(connection_pool=self.pool)
        while unplaced:
            client.rpush(*unplaced[-1])
            unplaced.pop()

    def read_subscription(self, client: Any) -> Any:
        """Read a message that is sent to all workers, such as a command; what is none is dropped with a line."""
        try:
            return super().read_subscription(client)
        except Empty:
            raise
        except Exception as error:
            if isinstance(error, self.connection_errors):
                raise
            log.warning(f"a message for all workers is dropped: {_reason(error)}")
            raise Empty from error

    def restore_message(self, payload: Any, exchange: str, routing_key: str, pipe: Any, leftmost: bool = False) -> None:
        """Put a message that comes back into its queue, or among the dead letters."""
        headers = payload["headers"] = payload.get("headers") or {}
        headers[RETURNS] = _returns(headers) + 1
        if self.delivery_limit and headers[RETURNS] >= self.delivery_limit:
            self.bury(payload, exchange, routing_key, "delivery_limit", pipe)
            self._tell_dead(headers, routing_key, "delivery_limit")
        elif not self.queues_of(exchange, routing_key):
            self.bury(payload, exchange, routing_key, UNROUTABLE, pipe)  # kombu would lose it
            self._tell_dead(headers, routing_key, UNROUTABLE)
        else:
            super().restore_message(payload, exchange, routing_key, pipe, leftmost)

    def _tell_dead(self, headers: dict[str, Any], routing_key: str, reason: str) -> None:
        if self.observers is not None and are_names(headers.get("id"), headers.get("task")):
            self.observers.tell_end("dead", {**headers, "delivery_info": {"routing_key": routing_key}}, reason=reason)

    def bury(self, payload: Any, exchange: str, routing_key: str, reason: str, pipe: Any) -> None:
        """Add a message to the dead letters, by a command on `pipe`."""
        headers = payload["headers"] = payload.get("headers") or {}
        deliveries = _returns(headers) + (reason == "rejected")
        headers.pop(RETURNS, None)
        queue = next(iter(self.queues_of(exchange, routing_key)), routing_key)
        headers[DEATH] = {"queue": queue, "reason": reason, "time": time.time(), "deliveries": deliveries}
        pipe.lpush(DEAD_LETTER_QUEUE, dumps(payload))

    def bury_raw(self, item: bytes, queue: str, error: Exception, pipe: Any) -> None:
        """Add what is no message to the dead letters, byte for byte, by a command on `pipe`."""
        death = {"queue": queue, "reason": MALFORMED, "time": time.time(), "deliveries": 1, "problem": _reason(error)}
        letter = {
            "body": base64.b64encode(item).decode(),
            "content-type": "application/octet-stream",
            "content-encoding": "binary",
            "headers": {DEATH: death},
            "properties": {"body_encoding": "base64", "delivery_tag": str(uuid4())},
        }
        pipe.lpush(DEAD_LETTER_QUEUE, dumps(letter))


def _returns(headers: dict[str, Any]) -> int:
    """How often a message came back; a sender may have written anything there."""
    found = headers.get(RETURNS, 0)
    return found if type(found) is int and found > 0 else 0


def _reason(error: Exception) -> str:
    """Why something is no message, without what it holds: the text of an error of Python's may repeat that."""
    return str(error) if isinstance(error, MalformedError) else f"it cannot be read ({type(error).__name__})"


class Transport(redis.Transport):
    """Kombu's, with our channel; a server that refuses a command is waited for as one that is gone."""

    Channel = Channel
    connection_errors = (*redis.Transport.connection_errors, ResponseError)


class SentinelChannel(Channel, redis.SentinelChannel):
    """The same, where Sentinel says which server is the master."""

    from_transport_options = (*redis.SentinelChannel.from_transport_options, *OUR_OPTIONS)


class SentinelTransport(redis.SentinelTransport):
    """Kombu's for Sentinel, with our channel."""

    Channel = SentinelChannel
    connection_errors = Transport.connection_errors
