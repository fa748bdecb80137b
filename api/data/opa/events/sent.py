"""Which handlers an event was sent to: noted in redis, for the worker that gets the event once more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from opa.core.manager import PluginManager
from opa.events.event import has_key
from opa.logging.logger import log
from opa.redis_clients import text_of

COMPONENT = "aioredis"
KEPT_FOR, WITH_KEY_KEPT_FOR = 86_400, 4 * 86_400
"""Seconds; the second for an event with a key: senders of webhooks repeat them for up to three days."""
LEASE = 10
"""Seconds for which a worker has an event to itself, from each handler on; one that is killed leaves it to the next."""
PAUSE = 0.1

_RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end"


class SentHandlers:
    """Those of one event. Without redis, and while it does not answer, nothing is known of them.

    Args:
        manager: of the application.
        event_id: that of the event.
    """

    def __init__(self, manager: PluginManager, event_id: str) -> None:
        config = manager.config
        self._key = f"opa:{config.PROJECT_ID or config.PROJECT_NAME}:events:{event_id}"
        self._lock, self._token = f"{self._key}:lock", uuid4().hex
        self._kept_for = WITH_KEY_KEPT_FOR if has_key(event_id) else KEPT_FOR
        self._component = manager.optional_components.get(COMPONENT)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[set[str]]:
        """Gives their names; in the block no other worker sends any for the event."""

        def ask(redis: Any) -> Any:
            pipeline = redis.pipeline(transaction=False)
            pipeline.set(self._lock, self._token, nx=True, ex=LEASE)
            pipeline.smembers(self._key)
            return pipeline.execute()

        # Nothing in this process knows when another one is through.
        while (found := await self._asked(ask)) is not None and not found[0]:  # noqa: ASYNC110 - as above
            await asyncio.sleep(PAUSE)
        try:
            yield {text_of(name) for name in found[1]} if found is not None else set()
        finally:
            if found is not None:
                await self._asked(lambda redis: redis.eval(_RELEASE, 1, self._lock, self._token))

    async def add(self, handler: str) -> None:
        """Note that one was sent."""

        def note(redis: Any) -> Any:
            pipeline = redis.pipeline(transaction=False)
            pipeline.sadd(self._key, handler)
            pipeline.expire(self._key, self._kept_for)
            pipeline.expire(self._lock, LEASE)
            return pipeline.execute()

        await self._asked(note)

    async def _asked(self, ask: Callable[[Any], Awaitable[Any]]) -> Any:
        if self._component is None:
            return None
        try:
            return await ask(self._component.get_instance())
        except Exception as error:  # noqa: BLE001 - whatever it is, the event goes on
            log.warning(f"redis does not note which handlers an event was sent to ({type(error).__name__}): {error}")
            return None
