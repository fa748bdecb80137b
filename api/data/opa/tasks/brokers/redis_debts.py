"""What a worker could not write to redis, because it was gone or could not write: kept here until it can.

Redis itself knows a message as delivered only when the worker has noted that, in a second step. A message that was
taken from its queue and could not be noted is nowhere but in this process.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from kombu.utils.json import dumps, loads
from redis.exceptions import RedisError

from opa.logging.logger import log

NOTE = """#!lua flags=allow-oom
redis.call('zadd', KEYS[1], ARGV[1], ARGV[2])
redis.call('hset', KEYS[2], ARGV[2], ARGV[3])
"""
"""What `QoS.append` of kombu does. It needs no memory: the message has just left its queue."""


@dataclass
class Debts:
    """What is to be written as soon as the server takes it.

    Attributes:
        held: tags of messages that go back to their queue: their tasks were ended, or not begun.
        unplaced: keys of queues, and what was taken from them and noted nowhere.
        done: tags of messages whose acknowledgement could not be written.
        refused: tags of messages that could not be put among the dead letters.
    """

    held: list[str] = field(default_factory=list)
    unplaced: list[tuple[bytes, bytes]] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def pay(self, channel: Any) -> None:
        """Write it; what cannot be written stays.

        Raises:
            redis.RedisError: the server does not answer, or cannot write.
        """
        self._take_late(channel.qos)
        while self.done:
            channel.qos.drop_note(self.done[-1]).execute()
            self.done.pop()
        while self.refused:
            channel.qos.bury(self.refused[-1])
            self.refused.pop()
        if self.unplaced:
            channel.put_back(self.unplaced)
        while self.held:
            channel.qos.restore_by_tag(self.held[-1])
            self.held.pop()

    def take_over(self, channels: Iterable[Any]) -> None:
        """Add what the channels of a connection leave that is given up.

        Kombu would give messages back as it closes the connection; that fails, and the worker would end with an error.
        """
        for channel in channels:
            unplaced, channel.unplaced = channel.unplaced, []
            self.unplaced += unplaced
            qos = channel.qos_if_used
            if qos is not None:
                self.held += qos.let_all_go()
                self._take_late(qos)

    def _take_late(self, qos: Any) -> None:
        late, qos.late = qos.late, []
        self.done += late
        refused, qos.late_refused = qos.late_refused, []
        self.refused += refused

    def say_what_stays(self) -> None:
        """Called when the worker ends."""
        if self.unplaced:
            log.error(
                f"{len(self.unplaced)} tasks that redis does not take back are lost with this worker: "
                + ", ".join(_task_id(item) for _, item in self.unplaced)
            )
        if late := len(self.held) + len(self.done) + len(self.refused):
            log.warning(
                f"{late} tasks of this worker run once more when TASK_VISIBILITY_TIMEOUT has passed:"
                " redis does not take what this worker has to say of them"
            )


def _task_id(item: bytes) -> str:
    try:
        return str(loads(item)["headers"]["id"])
    except (KeyError, TypeError, ValueError):
        return "one that cannot be read"


def note_without_memory(qos: Any, message: Any, delivery_tag: str) -> bool:
    """Note a message as delivered on a server that has no memory left; whether that was possible.

    The tasks that wait may be what fills it, and only a worker that goes on can end that.
    """
    delivery, prefix = message.delivery_info, qos.channel.global_keyprefix
    noted = dumps([message.raw, delivery["exchange"], delivery["routing_key"]])
    keys = [f"{prefix}{qos.unacked_index_key}", f"{prefix}{qos.unacked_key}"]
    # Before version 7, redis knows no flags of scripts.
    with suppress(RedisError), qos.channel.conn_or_acquire() as client:
        client.execute_command("EVAL", NOTE, len(keys), *keys, time.time(), delivery_tag, noted)
        return True
    return False
