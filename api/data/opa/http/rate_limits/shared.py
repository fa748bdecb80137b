"""Counts in redis, which all processes share: one round trip, whatever the number of limits.

Requests that come while a round trip is under way go with the next one, all of them together: the more there are, the
less each costs. It is redis's clock that counts, so that those of machines need not agree.

The library `limits` would need two round trips for each limit, one to count and one for what the headers say, counts
by the clock of each client, and refuses neither all nor none of several limits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import Context
from typing import Any, Final

from opa.http.rate_limits.window import SLOTS, Demand, Outcome, State

BATCH_SIZE = 100
"""Requests in a round trip at most: nobody else is served by redis meanwhile."""
TIME_LIMIT = 1.0
"""Seconds for a round trip. Behind it stand requests that need not have to do with redis."""

# A list holds two numbers for each slot, the newest first: the slot, and how many requests there were up to its end, so
# that what is in the window is a difference. The last slot of the list has left the window, or is the beginning.
#
# ARGV has, for each request, the number of its limits, and for each of these how much it allows and the µs of a slot.
# The answer has, for each request, 1 where it passes, and for each limit what is left and the µs until there is more.
SCRIPT: Final = f"""
local SLOTS = {SLOTS}
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local answer = {{}}
local argument, key = 1, 0

local function window(name, slot)
    local newest, total = unpack(redis.call('LRANGE', name, 0, 1))
    if not newest then
        return nil, 0, 0, nil
    end
    newest, total = tonumber(newest), tonumber(total)
    if newest < slot - SLOTS or newest > slot + SLOTS then  -- all have left it, or the clock was wrong
        redis.call('DEL', name)
        return nil, 0, 0, nil
    end
    while true do
        local oldest, _, _, before = unpack(redis.call('LRANGE', name, -4, -1))
        if tonumber(oldest) >= slot - SLOTS then
            return newest, total, tonumber(before), tonumber(oldest)
        end
        redis.call('RPOP', name, 2)
    end
end

while ARGV[argument] do
    local limits, passes = {{}}, true
    for count = 1, tonumber(ARGV[argument]) do
        local name, amount, width = KEYS[key + count], tonumber(ARGV[argument + 1]), tonumber(ARGV[argument + 2])
        local slot = math.floor(now / width)
        local newest, total, before, oldest = window(name, slot)
        passes = passes and total - before < amount
        limits[count] = {{name, amount, width, slot, newest, total, before, oldest}}
        argument = argument + 2
    end
    argument, key = argument + 1, key + #limits
    answer[#answer + 1] = passes and 1 or 0
    for _, limit in ipairs(limits) do
        local name, amount, width, slot, newest, total, before, oldest = unpack(limit, 1, 8)
        if passes then
            total = total + 1
            if not newest then
                redis.call('RPUSH', name, string.format('%.0f', slot), total, 0, 0)
                oldest = slot
            elseif newest >= slot then
                redis.call('LSET', name, 1, string.format('%.0f', total))
            else
                redis.call('LPUSH', name, string.format('%.0f', total), string.format('%.0f', slot))
            end
            redis.call('PEXPIRE', name, string.format('%.0f', math.ceil((SLOTS + 1) * width / 1000)))
        end
        answer[#answer + 1] = math.max(0, amount - total + before)
        answer[#answer + 1] = oldest and math.max(0, (oldest + SLOTS + 1) * width - now) or 0
    end
end
return answer
"""


class SharedCounts:
    """Counts in the redis of a component.

    Args:
        client: a `redis.asyncio.Redis`, whose pool knows the component's breaker.
    """

    def __init__(self, client: Any) -> None:
        self.client = client
        self._script = client.register_script(SCRIPT)
        self._waiting: list[tuple[Sequence[Demand], asyncio.Future[Outcome]]] = []
        self._is_busy = False
        self._sender: asyncio.Task[None] | None = None  # the event loop alone would not keep it

    async def take(self, demands: Sequence[Demand]) -> Outcome:
        """Count a request, where all of its limits let it pass, or else by none.

        Raises:
            redis.RedisError: redis does not answer, or with an error.
            TimeoutError: it did not answer in time.
        """
        if self._is_busy:
            outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
            self._waiting.append((demands, outcome))
            return await outcome
        # Who is alone goes by itself, which is quicker, and may be cancelled without harm to others.
        self._is_busy = True
        try:
            return (await self._round_trip([demands]))[0]
        finally:
            if self._waiting:
                self._sender = asyncio.get_running_loop().create_task(self._send(), context=Context())
            else:
                self._is_busy = False

    async def _send(self) -> None:
        try:
            await self._send_waiting()
        finally:
            self._is_busy = False

    async def _send_waiting(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH_SIZE], self._waiting[BATCH_SIZE:]
            try:
                outcomes = await self._round_trip([demands for demands, _ in batch])
            except Exception as error:  # noqa: BLE001 - each who waits is told
                for _, waiting in batch:
                    if not waiting.done():
                        waiting.set_exception(error)
            except BaseException:  # the process stops
                for _, waiting in (*batch, *self._waiting):
                    waiting.cancel()
                self._waiting.clear()
                raise
            else:
                for (_, waiting), outcome in zip(batch, outcomes, strict=True):
                    if not waiting.done():
                        waiting.set_result(outcome)

    async def _round_trip(self, requests: Sequence[Sequence[Demand]]) -> list[Outcome]:
        keys = [demand.key for demands in requests for demand in demands]
        arguments: list[int] = []
        for demands in requests:
            arguments.append(len(demands))
            for demand in demands:
                arguments += (demand.rate.amount, demand.rate.seconds * 1_000_000 // SLOTS)
        async with asyncio.timeout(TIME_LIMIT):
            numbers = iter(await self._script(keys, arguments))
        return [
            Outcome(next(numbers) == 1, [State(next(numbers), next(numbers) / 1e6) for _ in demands])
            for demands in requests
        ]
