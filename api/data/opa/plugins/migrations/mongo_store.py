"""Records and lock in MongoDB."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo import MongoClient
from pymongo.errors import DuplicateKeyError

from opa.plugins.migrations.calls import asked

DATABASE = "opa"
"""Where the URL of the component names none."""
COLLECTION = "opa_migrations"
_LOCK = "lock"


class MongoStore:
    """Those in a database.

    Args:
        client: an asynchronous or a synchronous one.
    """

    def __init__(self, client: Any) -> None:
        self._is_async = not isinstance(client, MongoClient)
        self._collection = client.get_default_database(DATABASE)[COLLECTION]

    async def records(self) -> dict[str, Mapping[str, Any]]:
        """All of them."""
        found = self._collection.find({"_id": {"$ne": _LOCK}})
        documents = await asked(found.to_list, None, is_async=self._is_async)
        return {str(each["_id"]): each for each in documents}

    async def write(self, name: str, record: Mapping[str, Any] | None) -> None:
        """Keep one, or take it out."""
        if record is None:
            await asked(self._collection.delete_one, {"_id": name}, is_async=self._is_async)
        else:
            replace = self._collection.replace_one
            await asked(replace, {"_id": name}, {"_id": name, **record}, upsert=True, is_async=self._is_async)

    async def lock(self, owner: str, seconds: float) -> bool:
        """Take the lock, or renew it, by the clock of this process: others differ by less than it is renewed early."""
        now = datetime.now(UTC)
        free = {"_id": _LOCK, "$or": [{"owner": owner}, {"until": {"$lt": now}}]}
        taken = {"$set": {"owner": owner, "until": now + timedelta(seconds=seconds)}}
        try:
            await asked(self._collection.update_one, free, taken, upsert=True, is_async=self._is_async)
        except DuplicateKeyError:  # it is there, and another's
            return False
        return True

    async def unlock(self, owner: str) -> None:
        """Let it go."""
        await asked(self._collection.delete_one, {"_id": _LOCK, "owner": owner}, is_async=self._is_async)
