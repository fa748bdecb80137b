"""The dead letters on redis: a list of messages."""

from __future__ import annotations

import base64
from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

from kombu.utils.json import dumps, loads
from redis import Redis

from opa._compat.kombu import key_of
from opa.tasks.brokers.queues import DEAD_LETTER_QUEUE
from opa.tasks.brokers.redis import DEATH
from opa.tasks.codec import Limits
from opa.tasks.dead_letters.letters import DeadLetter, Held, describe, digest
from opa.tasks.headers import OF_DELIVERIES

AT_A_TIME = 50

MOVE = """
if redis.call('lrem', KEYS[1], 1, ARGV[1]) == 0 then
    return 0
end
if ARGV[2] then
    redis.call('lpush', KEYS[2], ARGV[2])
end
return 1
"""


def listed_messages(connection: Any, limits: Limits) -> Generator[Held]:
    """The messages of the list; they stay there."""
    channel = connection.default_channel
    key = f"{channel.global_keyprefix}{DEAD_LETTER_QUEUE}"
    # Kombu's own client puts the prefix before the keys of some commands, this one before none.
    client = Redis(connection_pool=channel.pool)
    count: Any = client.llen(key)
    kept = 0
    # From the end, where the oldest are: new ones are put to the other end. Not all at once, each may have megabytes.
    while count > 0 and (messages := cast("list[bytes]", client.lrange(key, -kept - AT_A_TIME, -kept - 1))):
        for message in reversed(messages[-count:]):
            held = ListedMessage(client, channel, key, message, limits)
            yield held
            kept += not held.is_gone
        count -= len(messages)


class ListedMessage(Held):
    """A message of the list."""

    def __init__(self, client: Any, channel: Any, key: str, message: bytes, limits: Limits) -> None:
        self._channel = channel
        self._key = key
        self._message = message
        self.is_gone = False
        self._move = client.register_script(MOVE)
        try:
            self._payload = loads(message)
            self.letter = _letter(self._payload, limits)
        except Exception as error:  # noqa: BLE001 - anyone can put anything into the list
            self.letter = _no_letter(message, error)

    def send_again(self) -> bool:
        """Move it to its queue in one step; redis makes the queue where there is none."""
        headers = self._payload["headers"]
        for name in (DEATH, *OF_DELIVERIES):
            headers.pop(name, None)
        key = key_of(self._channel, self.letter.queue, self._payload)
        keys = [self._key, f"{self._channel.global_keyprefix}{key}"]
        self._move(keys=keys, args=[self._message, dumps(self._payload)])
        self.is_gone = True
        return True

    def drop(self) -> None:
        """Take it out of the list."""
        self._move(keys=[self._key], args=[self._message])
        self.is_gone = True


def _letter(payload: Any, limits: Limits) -> DeadLetter:
    headers = payload["headers"]
    death = headers[DEATH]
    body = payload.get("body") or ""
    letter = describe(
        headers,
        payload.get("content-type"),
        base64.b64decode(body) if payload["properties"].get("body_encoding") == "base64" else body.encode(),
        limits,
        queue=str(death["queue"]),
        reason=str(death["reason"]),
        deliveries=int(death["deliveries"]),
        died=datetime.fromtimestamp(death["time"], tz=UTC),
    )
    # Of what was no message when it was taken, its body is what stood in the queue.
    return replace(letter, problem=str(death["problem"])) if "problem" in death else letter


def _no_letter(message: bytes, error: Exception) -> DeadLetter:
    return DeadLetter(
        id=digest(message),
        task="",
        arguments="",
        queue="",
        reason="",
        deliveries=None,
        died=None,
        problem=f"it is not a dead letter of opa-stack, and cannot be read ({type(error).__name__})",
    )
