"""Records and lock in redis."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from redis import Redis

from opa.plugins.migrations.calls import asked
from opa.redis_clients import text_of

_LOCK = """
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_UNLOCK = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end return 1"


class RedisStore:
    """Those of a project.

    Args:
        client: a `redis.asyncio.Redis` or a `redis.Redis`.
        project: its name.
    """

    def __init__(self, client: Any, project: str) -> None:
        self._client = client
        self._is_async = not isinstance(client, Redis)
        self._records, self._lock = f"opa:{project}:migrations", f"opa:{project}:migrations:lock"

    async def records(self) -> dict[str, Mapping[str, Any]]:
        """All of them."""
        found = await asked(self._client.hgetall, self._records, is_async=self._is_async)
        return {text_of(name): _read(value) for name, value in found.items()}

    async def write(self, name: str, record: Mapping[str, Any] | None) -> None:
        """Keep one, or take it out."""
        if record is None:
            await asked(self._client.hdel, self._records, name, is_async=self._is_async)
        else:
            await asked(self._client.hset, self._records, name, json.dumps(record), is_async=self._is_async)

    async def lock(self, owner: str, seconds: float) -> bool:
        """Take the lock, or renew it."""
        given = (_LOCK, 1, self._lock, owner, int(1000 * seconds))
        return bool(await asked(self._client.eval, *given, is_async=self._is_async))

    async def unlock(self, owner: str) -> None:
        """Let it go."""
        await asked(self._client.eval, _UNLOCK, 1, self._lock, owner, is_async=self._is_async)


def _read(value: str | bytes) -> Mapping[str, Any]:
    """What stands in redis, where others may write too."""
    try:
        found = json.loads(value)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
