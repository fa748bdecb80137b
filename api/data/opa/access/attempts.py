"""Wrong credentials: who sends many of them has to wait, each time longer.

Limits are those of an address, and those of an address and a subject together, such as the id of a key or the name of a
user: never those of a subject alone, by which anybody could lock its owner out. Wrong credentials of one subject count
once for the address, so that a program with an old key stops itself, and not all others behind the same address.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol
from weakref import WeakValueDictionary

from opa.logging.logger import log

if TYPE_CHECKING:
    from opa.core.drivers import Driver
    from opa.settings.load import Config

COMPONENT: Final = "aioredis"
"""The component whose redis counts for all processes."""
WINDOW: Final = 60.0
"""Seconds within which wrong credentials count together."""
FIRST_WAIT: Final = 10.0
"""Seconds; each further wait is twice as long."""
TIME_LIMIT = 1.0
"""Seconds for redis to answer."""
MOST = 100_000
"""Addresses, and addresses with a subject, that a process remembers, and that are new to redis within a minute."""

# KEYS: how many are new, what counts for the subject (or ""), and for the address. ARGV: for each of the two how many
# are allowed (0: any number), and in ms the window, the first wait and the longest; how many may be new.
# What ends later than anything of now can is from before a clock went back, and begins anew.
# It returns for each of the two how long to wait already, from now on, and whether this one has counted.
SCRIPT: Final = """
local WINDOW, FIRST, LONGEST, MOST = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function take(name, allowed)
    if name == '' or allowed == 0 then
        return 0, 0, 0, true
    end
    local found = redis.call('GET', name)
    local count, level, ends, expires = 0, 0, 0, now + WINDOW
    if found then
        count, level, ends, expires = string.match(found, '(%d+) (%d+) (%d+) (%d+)')
        count, level, ends, expires = tonumber(count), tonumber(level), tonumber(ends), tonumber(expires)
        if ends > now + LONGEST or expires > math.max(now, ends) + math.max(WINDOW, LONGEST) then
            count, level, ends, expires = 0, 0, 0, now + WINDOW
        end
    else
        local new, left = redis.call('INCR', KEYS[1]), redis.call('PTTL', KEYS[1])
        if left < 0 or left > WINDOW then
            redis.call('PEXPIRE', KEYS[1], WINDOW)
        end
        if new > MOST then
            return 0, 0, 0, true
        end
    end
    if ends > now then
        return ends - now, ends - now, 0, false
    end
    count = count + 1
    if level > 0 or count >= allowed then
        local wait = math.min(FIRST * 2 ^ math.min(level, 30), LONGEST)
        level, ends = level + 1, now + wait
        expires = ends + math.max(WINDOW, wait)
    end
    local text = string.format('%.0f %.0f %.0f %.0f', count, level, ends, expires)
    redis.call('SET', name, text, 'PX', string.format('%.0f', math.max(1, expires - now)))
    return 0, math.max(0, ends - now), 1, not found
end

local before, after, counted, is_new = take(KEYS[2], tonumber(ARGV[1]))
if not is_new then
    return {before, after, counted, 0, 0, 0}
end
return {before, after, counted, take(KEYS[3], tonumber(ARGV[2]))}
"""

# A credential that counts as wrong was none. KEYS: what counts for the subject (or ""), and for the address. ARGV: for
# each of the two whether it has counted, and whether there is a time to wait because of it; whether it was right.
TAKE_BACK: Final = """
local function take_back(name, counted, waits)
    local found = name ~= '' and counted == '1' and redis.call('GET', name)
    if not found then
        return
    end
    local count, level, ends, expires = string.match(found, '(%d+) (%d+) (%d+) (%d+)')
    if waits == '1' then
        level, ends = math.max(0, level - 1), 0
    end
    local text = string.format('%.0f %.0f %.0f %.0f', math.max(0, count - 1), level, ends, expires)
    redis.call('SET', name, text, 'PX', math.max(1, redis.call('PTTL', name)))
end

if ARGV[5] == '1' and KEYS[1] ~= '' then
    redis.call('DEL', KEYS[1])
end
take_back(KEYS[1], ARGV[1], ARGV[2])
take_back(KEYS[2], ARGV[3], ARGV[4])
"""


class Taken(NamedTuple):
    """What counts for one name: how many seconds to wait already, and from now on, and whether this one has counted."""

    before: float
    after: float
    counted: bool


NOTHING = Taken(0.0, 0.0, counted=False)


class Attempt(NamedTuple):
    """A credential that counts as wrong.

    Attributes:
        wait: seconds that its sender had to wait already; 0 where it is one that may be answered.
    """

    wait: float
    subject: Taken
    address: Taken


class Manager(Protocol):
    """What is needed of the plugin manager."""

    @property
    def config(self) -> Config:
        """Its settings."""

    @property
    def optional_components(self) -> Mapping[str, Driver]:
        """The components that are connected."""

    @property
    def kept(self) -> dict[str, Any]:
        """Holds what belongs to the application."""


def attempts_of(manager: Manager) -> Attempts:
    """Those of an application, which begin with the first wrong credential."""
    found: Attempts | None = manager.kept.get(__name__)
    if found is None:
        found = manager.kept[__name__] = Attempts(manager)
    return found


def wait_of(manager: Manager, address: str) -> float:
    """Seconds that whoever has this address has to wait; it costs a look into a dict while nobody has to."""
    found: Attempts | None = manager.kept.get(__name__)
    return found.wait_of(address) if found is not None else 0.0


class _Track:
    """The wrong credentials of one name."""

    __slots__ = ("count", "ends", "expires", "level")

    def __init__(self, now: float) -> None:
        self.count = self.level = 0
        self.ends = 0.0
        self.expires = now + WINDOW


class LocalTracks:
    """Counts in this process, as the script does in redis. Those that have been here longest are forgotten first."""

    def __init__(self, most: int = MOST) -> None:
        self._tracks: OrderedDict[str, _Track] = OrderedDict()
        self._most = most

    def __len__(self) -> int:
        return len(self._tracks)

    def take(self, name: str, allowed: int, longest: float, now: float) -> tuple[Taken, bool]:
        """Count one; the second of what it returns says whether the name is new."""
        if not name or not allowed:
            return NOTHING, True
        track = self._tracks.get(name)
        is_new = track is None or track.expires <= now
        if track is None or is_new:
            track = self._tracks[name] = _Track(now)
            self._tracks.move_to_end(name)
            if len(self._tracks) > self._most:
                self._tracks.popitem(last=False)
        if track.ends > now:
            return Taken(track.ends - now, track.ends - now, counted=False), False
        track.count += 1
        if track.level or track.count >= allowed:
            wait = min(FIRST_WAIT * 2 ** min(track.level, 30), longest)
            track.level, track.ends = track.level + 1, now + wait
            track.expires = track.ends + max(WINDOW, wait)
        return Taken(0.0, max(0.0, track.ends - now), counted=True), is_new

    def forget(self, name: str) -> None:
        """Nothing counts for the name any more."""
        self._tracks.pop(name, None)

    def take_back(self, name: str, taken: Taken) -> None:
        """One that has counted does not any more."""
        track = self._tracks.get(name)
        if track is not None and taken.counted:
            track.count = max(0, track.count - 1)
            if taken.after:
                track.level, track.ends = max(0, track.level - 1), 0.0


class Attempts:
    """Counts the wrong credentials of one application: in redis where that is connected, otherwise in this process."""

    def __init__(self, manager: Manager) -> None:
        config = manager.config
        self._manager = manager
        project = config.PROJECT_ID or config.PROJECT_NAME
        self._prefix = f"opa:{project}:attempts:"
        self._new = f"opa:{project}:attempts.new"  # not behind the prefix: a proxy may hand on any text as an address
        self._of_subject: int = config.WRONG_ATTEMPTS_PER_KEY or 0
        self._of_address: int = config.WRONG_ATTEMPTS_PER_ADDRESS or 0
        self._longest: float = config.WRONG_ATTEMPTS_MAX_WAIT
        self._local = LocalTracks()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._waits: OrderedDict[str, float] = OrderedDict()
        self._has_redis: bool | None = None

    def wait_of(self, address: str, subject: str = "") -> float:
        """Seconds that the address, or it with this subject, has to wait, as far as this process knows."""
        if not self._waits:
            return 0.0
        now = time.monotonic()
        ends = max(self._waits.get(address, 0.0), self._waits.get(_together(address, subject), 0.0) if subject else 0.0)
        return max(0.0, ends - now)

    async def wrong(self, address: str, subject: str = "") -> Attempt:
        """A credential is wrong.

        Args:
            address: of whoever has sent it; empty where it is not known, and then nothing counts.
            subject: who it is for, as far as that is known.
        """
        if not address or not (self._of_subject or self._of_address):
            return Attempt(0.0, NOTHING, NOTHING)
        lock = self._locks.get(address)
        if lock is None:
            lock = self._locks[address] = asyncio.Lock()
        # Of many at once, those after the last that is answered need not ask redis.
        async with lock:
            if wait := self.wait_of(address, subject):
                return Attempt(wait, NOTHING, NOTHING)
            together = _together(address, subject) if subject else ""
            of_subject, of_address = await self._take(together, address)
            self._remember(together, of_subject.after)
            self._remember(address, of_address.after)
        return Attempt(max(of_subject.before, of_address.before), of_subject, of_address)

    async def take_back(self, address: str, subject: str, attempt: Attempt, *, is_right: bool) -> None:
        """What counted as wrong was not.

        Args:
            address: as for `wrong`, which has given the attempt.
            subject: the same.
            attempt: that does not count any more.
            is_right: whether it was right, so that no wrong one of the same subject counts any more either.
        """
        together = _together(address, subject) if subject else ""
        both = ((together, attempt.subject), (address, attempt.address))
        if is_right:
            self._local.forget(together)
        for name, taken in both:
            if taken.after:
                self._waits.pop(name, None)
            self._local.take_back(name, taken)
        component = self._manager.optional_components.get(COMPONENT)
        if component is None:
            return
        from redis.exceptions import RedisError

        keys = (f"{self._prefix}{together}" if together else "", f"{self._prefix}{address}")
        facts = [int(fact) for _, taken in both for fact in (taken.counted, taken.after > 0)]
        try:
            async with asyncio.timeout(TIME_LIMIT):
                await component.get_instance().eval(TAKE_BACK, 2, *keys, *facts, int(is_right))
        except (RedisError, OSError) as error:  # TimeoutError is one of the latter
            self._note(has_redis=False, reason=f"{type(error).__name__}: {error}")

    def _remember(self, name: str, wait: float) -> None:
        if wait > 0:
            self._waits[name] = time.monotonic() + wait
            self._waits.move_to_end(name)
            if len(self._waits) > MOST:
                self._waits.popitem(last=False)
        else:
            self._waits.pop(name, None)

    async def _take(self, together: str, address: str) -> tuple[Taken, Taken]:
        component = self._manager.optional_components.get(COMPONENT)
        if component is not None:
            from redis.exceptions import RedisError

            try:
                return await self._take_in_redis(component.get_instance(), together, address)
            except TimeoutError:  # of our own, of which the client has not heard
                component.breaker.suspect()
                self._note(has_redis=False, reason="no answer in time")
            except (RedisError, OSError) as error:
                self._note(has_redis=False, reason=f"{type(error).__name__}: {error}")
        now = time.monotonic()
        of_subject, is_new = self._local.take(together, self._of_subject, self._longest, now)
        if not is_new:
            return of_subject, NOTHING
        return of_subject, self._local.take(address, self._of_address, self._longest, now)[0]

    async def _take_in_redis(self, client: Any, together: str, address: str) -> tuple[Taken, Taken]:
        keys = [self._new, f"{self._prefix}{together}" if together else "", f"{self._prefix}{address}"]
        times = [round(seconds * 1000) for seconds in (WINDOW, FIRST_WAIT, self._longest)]
        async with asyncio.timeout(TIME_LIMIT):
            answer = await client.eval(SCRIPT, 3, *keys, self._of_subject, self._of_address, *times, MOST)
        self._note(has_redis=True)
        of_subject, of_address = (
            Taken(int(answer[at]) / 1000, int(answer[at + 1]) / 1000, counted=bool(answer[at + 2])) for at in (0, 3)
        )
        return of_subject, of_address

    def _note(self, *, has_redis: bool, reason: str = "") -> None:
        if not has_redis and self._has_redis is not False:
            log.warning(
                "wrong credentials: component '{}' does not count ({}); each process counts by itself until it does",
                COMPONENT,
                reason,
            )
        elif has_redis and self._has_redis is False:
            log.info("wrong credentials: component '{}' counts again", COMPONENT)
        self._has_redis = has_redis


def _together(address: str, subject: str) -> str:
    # Whoever sends it may have chosen the subject: any characters, in any number. It may also be a secret by mistake.
    return f"{address} {blake2b(subject.encode(errors='backslashreplace'), digest_size=12).hexdigest()}"
