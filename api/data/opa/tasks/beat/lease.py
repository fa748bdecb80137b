"""A right that one process has at a time, kept in redis, which passes on when its holder is gone."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

HOLD = """
local holder = redis.call('get', KEYS[1])
if not holder then
    redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])
    return {ARGV[1], 1}
end
if holder == ARGV[1] then
    redis.call('pexpire', KEYS[1], ARGV[2])
elseif redis.call('pttl', KEYS[1]) == -1 then
    -- No process of ours: it would hold it for ever.
    redis.call('pexpire', KEYS[1], ARGV[2])
end
return {holder, 0}
"""

WRITE = """
if redis.call('get', KEYS[1]) ~= ARGV[1] then
    return 0
end
for i = 2, #ARGV, 2 do
    redis.call('hset', KEYS[2], ARGV[i], ARGV[i + 1])
end
return 1
"""

RELEASE = """
if redis.call('get', KEYS[1]) == ARGV[1] then
    redis.call('del', KEYS[1])
end
"""


def named(owner: str) -> str:
    """Who an owner is, as `host:pid`; what is none of ours is named by what it is, and never by nothing."""
    return owner.rpartition(":")[0] or owner or "another process"


class Lease:
    """The right itself, and writing that needs it.

    Every call is one step in redis, so two processes never both believe that they hold it and write.

    Args:
        client: a `redis.Redis`.
        key: where it is kept.
        seconds: how long it outlives the last `hold` of its holder.
    """

    def __init__(self, client: Any, key: str, seconds: float) -> None:
        self._key = key
        self._milliseconds = int(seconds * 1000)
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex}"
        self._hold = client.register_script(HOLD)
        self._write = client.register_script(WRITE)
        self._release = client.register_script(RELEASE)
        self.holder = ""
        self.was_free = False

    def hold(self) -> bool:
        """Take it where it is free, prolong it where it is ours; false where another process holds it.

        Afterwards `holder` names who holds it, as `host:pid`, and `was_free` says whether nobody did: then someone
        else may have held it since we last did.

        Raises:
            redis.RedisError: redis does not answer.
        """
        holder, was_free = self._hold(keys=[self._key], args=[self._owner, self._milliseconds])
        holder = holder.decode(errors="backslashreplace")
        self.holder, self.was_free = named(holder), bool(was_free)
        return bool(holder == self._owner)

    def write(self, key: str, values: Mapping[str, str | float]) -> bool:
        """Set fields of the hash `key`, if we hold it still; false where we do not.

        Raises:
            redis.RedisError: redis does not answer.
        """
        pairs = [item for pair in values.items() for item in pair]
        return bool(self._write(keys=[self._key, key], args=[self._owner, *pairs]))

    def release(self) -> None:
        """Let another process have it at once.

        Raises:
            redis.RedisError: redis does not answer.
        """
        self._release(keys=[self._key], args=[self._owner])
