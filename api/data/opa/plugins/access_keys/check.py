"""Who sends a request, by the API key in it: found in its headers, looked up, and compared."""

from __future__ import annotations

import asyncio
import math
from time import monotonic, time
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from opa import Actor, ComponentUnavailableError, RefusedCredentialError, log
from opa.plugins.access_keys.component import COMPONENT
from opa.plugins.access_keys.records import NOBODY, hash_of, records_in
from opa.plugins.access_keys.tokens import LENGTH, PREFIX, id_in

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opa import PluginManager
    from opa.plugins.access_keys.store import KeyStore

FRESH_SECONDS = 1.0
"""Seconds for which a key that was found right is not looked up again; a revoked one is refused after that."""
MOST_FRESH = 1000
NOTED_EVERY = 60.0
"""Seconds between two notes of when a key was last used."""


def token_in(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The API key that a request has, in the header Authorization or X-API-Key; None where it has none.

    Raises:
        RefusedCredentialError: it has several, or one in a header that it has twice: which of them counts, another
            program in front may see in another way.
    """
    found: list[tuple[bytes, str]] = []
    names: list[bytes] = []
    for name, value in headers:
        if name == b"authorization":
            scheme, _, given = value.partition(b" ")
            given = given if scheme.lower() == b"bearer" else b""
        elif name == b"x-api-key":
            given = value
        else:
            continue
        names.append(name)
        text = given.strip().decode("latin-1")
        if text.startswith(PREFIX):
            found.append((name, text))
    if not found:
        return None
    name, text = found[0]
    if len(found) > 1 or names.count(name) > 1:
        raise RefusedCredentialError("a request has an API key, and another one or a second header of the same name")
    return text


class KeyCheck:
    """Knows the actor of each key.

    A key that was right is remembered by its hash, for `FRESH_SECONDS`: under load that spares nearly all questions to
    redis. What is wrong is never remembered, and so always takes the same way.
    """

    def __init__(self, manager: PluginManager) -> None:
        self._in_settings = {record.id: record for record in records_in(manager.config.ACCESS_KEYS)}
        self._manager = manager
        self._fresh: dict[str, tuple[float, float, Actor]] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._noted: dict[str, float] = {}
        self._notes: set[asyncio.Task[None]] = set()

    async def actor(self, token: str) -> Actor:
        """The owner of a key.

        Raises:
            RefusedCredentialError: it is none, is not known, or has ended.
            ComponentUnavailableError: redis does not answer, and the settings do not have it.
        """
        given = hash_of(token) if len(token) == LENGTH else ""
        actor = self._remembered(given)
        if actor is not None:
            return actor
        key_id = id_in(token)
        if key_id is None:
            raise RefusedCredentialError("an API key is malformed")
        lock = self._locks.get(given)
        if lock is None:
            lock = self._locks[given] = asyncio.Lock()
        # Of many requests with one key at once, the first asks redis for all.
        async with lock:
            return self._remembered(given) or await self._look_up(key_id, given)

    def _remembered(self, given: str) -> Actor | None:
        fresh = self._fresh.get(given)
        return fresh[2] if fresh is not None and monotonic() < fresh[0] and time() < fresh[1] else None

    async def _look_up(self, key_id: str, given: str) -> Actor:
        now = time()
        record = self._in_settings.get(key_id, NOBODY)
        end, store = record.end_of(given), None
        if end is None:
            # Also where the settings have another key of this id: a wrong one takes as long as one that is unknown.
            store = self._store()
            record = NOBODY if store is None else await store.find(key_id)
            end = record.end_of(given)
        if end is None:
            # Without the id of one that is not known: a client may send another with each request. The text is the same
            # for both, since it is looked through for secrets, which for a longer one takes longer.
            whose = "none has its id" if record is NOBODY else f"'{record.name}', {key_id}"
            raise RefusedCredentialError("an API key is not known, or its secret is wrong", where=whose, subject=key_id)
        if now >= end:
            raise RefusedCredentialError(
                f"the API key '{record.name}' ({key_id}) has expired, or was rotated", is_guess=False
            )
        actor = Actor(f"key:{record.name}", "key", frozenset(record.scopes), {"key_id": key_id})
        self._remember(given, end, actor)
        if store is not None:
            self._note_use(store, key_id, now)
        return actor

    def _store(self) -> KeyStore | None:
        if COMPONENT not in self._manager.optional_components:
            return None
        from opa.plugins.access_keys.store import store_of  # with the client of redis

        return store_of(self._manager)

    def _remember(self, given: str, end: float, actor: Actor) -> None:
        self._fresh.pop(given, None)
        if len(self._fresh) >= MOST_FRESH:
            del self._fresh[next(iter(self._fresh))]  # the oldest
        self._fresh[given] = monotonic() + FRESH_SECONDS, end, actor

    def _note_use(self, store: KeyStore, key_id: str, now: float) -> None:
        """Have the last use written, beside the request."""
        ticks = monotonic()
        if ticks - self._noted.get(key_id, -math.inf) >= NOTED_EVERY:
            self._noted[key_id] = ticks
            task = asyncio.create_task(_write_use(store, key_id, now), name=f"last-use-{key_id}")
            self._notes.add(task)
            task.add_done_callback(self._notes.discard)


async def _write_use(store: KeyStore, key_id: str, now: float) -> None:
    try:
        await store.note_use(key_id, now, NOTED_EVERY)
    except ComponentUnavailableError as error:
        log.warning("when the API key {} was last used is not written: {}", key_id, error.problem)
