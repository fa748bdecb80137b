"""The dead letters on redis: a list of messages."""

from __future__ import annotations

import base64
from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any

from kombu.utils.json import dumps, loads
from redis import Redis

from opa.tasks.dead import DeadLetter, Held, describe
from opa.tasks.queues import DEAD_LETTER_QUEUE
from opa.tasks.redis_broker import DEATH

MOVE = """
if redis.call('lrem', KEYS[1], 1, ARGV[1]) == 0 then
    return 0
end
if ARGV[2] then
    redis.call('lpush', KEYS[2], ARGV[2])
end
return 1
"""


def listed_messages(connection: Any) -> Generator[Held]:
    """The messages of the list; they stay there."""
    channel = connection.default_channel
    key = f"{channel.global_keyprefix}{DEAD_LETTER_QUEUE}"
    # Kombu's own client puts the prefix before the keys of some commands, this one before none.
    client = Redis(connection_pool=channel.pool)
    messages: Any = client.lrange(key, 0, -1)
    for message in reversed(messages):
        yield ListedMessage(client, channel, key, message)


class ListedMessage(Held):
    """A message of the list."""

    def __init__(self, client: Any, channel: Any, key: str, message: bytes) -> None:
        self._channel = channel
        self._key = key
        self._message = message
        self._payload = loads(message)
        self._move = client.register_script(MOVE)
        self.letter = _letter(self._payload)

    def send_again(self) -> bool:
        """Move it to its queue in one step; redis makes the queue where there is none."""
        self._payload["headers"].pop(DEATH)
        priority = self._channel._get_message_priority(self._payload, reverse=False)
        queue = self._channel._q_for_pri(self.letter.queue, priority)
        keys = [self._key, f"{self._channel.global_keyprefix}{queue}"]
        self._move(keys=keys, args=[self._message, dumps(self._payload)])
        return True

    def drop(self) -> None:
        """Take it out of the list."""
        self._move(keys=[self._key], args=[self._message])


def _letter(payload: Any) -> DeadLetter:
    headers = payload["headers"]
    death = headers[DEATH]
    body = payload["body"]
    return describe(
        headers,
        payload["content-type"],
        base64.b64decode(body) if payload["properties"].get("body_encoding") == "base64" else body.encode(),
        queue=death["queue"],
        reason=death["reason"],
        deliveries=death["deliveries"],
        died=datetime.fromtimestamp(death["time"], tz=UTC),
    )
