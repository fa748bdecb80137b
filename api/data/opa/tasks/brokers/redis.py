"""Redis as broker: as on RabbitMQ, a task that was delivered too often is given up, and kept with those refused."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from queue import Empty
from typing import Any
from uuid import uuid4

from kombu.transport import redis, virtual
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps, loads
from redis import ConnectionPool, Redis
from redis.exceptions import ConnectionError as ClosedError
from redis.exceptions import DataError, NoScriptError, RedisError, ResponseError

from opa._compat import kombu as compat
from opa.core.breaker import Breaker
from opa.logging.logger import log
from opa.redis_clients.pools import GuardedPlainPool
from opa.tasks.brokers.queues import DEAD_LETTER_QUEUE, are_names
from opa.tasks.brokers.rabbitmq import BREAKER, MAX_BYTES
from opa.tasks.brokers.redis_messages import RETURNS, Message, letter_of, letter_of_malformed, returns_in, why_malformed
from opa.tasks.brokers.redis_queues import BELL_SECONDS, PUT, Taken, split_held, take_command, taken_of
from opa.tasks.codec import Limits
from opa.tasks.headers import TICKET
from opa.tasks.observing.observers import Observers

UNROUTABLE = "unroutable"
"""The reason of a message that came back, and whose exchange and routing key lead to no queue that is known here."""


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
        """Hold a message that was taken from its queue: redis does so already, if it came by the script."""
        taken = self.channel.let_go()
        if taken is not None and taken.is_held:
            message.delivery_tag = taken.tag
            virtual.QoS.append(self, message, taken.tag)
            return
        if self.holds(delivery_tag):
            # The same message once more: it would take the place of the first.
            message.delivery_tag = delivery_tag = str(uuid4())
        super().append(message, delivery_tag)

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
                    item, queue = split_held(held) or (held, self.unacked_key)
                    self.channel.bury_raw(item, queue, cause, pipe)

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

    Messages are taken as `redis_queues` says.

    Attributes:
        asked: the tag under which the next message is held; None if nothing is asked of redis.
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
    qos: Any
    sep: str

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.asked: str | None = None
        self._taken: Taken | None = None
        self._strays: list[str] = []
        self._asked_queues: list[str] | None = None
        self._unheld: set[str] = set()
        self._is_idle = False
        self._script_is_known = True
        self._plain_client: Any = None
        self._script_client: Any = None
        super().__init__(*args, **kwargs)

    def new_client(self, asynchronous: bool = False) -> Any:
        """A client; a plain one is the same for each call.

        Kombu makes one for each message that it sends, takes and acknowledges, which takes longer than the command.
        """
        if self.connection is None:
            raise ClosedError("the connection of this channel is closed")  # kombu would raise an AttributeError
        if asynchronous:
            return super().new_client(asynchronous)
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
        is_next = headers.get(TICKET) and not headers.get("eta")
        if self.expires(queue) and not is_next:
            super().put(queue, message)
            with self.conn_or_acquire() as client, client.pipeline() as pipe:
                self.ring(queue, partial(_add, pipe))
                pipe.execute()
            return
        keys = [f"{self.global_keyprefix}{key}" for key in (compat.key_of(self, queue, message), self.bell_of(queue))]
        PUT.run(self._unprefixed(), keys, ["rpush" if is_next else "lpush", dumps(message)])

    def _unprefixed(self) -> Any:
        """A client that leaves keys as they are: kombu's puts the prefix of all keys before those of some commands."""
        if self.connection is None:
            raise ClosedError("the connection of this channel is closed")  # kombu would raise an AttributeError
        if self._script_client is None or self._script_client.connection_pool is not self.pool:
            self._script_client = Redis(connection_pool=self.pool)
        return self._script_client

    def bell_of(self, queue: str) -> str:
        """The key of the bell of a queue, without the prefix of all keys."""
        return f"{queue}{self.sep}bell"

    def ring(self, queue: str, add: Any) -> None:
        """Wake an idle worker, by commands that go with the one that puts a message into the queue."""
        bell = self.bell_of(queue)
        add("delete", bell)
        add("lpush", bell, 1)
        add("pexpire", bell, BELL_SECONDS * 1000)

    def basic_consume(self, queue: str, no_ack: bool, *args: Any, **kwargs: Any) -> Any:
        """Called for a queue whose messages are to be taken; what is never acknowledged is not held."""
        if no_ack or not self.ack_emulation:
            self._unheld.add(queue)
        else:
            self._unheld.discard(queue)
        return super().basic_consume(queue, no_ack, *args, **kwargs)

    def start_polling(self) -> None:
        """Ask redis for a message; or to say when one comes, where it has just said that there is none."""
        queues = self.queues_in_turn()
        if not queues:
            return
        if self._is_idle:
            self._asked_queues = None
            bells = [f"{self.global_keyprefix}{self.bell_of(queue)}" for queue in queues]
            self.send_polled("BRPOP", *bells, self.brpop_timeout or 0)
            return
        # Where an answer was lost, the same tag once more: redis may hold a message by it.
        self.asked = self.asked or str(uuid4())
        self._asked_queues = queues
        in_full = not self._script_is_known
        self.send_polled(*take_command(self, self.asked, queues, self._unheld, in_full=in_full))

    def read_queues(self, **options: Any) -> Any:
        """Deliver the message with which redis has answered; what is none goes to the dead letters.

        Raises:
            Empty: there is none; kombu calls `start_polling` next.
        """
        queues, self._asked_queues = self._asked_queues, None
        if queues is None:
            bell = self.read_polled("BRPOP", **options)
            self._is_idle = False
            if bell and (self.is_closing or not self.active_queues):
                self._ring_again(bell[0])
            raise Empty
        try:
            answer = self.read_polled("EVALSHA", **options)
        except NoScriptError:
            self._script_is_known = False
            raise Empty from None
        self._script_is_known = True
        tag, self.asked = self.asked or "", None
        taken = taken_of(answer, tag, queues, self._unheld)
        if taken is None:
            self._is_idle = True
            raise Empty
        self._deliver_taken(taken)
        return True

    def _ring_again(self, bell: bytes) -> None:
        """Another worker is to hear it; the prefix of all keys is not part of the key here."""
        with suppress(RedisError, OSError), self.conn_or_acquire() as client:
            client.lpush(bell.decode(), 1)

    def _deliver_taken(self, taken: Taken) -> None:
        self._taken = taken
        try:
            self.deliver(taken.item, taken.queue)
        except Exception as error:
            if self.let_go() is None:
                raise  # the connection, or what was done with a message that is held
            if isinstance(error, RedisError) and not isinstance(error, DataError):
                self._strays.append(taken.tag)
                raise
            self._bury_taken(taken, error)
            return
        if self.let_go() is not None and taken.is_held:  # nobody wanted it, and another channel has put it back
            self.qos.drop_note(taken.tag).execute()

    def let_go(self) -> Taken | None:
        """What was taken and not given to anybody yet."""
        taken, self._taken = self._taken, None
        return taken

    def stray_tags(self) -> list[str]:
        """Tags by which redis may hold messages of which nobody here knows: they are to be given back."""
        strays, self._strays = self._strays, []
        return [*strays, self.asked] if self.asked else strays

    def _bury_taken(self, taken: Taken, error: Exception) -> None:
        problem = why_malformed(error)
        log.error(f"an entry of queue '{taken.queue}' is not a message, and is kept among the dead letters: {problem}")
        try:
            with self.conn_or_acquire() as client, client.pipeline() as pipe:
                if taken.is_held:
                    self.qos.drop_note(taken.tag, pipe)
                self.bury_raw(taken.item, taken.queue, error, pipe)
                pipe.execute()
        except RedisError:
            self._strays.append(taken.tag)
            raise

    def read_subscription(self, client: Any) -> Any:
        """Read a message that is sent to all workers, such as a command; what is none is dropped with a line."""
        try:
            return super().read_subscription(client)
        except Empty:
            raise
        except Exception as error:
            if isinstance(error, self.connection_errors):
                raise
            log.warning(f"a message for all workers is dropped: {why_malformed(error)}")
            raise Empty from error

    def restore_message(self, payload: Any, exchange: str, routing_key: str, pipe: Any, leftmost: bool = False) -> None:
        """Put a message that comes back into its queue, or among the dead letters."""
        headers = payload["headers"] = payload.get("headers") or {}
        headers[RETURNS] = returns_in(headers) + 1
        if self.delivery_limit and headers[RETURNS] >= self.delivery_limit:
            self.bury(payload, exchange, routing_key, "delivery_limit", pipe)
            self._tell_dead(headers, routing_key, "delivery_limit")
        elif not self.queues_of(exchange, routing_key):
            self.bury(payload, exchange, routing_key, UNROUTABLE, pipe)  # kombu would lose it
            self._tell_dead(headers, routing_key, UNROUTABLE)
        else:
            super().restore_message(payload, exchange, routing_key, pipe, leftmost)
            for queue in self.queues_of(exchange, routing_key):
                self.ring(queue, partial(_add, pipe))

    def _tell_dead(self, headers: dict[str, Any], routing_key: str, reason: str) -> None:
        if self.observers is not None and are_names(headers.get("id"), headers.get("task")):
            self.observers.tell_end("dead", {**headers, "delivery_info": {"routing_key": routing_key}}, reason=reason)

    def bury(self, payload: Any, exchange: str, routing_key: str, reason: str, pipe: Any) -> None:
        """Add a message to the dead letters, by a command on `pipe`."""
        queue = next(iter(self.queues_of(exchange, routing_key)), routing_key)
        pipe.lpush(DEAD_LETTER_QUEUE, dumps(letter_of(payload, queue, reason)))

    def bury_raw(self, item: bytes, queue: str, error: Exception, pipe: Any) -> None:
        """Add what is no message to the dead letters, byte for byte, by a command on `pipe`."""
        pipe.lpush(DEAD_LETTER_QUEUE, dumps(letter_of_malformed(item, queue, error)))


def _add(pipe: Any, command: str, *args: Any) -> None:
    getattr(pipe, command)(*args)


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
