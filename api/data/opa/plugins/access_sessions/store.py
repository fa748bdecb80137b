"""The sessions in redis: each under the hash of its id, until it is not used for a while.

How often the sessions of a user were ended is counted beside them, and what is drawn anew when all are. A session knows
both as of when it began, and is over once one of them is another: so all end at once, also one that begins meanwhile.
Where redis has lost them, all sessions are over: else those that had ended would not be any more.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from opa import ComponentUnavailableError, log
from opa.plugins.access_sessions.component import COMPONENT
from opa.plugins.access_sessions.cookie import new_session_id
from opa.plugins.access_sessions.people import Kept
from opa.redis_clients import outages_of, text_of

if TYPE_CHECKING:
    from opa import PluginManager

_ALL = "all"


@dataclass(frozen=True, slots=True)
class Session:
    """A person who has signed in.

    Attributes:
        key: of the person.
        version: of what let the person sign in, as it was then.
        created: when, in seconds since 1970.
        kept: what is known of a person who is not in the settings.
    """

    key: str
    version: str
    created: float
    kept: Kept | None = None


def store_of(manager: PluginManager) -> SessionStore:
    """The sessions of an application.

    Raises:
        ComponentUnavailableError: the component is not connected.
    """
    if COMPONENT not in manager.optional_components:
        state = manager.component_states.get(COMPONENT)
        raise ComponentUnavailableError(
            f"component '{COMPONENT}', which has the sessions, is {state or 'not configured'}", component=COMPONENT
        )
    config = manager.config
    client = manager.optional_components[COMPONENT].get_instance()
    return SessionStore(
        client, config.PROJECT_ID or config.PROJECT_NAME, idle=config.SESSION_IDLE_TIMEOUT, life=config.SESSION_LIFETIME
    )


class SessionStore:
    """The sessions of a project. Whatever it is asked, redis may not answer: then it raises ComponentUnavailableError.

    Args:
        client: a `redis.asyncio.Redis`.
        project: its name, since several may share one redis.
        idle: seconds after which a session ends that is not used.
        life: seconds after which it ends in any case.
    """

    def __init__(self, client: Any, project: str, *, idle: float, life: float) -> None:
        self._client = client
        self._idle, self._life = max(1, round(idle)), life
        self._prefix = f"opa:{project}:access:session:"
        self._ended = f"opa:{project}:access:sessions:ended"
        self._used = f"opa:{project}:access:sign-in:"

    async def begin(
        self, key: str, version: str, now: float, former: str | None = None, kept: Kept | None = None
    ) -> str:
        """A new session of a person: its id, which nobody has had before.

        Args:
            former: the id of one that the browser has had so far, which ends.
            kept: what is known of a person who is not in the settings.
        """
        session_id = new_session_id()
        with outages_of(COMPONENT, "sessions"):
            async with self._client.pipeline(transaction=False) as pipe:
                pipe.hsetnx(self._ended, _ALL, _drawn())
                pipe.hmget(self._ended, _of(key), _ALL)
                _, ended = await pipe.execute()
            record = {
                "USER": key,
                "VERSION": version,
                "CREATED": now,
                "ENDED": [each and text_of(each) for each in ended],
            }
            if kept is not None:
                record["KEPT"] = kept.record
            await self._client.set(self._key(session_id), json.dumps(record), ex=self._idle)
            if former is not None:
                await self._client.delete(self._key(former))
        return session_id

    async def see_that_it_takes_sessions(self) -> None:
        """Write what `begin` writes, for a session that nobody gets."""
        with outages_of(COMPONENT, "sessions"):
            await self._client.hsetnx(self._ended, _ALL, _drawn())
            await self._client.set(self._key(new_session_id()), "{}", px=1)

    async def find(self, session_id: str, now: float) -> Session | None:
        """The session with this id, which is used now; None where there is none, or where it is over."""
        key = self._key(session_id)
        with outages_of(COMPONENT, "sessions"):
            async with self._client.pipeline(transaction=False) as pipe:
                pipe.get(key)
                pipe.expire(key, self._idle)
                pipe.hgetall(self._ended)
                found, _, counts = await pipe.execute()
        if found is None:
            return None
        return self._session(found, {text_of(name): text_of(count) for name, count in counts.items()}, now)

    async def end(self, session_id: str) -> bool:
        """End one session, and tell whether it was there: of several who end it at once, it was for one."""
        with outages_of(COMPONENT, "sessions"):
            return bool(await self._client.delete(self._key(session_id)))

    async def end_all(self, key: str | None) -> None:
        """End all of the person with this key, or of everyone."""
        with outages_of(COMPONENT, "sessions"):
            if key is None:
                await self._client.hset(self._ended, _ALL, _drawn())
            else:
                await self._client.hincrby(self._ended, _of(key), 1)

    async def use_once(self, state: str, seconds: int) -> bool:
        """Whether an answer to an attempt to sign in is the first one with this state in so many seconds."""
        with outages_of(COMPONENT, "sessions"):
            return bool(await self._client.set(self._used + _hashed(state), 1, nx=True, ex=seconds))

    def _key(self, session_id: str) -> str:
        # A fast hash is right, as for API keys: the id is random. Who reads the store cannot use what is there.
        return self._prefix + _hashed(session_id)

    def _session(self, value: str | bytes, counts: Mapping[str, str], now: float) -> Session | None:
        """What stands in redis, where others may write too: what is no session counts as none."""
        try:
            given = json.loads(value)
            kept = Kept.from_record(given["KEPT"]) if "KEPT" in given else None
            session = Session(str(given["USER"]), str(given["VERSION"]), float(given["CREATED"]), kept)
            ended = [counts.get(_of(session.key)), counts.get(_ALL)]
            is_over = given["ENDED"] != ended or ended[1] is None or not now - session.created < self._life
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            log.warning("what redis has for a session is none, and is ignored: {!r}", error)
            return None
        return None if is_over else session


def _of(key: str) -> str:
    return f"user:{key}"


def _hashed(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _drawn() -> str:
    return secrets.token_hex(8)
