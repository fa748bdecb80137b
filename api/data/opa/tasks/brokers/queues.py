"""The queues: on RabbitMQ a task that was delivered too often is given up, and kept in the dead-letter queue."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import amqp
from amqp.exceptions import ChannelError, ConsumerCancelled, NotFound, PreconditionFailed
from celery.app.amqp import Queues
from kombu import Consumer, Exchange, Queue
from kombu.asynchronous import get_event_loop
from kombu.transport.native_delayed_delivery import bind_queue_to_native_delayed_delivery_exchange

from opa.logging.logger import log

DEAD_LETTER_QUEUE = "opa.dead"
QUEUE_TYPES = ("quorum", "classic")
RECREATION_DELAY = 0.5
"""Seconds until a queue is created again that was deleted.

RabbitMQ tells its consumers at the start of the deletion, and for as long as that takes it answers as though the queue
were there, or no longer there, by turns."""
SETTLING = 1.5
"""Seconds from the creation of a quorum queue until RabbitMQ still has it, with its messages, after it was killed.

It writes the name under which it finds the files of a queue a second after it was created (`auto_save` of the table
`names.dets`), but confirms messages at once. Whoever creates a queue waits that long before it is bound to its
exchange: until then RabbitMQ returns what is sent to it, and confirms nothing."""
LONGEST_NAME = 255
"""Bytes of the name of a queue or an exchange, or of a routing key."""
CLASSIC_ARGUMENTS = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": DEAD_LETTER_QUEUE}


def queue_arguments(delivery_limit: int) -> dict[str, Any]:
    """The arguments of a quorum queue.

    Args:
        delivery_limit: deliveries of a task; RabbitMQ counts how often it comes back.

    A task that reached the limit is moved to the dead-letter queue and deleted only once it has arrived there
    (`at-least-once`, which asks for `reject-publish`).
    """
    return CLASSIC_ARGUMENTS | {
        "x-queue-type": "quorum",
        "x-delivery-limit": delivery_limit - 1,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }


def dead_letter_queue() -> Queue:
    """The queue of the tasks that were given up."""
    return Queue(
        DEAD_LETTER_QUEUE,
        Exchange(""),
        routing_key=DEAD_LETTER_QUEUE,
        # Without -1 RabbitMQ would throw a letter away when it is looked at for the 21st time.
        queue_arguments={"x-queue-type": "quorum", "x-delivery-limit": -1},
    )


class TaskQueue(Queue):
    """A queue that outlives a kill of RabbitMQ before it takes tasks, and may be there with another delivery limit."""

    no_declare: bool

    def queue_declare(self, nowait: bool = False, passive: bool = False, channel: Any = None) -> Any:
        """Make the queue.

        Raises:
            PreconditionFailed: it is there, and differs in another way.
        """
        channel = channel or self.channel
        is_amqp = isinstance(channel, amqp.Channel)
        if passive or not is_amqp:
            return super().queue_declare(nowait, passive, channel)
        # On a channel of its own, since RabbitMQ closes the one on which it refuses.
        trial: Any = channel.connection.channel()
        try:
            return super().queue_declare(nowait, passive, trial)
        except PreconditionFailed as error:
            if "'x-delivery-limit'" not in (error.reply_text or ""):
                raise
            log.warning(
                f"a delivery limit does not change: {error.reply_text}. Delete the queue there once it is empty"
            )
            return super().queue_declare(nowait, True, channel)
        finally:
            trial.close()

    def declare(self, nowait: bool = False, channel: Any = None) -> Any:
        """Make the queue with its exchange, where they are not there, and bind it when it has settled.

        One that is there is not bound: whoever has made it does that, or who gets a message back (`rebind`).

        Raises:
            PreconditionFailed: it is there, and differs.
        """
        channel = channel or self.channel
        if not self.has_to_settle(channel):
            return super().declare(nowait, channel)
        if self.make(channel):
            time.sleep(SETTLING)
            self.bind_all(channel)
        return self.name

    def has_to_settle(self, channel: Any) -> bool:
        """Whether it is bound only some time after it was made."""
        return not self.no_declare and isinstance(channel, amqp.Channel) and is_quorum(self)

    def make(self, channel: Any) -> bool:
        """Make the queue with its exchange, where they are not there; whether the queue is new, and to be bound."""
        if self.exchange:
            self.exchange.declare(channel=channel)
        is_new = not is_there(self.name, channel)
        self.queue_declare(channel=channel)
        return is_new

    def rebind(self, channel: Any) -> None:
        """Make and bind it, also where it is there: RabbitMQ had no way to it for a message, as long as it settles."""
        self.declare(channel=channel)
        super().declare(channel=channel)

    def bind_all(self, channel: Any) -> None:
        """Bind it to its exchange, and by its other bindings."""
        if self.exchange and self.exchange.name:
            self.queue_bind(channel=channel)
        for binding in self.bindings:
            binding.declare(channel)
            binding.bind(self, channel=channel)

    def consume(self, consumer_tag: str = "", callback: Any = None, *args: Any, **options: Any) -> Any:
        """Take messages; a queue that is deleted meanwhile is created again, and the tasks that run go on.

        Celery would reconnect, and end them, though their messages are gone.
        """
        channel: Any = self.channel
        if isinstance(channel, amqp.Channel):

            def on_cancel(_tag: str) -> None:
                loop = get_event_loop()
                if loop is None:
                    raise ConsumerCancelled(consumer_tag)
                log.warning(f"the queue '{self.name}' is gone, with the tasks that waited in it; it is created again")
                wait(loop)

            def wait(loop: Any) -> None:
                # From `call_soon`, since the loop goes on after an error of a timer.
                loop.call_later(RECREATION_DELAY, loop.call_soon, consume_again, loop)

            def consume_again(loop: Any) -> None:
                if not channel.is_open:
                    return  # the worker has reconnected meanwhile, and made the queue
                try:
                    self._make_anew(channel)
                except NotFound:
                    wait(loop)
                else:
                    self.consume(consumer_tag, callback, *args, **options)

            options["on_cancel"] = on_cancel
            self._bind_when_settled(channel)
        return super().consume(consumer_tag, callback, *args, **options)

    def _bind_when_settled(self, channel: Any) -> None:
        """Bind a queue that another process has made, perhaps without an exchange, or right now."""
        if not is_quorum(self):
            return

        def bind() -> None:
            if channel.is_open:
                trial = channel.connection.channel()
                # It is deleted, and will be made anew; or this user may not, and another one has done it.
                with suppress(ChannelError):
                    self.bind_all(trial)
                trial.close()

        loop = get_event_loop()
        if loop is None:
            bind()
        else:
            loop.call_later(SETTLING, loop.call_soon, bind)

    def _make_anew(self, channel: Any) -> None:
        """Declare the queue, on a channel of its own: the one that takes tasks would be closed by an error.

        Raises:
            NotFound: RabbitMQ has not done with the deletion.
        """
        trial = channel.connection.channel()
        try:
            self.bind(trial).declare()
            if is_delayable(self):
                bind_queue_to_native_delayed_delivery_exchange(channel.connection.client, self)
        finally:
            trial.close()


class TaskConsumer(Consumer):
    """Takes messages of queues; those that it makes settle at the same time, and not one after another."""

    channel: Any

    def declare(self) -> None:
        """Make its queues.

        Raises:
            PreconditionFailed: one is there, and differs.
        """
        new = []
        for queue in self.queues:
            if not (isinstance(queue, TaskQueue) and queue.has_to_settle(self.channel)):
                queue.declare()
            elif queue.make(self.channel):
                new.append(queue)
        if new:
            time.sleep(SETTLING)
        for queue in new:
            queue.bind_all(self.channel)


def are_names(name: Any, *others: Any) -> bool:
    """Whether RabbitMQ could take the first one as a name, and each other where it is not None."""
    return bool(name) and all(
        isinstance(one, str) and one.isprintable() and len(one.encode()) <= LONGEST_NAME
        for one in (name, *others)
        if one is not None
    )


def is_quorum(queue: Queue) -> bool:
    """Whether it is a quorum queue, as far as its arguments tell."""
    return (queue.queue_arguments or {}).get("x-queue-type") == "quorum"


def is_there(name: str, channel: Any) -> bool:
    """Whether RabbitMQ has a queue of this name."""
    trial = channel.connection.channel()  # of its own, since RabbitMQ closes one on which it has refused
    try:
        trial.queue_declare(queue=name, passive=True)
    except NotFound:
        return False
    finally:
        trial.close()
    return True


def is_delayable(queue: Queue) -> bool:
    """Whether tasks with a countdown come to it from the queues in which they wait."""
    return bool(queue.exchange.type == "topic" and is_quorum(queue))


_OF_CLASSIC_ALONE = frozenset({"x-max-priority", "x-queue-mode", "x-queue-version", "x-queue-master-locator"})
"""Arguments with which RabbitMQ refuses a quorum queue."""


def cannot_be_quorum(queue: Queue) -> bool:
    """Whether RabbitMQ has no such quorum queue: it goes with its consumer, as of a `Broadcast`, or is a classic."""
    is_classic = not _OF_CLASSIC_ALONE.isdisjoint(queue.queue_arguments or {})
    ranks = getattr(queue, "max_priority", None) is not None
    return bool(queue.auto_delete or queue.exclusive or not queue.durable or ranks or is_classic)


class TaskQueues(Queues):
    """Celery's queues, with our type and arguments for those that do not say otherwise.

    Args:
        delivery_limit: deliveries of a task after which a quorum queue gives it up.
    """

    create_missing_queue_type: str | None

    def __init__(self, *args: Any, delivery_limit: int, **options: Any) -> None:
        self._delivery_limit = delivery_limit
        super().__init__(*args, **options)

    def __setitem__(self, name: str, queue: Queue) -> None:
        super().__setitem__(name, queue)
        arguments = dict(queue.queue_arguments or {})
        by_default = "classic" if cannot_be_quorum(queue) else self.create_missing_queue_type
        kind = arguments.get("x-queue-type") or by_default or "classic"
        if kind not in QUEUE_TYPES:
            raise ValueError(f"queue '{name}' has the type '{kind}', which is not one of {', '.join(QUEUE_TYPES)}")
        ours = queue_arguments(self._delivery_limit) if kind == "quorum" else CLASSIC_ARGUMENTS
        queue.queue_arguments = ours | arguments
        if type(queue) is Queue:
            # Celery goes on with the object that it has.
            queue.__class__ = TaskQueue

    def forget(self, name: str) -> None:
        """Know a queue no longer, and take nothing from it after the next connect."""
        self.deselect([name])
        self.pop(name, None)
