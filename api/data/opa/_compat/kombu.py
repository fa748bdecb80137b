"""What is private in kombu, in its transport for redis and its mailboxes, and used here."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Any

from kombu import pidbox
from kombu.transport import redis, virtual
from kombu.utils.functional import lazy
from kombu.utils.json import loads
from redis.exceptions import NoScriptError

from opa._compat.redis import is_locked


class Message(virtual.Message):
    """A message of a queue in redis."""

    @property
    def raw(self) -> Any:
        """The message as it stood in its queue."""
        return self._raw  # type: ignore[attr-defined]  # celery-types lacks it


class QoS(redis.QoS):
    """What a channel has taken from its queues and not acknowledged yet."""

    _delivered: Any
    _dirty: Any
    _remove_from_indices: Any

    def holds(self, tag: str) -> bool:
        """Whether a message of this tag was taken; also one that is acknowledged, and not cleared away yet."""
        return tag in self._delivered

    def let_all_go(self) -> list[str]:
        """The tags of what was taken and not acknowledged, which it holds no more from now on."""
        tags = [tag for tag in self._delivered if tag not in self._dirty]
        self._delivered.clear()
        return tags

    def drop_note(self, tag: str, pipe: Any = None) -> Any:
        """Add the commands that take a message out of those in delivery to a pipe, and give it; or to a new one."""
        return self._remove_from_indices(tag, pipe)


class Channel(redis.Channel):
    """What reads and writes the queues in redis."""

    _lookup: Any
    _qos: Any
    _pool: Any
    _async_pool: Any
    _closing: bool
    _expires: Any
    _flush_brpop_reauth: Any
    _in_poll: Any
    _q_for_pri: Any
    _queue_cycle: Any
    active_queues: Any
    client: Any
    connection_errors: Any

    def _after_fork(self) -> None:
        """Called in a child process. Kombu closes its connections there, and so needs the locks of their pools.

        A thread of the parent may have held one when it forked, and here nobody would ever let it go: such a pool is
        left as it is.
        """
        if self._pool is not None and is_locked(self._pool):
            self._pool = None
        if self._async_pool is not None and is_locked(self._async_pool):
            self._async_pool = None
        super()._after_fork()  # type: ignore[misc]  # the types of kombu lack it

    @property
    def qos_if_used(self) -> Any:
        """What it has taken; None where it has taken nothing. `qos` makes it."""
        return self._qos

    def queues_of(self, exchange: str, routing_key: str) -> list[str]:
        """The queues that an exchange and a routing key lead to."""
        return list(self._lookup(exchange, routing_key))

    def _create_client(self, asynchronous: bool = False) -> Any:
        return self.new_client(asynchronous)

    def new_client(self, asynchronous: bool = False) -> Any:
        """Called by kombu for a client of redis."""
        return super()._create_client(asynchronous)  # type: ignore[misc]  # celery-types lacks it

    def _get_pool(self, asynchronous: bool = False) -> Any:
        return self.new_pool(asynchronous)

    def new_pool(self, asynchronous: bool = False) -> Any:
        """Called by kombu for a pool of connections."""
        return super()._get_pool(asynchronous)  # type: ignore[misc]  # celery-types lacks it

    def _put(self, queue: str, message: Any, **options: Any) -> None:
        batch = options.get("_publish_batch")
        if batch is None:
            self.put(queue, message)
        else:
            super()._put(queue, message, **options)
            self.ring(queue, batch.add)

    def put(self, queue: str, message: Any) -> None:
        """Called by kombu to put a message into a queue."""
        super()._put(queue, message)

    def ring(self, queue: str, add: Any) -> None:
        """Called when a message comes to a queue, to add commands by their names: those of a pipeline of redis-py."""

    def expires(self, queue: str) -> bool:
        """Whether a queue is deleted when nobody uses it for a while."""
        return queue in self._expires

    @property
    def is_closing(self) -> bool:
        """Whether nobody is to be given messages any more."""
        return self._closing

    def queues_in_turn(self) -> list[str]:
        """The queues that are consumed, in the order in which they are looked at next."""
        return list(self._queue_cycle.consume(len(self.active_queues)))

    def keys_of(self, queues: Sequence[str]) -> list[str]:
        """The keys of queues, without the prefix of all keys: those of the first priority, of the second, and so on."""
        return [self._q_for_pri(queue, step) for step in self.priority_steps for queue in queues]

    def deliver(self, item: bytes, queue: str) -> None:
        """Give what was taken from a queue to who consumes it; the other queues are looked at first the next time."""
        self._queue_cycle.rotate(queue)
        self.connection._deliver(loads(item.decode()), queue)

    def _brpop_start(self, timeout: float | None = None) -> None:
        self.start_polling()

    def start_polling(self) -> None:
        """Called by kombu when it can take a message, and nothing is asked of redis yet."""
        super()._brpop_start()  # type: ignore[misc]  # celery-types lacks it

    def send_polled(self, *command: Any) -> None:
        """Send what is asked of redis; `read_queues` is called when it answers."""
        self._in_poll = self.client.connection
        self._brpop_sent_at = monotonic()
        self.client.connection.send_command(*command)

    def read_polled(self, command: str, **options: Any) -> Any:
        """The answer to what was sent.

        Raises:
            redis.NoScriptError: the server does not know the script; the connection is as before.
            Exception: it is one of `connection_errors`, and the connection is closed.
        """
        try:
            return self.client.parse_response(self.client.connection, command, **options)
        except NoScriptError:
            raise
        except self.connection_errors:
            self.client.connection.disconnect()
            raise
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()

    def _brpop_read(self, **options: Any) -> Any:
        return self.read_queues(**options)

    def read_queues(self, **options: Any) -> Any:
        """Called by kombu when redis has answered."""
        return super()._brpop_read(**options)  # type: ignore[misc]  # celery-types lacks it

    def _receive_one(self, client: Any) -> Any:
        return self.read_subscription(client)

    def read_subscription(self, client: Any) -> Any:
        """Called by kombu when there is a message that is sent to all workers."""
        return super()._receive_one(client)  # type: ignore[misc]  # celery-types lacks it

    def _do_restore_message(
        self, payload: Any, exchange: str, routing_key: str, pipe: Any, leftmost: bool = False
    ) -> None:
        self.restore_message(payload, exchange, routing_key, pipe, leftmost)

    def restore_message(self, payload: Any, exchange: str, routing_key: str, pipe: Any, leftmost: bool = False) -> None:
        """Called by kombu for each message that comes back, with a pipe for the commands that put it into its queue."""
        super()._do_restore_message(  # type: ignore[misc]  # celery-types lacks it
            payload, exchange, routing_key, pipe, leftmost
        )


class Mailbox(pidbox.Mailbox):
    """By which commands are sent to the workers, and their answers heard."""

    def _collect(self, ticket: str, *args: Any, **options: Any) -> list[Any]:
        return self.collect(ticket, *args, **options)

    def collect(self, ticket: str, *args: Any, **options: Any) -> list[Any]:
        """Called by kombu for the answers to a command, when it is sent."""
        found: list[Any] = super()._collect(ticket, *args, **options)
        return found


def pool_counts(pool: Any) -> tuple[int, int]:
    """How many connections or producers of a pool are in use, and how many are open beside these."""
    free = list(pool._resource.queue)
    return len(pool._dirty), sum(not isinstance(each, lazy) for each in free)


def key_of(channel: Any, queue: str, message: Any) -> str:
    """The key, without the prefix of all keys, in which a message of such a priority waits in a queue."""
    return str(channel._q_for_pri(queue, channel._get_message_priority(message, reverse=False)))
