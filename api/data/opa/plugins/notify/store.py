"""What is to be told to a target: collected for a while, and taken by one process that sends it.

In redis it is that of all processes of the project. Without redis each process has its own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import uuid4

from opa.plugins.notify.notice import Notice, notice_of, together

MOST_KINDS = 200
"""Kinds of failures that are kept for a target; of further ones only the number."""
LEASE = 60.0
"""Seconds that a process has for sending: longer than a target may take."""
PAUSES = (10.0, 30.0, 60.0, 300.0, 900.0)
"""Seconds before each further attempt at sending; after the last one it is given up."""
HOUR = 3600.0

_DUE, _MORE, _LEASE, _TRIES = " due", " more", " lease", " tries"

ADD = """
local time = redis.call('time')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
for i = 3, #ARGV, 2 do
    local stored = redis.call('hget', KEYS[1], ARGV[i])
    local new = cjson.decode(ARGV[i + 1])
    if stored then
        local is_json, old = pcall(cjson.decode, stored)
        if is_json and type(old) == 'table' then
            new['count'] = new['count'] + (tonumber(old['count']) or 0)
            new['first'] = math.min(new['first'], tonumber(old['first']) or new['first'])
        end
        redis.call('hset', KEYS[1], ARGV[i], cjson.encode(new))
    elseif redis.call('hlen', KEYS[1]) < tonumber(ARGV[2]) then
        redis.call('hset', KEYS[1], ARGV[i], ARGV[i + 1])
    else
        redis.call('hincrby', KEYS[1], ' more', new['count'])
    end
end
redis.call('hsetnx', KEYS[1], ' due', now + tonumber(ARGV[1]))
redis.call('expire', KEYS[1], 604800)  -- a week after which it forgets what nobody sends
"""
TAKE = """
local time = redis.call('time')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
if redis.call('exists', KEYS[2]) == 1 then
    local lease = tonumber(redis.call('hget', KEYS[2], ' lease')) or 0
    if lease > now then
        return {tostring(lease - now)}
    end
elseif redis.call('exists', KEYS[1]) == 1 then
    local due = tonumber(redis.call('hget', KEYS[1], ' due')) or 0
    if due > now then
        return {tostring(due - now)}
    end
    if (tonumber(redis.call('get', KEYS[3])) or 0) >= tonumber(ARGV[3]) then
        local left = redis.call('pttl', KEYS[3])
        if left < 0 then
            redis.call('del', KEYS[3])
            left = 0
        end
        return {tostring(left / 1000 + 0.1)}
    end
    if redis.call('incr', KEYS[3]) == 1 then
        redis.call('expire', KEYS[3], 3600)
    end
    redis.call('rename', KEYS[1], KEYS[2])
else
    return {}
end
redis.call('hset', KEYS[2], ' lease', now + tonumber(ARGV[2]), ' token', ARGV[1])
return redis.call('hgetall', KEYS[2])
"""
SENT = """
if redis.call('hget', KEYS[1], ' token') == ARGV[1] then
    redis.call('del', KEYS[1])
end
"""
FAILED = """
if redis.call('hget', KEYS[1], ' token') ~= ARGV[1] then
    return
end
local time = redis.call('time')
redis.call('hset', KEYS[1], ' lease', tonumber(time[1]) + tonumber(ARGV[2]), ' token', '')
redis.call('hincrby', KEYS[1], ' tries', 1)
"""


@dataclass
class Taken:
    """What this process sends now.

    Attributes:
        notices: one for each kind of failure.
        more: how many failures of further kinds there were.
        tries: how often sending it has failed.
        token: says that it is this process that has it.
    """

    notices: list[Notice]
    more: int = 0
    tries: int = 0
    token: str = field(default_factory=lambda: uuid4().hex)


class Store(Protocol):
    """What is collected for one target."""

    async def add(self, notices: Iterable[Notice]) -> None:
        """Collect more."""

    async def take(self) -> Taken | float | None:
        """What is to be sent now; or the seconds until there may be something, or None where nothing is collected."""

    async def sent(self, taken: Taken) -> None:
        """It has arrived."""

    async def failed(self, taken: Taken, pause: float) -> None:
        """It has not, and is to be sent again after so many seconds."""


class LocalStore:
    """That of one process.

    Args:
        window: seconds for which failures are collected.
        limit: messages in an hour.
    """

    def __init__(self, window: float, limit: int) -> None:
        self._window, self._limit = window, limit
        self._open: dict[str, Notice] = {}
        self._more = 0
        self._due = 0.0
        self._taken: Taken | None = None
        self._again_at = 0.0
        self._times: list[float] = []

    async def add(self, notices: Iterable[Notice]) -> None:
        """Collect more."""
        if not self._open:
            self._due = time.monotonic() + self._window
        for name, notice in together(notices).items():
            if (known := self._open.get(name)) is not None:
                self._open[name] = known.with_more(notice)
            elif len(self._open) < MOST_KINDS:
                self._open[name] = notice
            else:
                self._more += notice.count

    async def take(self) -> Taken | float | None:
        """What is to be sent now; or the seconds until there may be something, or None where nothing is collected."""
        now = time.monotonic()
        if self._taken is not None:
            return self._taken if self._again_at <= now else self._again_at - now
        if not self._open:
            return None
        self._times = [at for at in self._times if now - at < HOUR]
        due = max(self._due, self._times[0] + HOUR if len(self._times) >= self._limit else 0.0)
        if due > now:
            return due - now
        self._times.append(now)
        self._taken = Taken(list(self._open.values()), self._more)
        self._open, self._more, self._again_at = {}, 0, 0.0
        return self._taken

    async def sent(self, taken: Taken) -> None:
        """It has arrived."""
        self._taken = None

    async def failed(self, taken: Taken, pause: float) -> None:
        """It has not, and is to be sent again after so many seconds."""
        taken.tries += 1
        self._again_at = time.monotonic() + pause

    def hurry(self) -> None:
        """Send what there is now, since the process ends."""
        self._due = self._again_at = 0.0

    @property
    def waiting(self) -> int:
        """How many failures are collected and not told."""
        kept = [*self._open.values(), *(self._taken.notices if self._taken else [])]
        return sum(notice.count for notice in kept) + self._more


class RedisStore:
    """That of all processes of a project. Each method raises `redis.RedisError` where redis does not answer.

    Args:
        client: a `redis.asyncio.Redis`.
        key: what its keys begin with.
        window: seconds for which failures are collected.
        limit: messages in an hour.
    """

    def __init__(self, client: Any, key: str, window: float, limit: int) -> None:
        self._open, self._taken, self._hour = f"{key}:open", f"{key}:taken", f"{key}:hour"
        self._window, self._limit = window, limit
        self._add, self._take = client.register_script(ADD), client.register_script(TAKE)
        self._sent, self._failed = client.register_script(SENT), client.register_script(FAILED)

    async def add(self, notices: Iterable[Notice]) -> None:
        """Collect more."""
        pairs = [text for name, each in together(notices).items() for text in (name, json.dumps(each.as_dict()))]
        if pairs:
            await self._add(keys=[self._open], args=[self._window, MOST_KINDS, *pairs])

    async def take(self) -> Taken | float | None:
        """What is to be sent now; or the seconds until there may be something, or None where nothing is collected."""
        token = uuid4().hex
        found = await self._take(keys=[self._open, self._taken, self._hour], args=[token, LEASE, self._limit])
        if len(found) < 2:
            return float(found[0]) if found else None
        stored = {_text(name): _text(value) for name, value in zip(found[::2], found[1::2], strict=True)}
        taken = Taken([], _number(stored.get(_MORE)), _number(stored.get(_TRIES)), token)
        for name, value in stored.items():
            if not name.startswith(" "):
                try:
                    taken.notices.append(notice_of(json.loads(value)))
                except (ValueError, TypeError, KeyError, RecursionError):  # not by us
                    continue
        return taken

    async def sent(self, taken: Taken) -> None:
        """It has arrived."""
        await self._sent(keys=[self._taken], args=[taken.token])

    async def failed(self, taken: Taken, pause: float) -> None:
        """It has not, and is to be sent again after so many seconds."""
        taken.tries += 1
        await self._failed(keys=[self._taken], args=[taken.token, pause])


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _number(text: str | None) -> int:
    try:
        return int(text or 0)
    except ValueError:
        return 0
