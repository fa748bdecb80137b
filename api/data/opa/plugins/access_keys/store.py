"""The keys in redis: one hash for all of a project, and one for when each was last used."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from opa import log
from opa.plugins.access_keys.component import COMPONENT
from opa.plugins.access_keys.records import NOBODY, KeyRecord
from opa.redis_clients import outages_of, text_of

if TYPE_CHECKING:
    from opa import PluginManager

_NO_ENTRY = json.dumps({"NAME": "", **NOBODY.as_mapping()})
"""Read where there is none, so that an id that is not known takes no less time than one that is."""

Change = Callable[[Mapping[str, KeyRecord]], KeyRecord]


def store_of(manager: PluginManager) -> KeyStore:
    """The keys of an application, whose component is connected."""
    client = manager.optional_components[COMPONENT].get_instance()
    return KeyStore(client, manager.config.PROJECT_ID or manager.config.PROJECT_NAME)


class KeyStore:
    """The keys of a project. Whatever it is asked, redis may not answer: then it raises ComponentUnavailableError.

    Args:
        client: a `redis.asyncio.Redis`.
        project: its name, since several may share one redis.
    """

    def __init__(self, client: Any, project: str) -> None:
        self._client = client
        self._keys, self._used = f"opa:{project}:access:keys", f"opa:{project}:access:keys:used"

    async def find(self, key_id: str) -> KeyRecord:
        """The key with this id; `NOBODY` where there is none."""
        with outages_of(COMPONENT, "API keys"):
            found = await self._client.hget(self._keys, key_id)
        return _record(key_id, found or _NO_ENTRY)

    async def all(self) -> list[tuple[KeyRecord, datetime | None]]:
        """Every key, by name, with the time of its last use."""
        with outages_of(COMPONENT, "API keys"):
            found, uses = await self._client.hgetall(self._keys), await self._client.hgetall(self._used)
        records = _records(found)
        used = {text_of(key): text_of(value) for key, value in uses.items()}
        return [(records[name], _last_use(used.get(records[name].id))) for name in sorted(records)]

    async def put(self, change: Change) -> KeyRecord:
        """Put in the place of a key, or beside the others, the one that `change` makes of all that there are.

        Args:
            change: is called again where another process has changed them meanwhile. What it raises is passed on.
        """

        async def write(pipe: Any) -> KeyRecord:
            changed = change(_records(await pipe.hgetall(self._keys)))
            pipe.multi()
            pipe.hset(self._keys, changed.id, json.dumps({"NAME": changed.name, **changed.as_mapping()}))
            return changed

        with outages_of(COMPONENT, "API keys"):
            put: KeyRecord = await self._client.transaction(write, self._keys, value_from_callable=True)
        return put

    async def remove(self, name: str) -> int:
        """Take out the keys of this name, and give how many there were."""
        with outages_of(COMPONENT, "API keys"):
            entries = (await self._client.hgetall(self._keys)).items()
            found = [key_id for key_id, value in entries if _name(value) == name]
            if found:
                # In this order, see `note_use`.
                await self._client.hdel(self._keys, *found)
                await self._client.hdel(self._used, *found)
        return len(found)

    async def note_use(self, key_id: str, now: float, interval: float) -> None:
        """Write that a key is used, unless that was written within `interval` seconds."""
        with outages_of(COMPONENT, "API keys"):
            before = _last_use(text_of(await self._client.hget(self._used, key_id) or ""))
            if before is not None and 0 <= now - before.timestamp() < interval:
                return
            await self._client.hset(self._used, key_id, str(int(now)))
            # It may have been revoked meanwhile, and is not to stay here for ever.
            if not await self._client.hexists(self._keys, key_id):
                await self._client.hdel(self._used, key_id)


def _records(found: Mapping[Any, Any]) -> dict[str, KeyRecord]:
    records = (_record(text_of(key_id), value) for key_id, value in found.items())
    return {record.name: record for record in records if record is not NOBODY}


def _record(key_id: str, value: str | bytes) -> KeyRecord:
    """What stands in redis, where others may write too: what is no key counts as none."""
    try:
        given = json.loads(value)
        record = KeyRecord.from_mapping(str(given["NAME"]), given)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        log.warning("what redis has for the API key '{}' is none, and is ignored: {!r}", key_id, error)
        return NOBODY
    return record if record.id == key_id else NOBODY


def _name(value: str | bytes) -> str:
    try:
        return str(json.loads(value)["NAME"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""


def _last_use(text: str | None) -> datetime | None:
    return datetime.fromtimestamp(int(text), UTC) if text and text.isdecimal() and len(text) < 12 else None
