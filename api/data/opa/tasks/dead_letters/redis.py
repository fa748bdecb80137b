"""The dead letters on redis: a list of messages."""

from __future__ import annotations

import base64
from collections.abc import Generator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, cast

from kombu.utils.json import dumps, loads
from redis import Redis

from opa._compat.kombu import key_of
from opa.tasks.brokers.queues import DEAD_LETTER_QUEUE
from opa.tasks.brokers.redis_messages import DEATH
from opa.tasks.brokers.redis_queues import BELL_SECONDS
from opa.tasks.codec import Limits
from opa.tasks.dead_letters.letters import DeadLetter, Held, LetterGoneError, describe, digest, id_in
from opa.tasks.headers import OF_DELIVERIES

BATCH_SIZE = 50

MOVE = """
if redis.call('lrem', KEYS[1], 1, ARGV[1]) == 0 then
    return 0
end
if ARGV[2] then
    redis.call('lpush', KEYS[2], ARGV[2])
    redis.call('del', KEYS[3])
    redis.call('rpush', KEYS[3], 1)
    redis.call('expire', KEYS[3], ARGV[3])
end
return 1
"""


def message_count(connection: Any) -> int:
    """How many messages the list has."""
    client, key = _list_of(connection.default_channel)
    count: int = client.llen(key)
    return count


def listed_messages(connection: Any, limits: Limits, start: int = 0) -> Generator[Held]:
    """The messages of the list, from the one of this number on; they stay there."""
    channel = connection.default_channel
    client, key = _list_of(channel)
    count: Any = client.llen(key) - start
    kept = start
    # From the end, where the oldest are: new ones are put to the other end. Not all at once, each may have megabytes.
    while count > 0 and (messages := cast("list[bytes]", client.lrange(key, -kept - BATCH_SIZE, -kept - 1))):
        for message in reversed(messages[-count:]):
            held = ListedMessage(client, channel, key, message, limits)
            yield held
            kept += not held.is_gone
        count -= len(messages)


def _list_of(channel: Any) -> tuple[Any, str]:
    """A client, and the key of the list."""
    # Kombu's own client puts the prefix before the keys of some commands, this one before none.
    return Redis(connection_pool=channel.pool), f"{channel.global_keyprefix}{DEAD_LETTER_QUEUE}"


class ListedMessage(Held):
    """A message of the list."""

    def __init__(self, client: Any, channel: Any, key: str, message: bytes, limits: Limits) -> None:
        self._channel = channel
        self._key = key
        self._message = message
        self.is_gone = False
        self._limits = limits
        self._move = client.register_script(MOVE)

    @property
    def id(self) -> str:
        """That of its headers, or a digest."""
        try:
            payload = self._payload
            return id_in(payload["headers"], _body(payload))
        except Exception:  # noqa: BLE001 - see below
            return digest(self._message)

    @cached_property
    def letter(self) -> DeadLetter:
        """What the message says."""
        try:
            return _letter(self._payload, self._limits)
        except Exception as error:  # noqa: BLE001 - anyone can put anything into the list
            return _no_letter(self.id, error)

    @cached_property
    def _payload(self) -> Any:
        return loads(self._message)

    def send_again(self) -> bool:
        """Move it to its queue in one step; redis makes the queue where there is none."""
        queue, headers = self.letter.queue, self._payload["headers"]
        for name in (DEATH, *OF_DELIVERIES):
            headers.pop(name, None)
        keys = [key_of(self._channel, queue, self._payload), self._channel.bell_of(queue)]
        prefix = self._channel.global_keyprefix
        self._take([f"{prefix}{key}" for key in keys], [dumps(self._payload), BELL_SECONDS])
        return True

    def drop(self) -> None:
        """Take it out of the list."""
        self._take()

    def _take(self, queue_and_bell: Sequence[str] = (), message_and_seconds: Sequence[Any] = ()) -> None:
        """Out of the list and, if that is given, into a queue whose bell rings, in one step."""
        self.is_gone = True
        if not self._move(keys=[self._key, *queue_and_bell], args=[self._message, *message_and_seconds]):
            raise LetterGoneError(self.id)


def _letter(payload: Any, limits: Limits) -> DeadLetter:
    headers = payload["headers"]
    death = headers[DEATH]
    letter = describe(
        headers,
        payload.get("content-type"),
        _body(payload),
        limits,
        queue=str(death["queue"]),
        reason=str(death["reason"]),
        deliveries=int(death["deliveries"]),
        died=datetime.fromtimestamp(death["time"], tz=UTC),
    )
    # Of what was no message when it was taken, its body is what stood in the queue.
    return replace(letter, problem=str(death["problem"])) if "problem" in death else letter


def _body(payload: Any) -> bytes:
    body = payload.get("body") or ""
    found: bytes = base64.b64decode(body) if payload["properties"].get("body_encoding") == "base64" else body.encode()
    return found


def _no_letter(letter_id: str, error: Exception) -> DeadLetter:
    return DeadLetter(
        id=letter_id,
        task="",
        arguments="",
        queue="",
        reason="",
        deliveries=None,
        died=None,
        problem=f"it is not a dead letter of opa-stack, and cannot be read ({type(error).__name__})",
    )
