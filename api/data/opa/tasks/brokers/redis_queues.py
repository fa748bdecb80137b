"""How a message gets into a queue in redis, and out of it: in one step each, so that no message is ever nowhere.

A worker takes a message by a script, which holds it among those in delivery in the same step: a worker that is killed
loses nothing. A script cannot wait. So each queue has a bell beside it, a list with at most one entry: who puts a
message into the queue rings, and idle workers wait for the bell. It says only that it is worth a look: one that is
missing, or that a worker took which was killed, costs the second after which a worker looks anyway.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kombu.utils.json import dumps, loads
from redis.exceptions import NoScriptError

from opa.tasks.headers import TICKET

BELL_SECONDS = 60
"""After so long a bell that nobody heard is gone: of a queue that is deleted, nothing stays."""

MOST_AHEAD = 100
"""Tasks whose turn has come, among which another one is put in its place."""
LONGEST_CALLED = 65_536
"""Bytes of the message of such a task: what is longer need not be read to know that it is none."""


class Script:
    """A script that runs in the server."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def command(self, keys: Sequence[str], args: Sequence[Any], *, in_full: bool = False) -> list[Any]:
        """What is sent to run it; in full where the server does not know it yet."""
        name, script = ("EVAL", self.text) if in_full else ("EVALSHA", self.digest)
        return [name, script, len(keys), *keys, *args]

    def run(self, client: Any, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run it by a client that changes no keys.

        Raises:
            redis.RedisError: the server does not answer, or cannot do it.
        """
        try:
            return client.execute_command(*self.command(keys, args))
        except NoScriptError:
            return client.execute_command(*self.command(keys, args, in_full=True))


PUT = Script(
    f"""
local function place_of(message)
    if #message > {LONGEST_CALLED} then return nil end
    local is_json, found = pcall(cjson.decode, message)
    local headers = is_json and type(found) == 'table' and found.headers
    if type(headers) ~= 'table' or type(headers.eta) == 'string' then return nil end
    return tonumber(headers.{TICKET})
end
if ARGV[1] == 'lpush' then
    local put = redis.pcall('lpush', KEYS[1], ARGV[2])
    if type(put) == 'table' then
        return {{err = put.err .. ' (key ' .. KEYS[1] .. ')'}}
    end
else
    local ahead, place = {{}}, place_of(ARGV[2])
    while place and #ahead < {MOST_AHEAD} do
        local message = redis.call('lindex', KEYS[1], -1 - #ahead)
        local its_place = message and place_of(message)
        if not its_place or its_place > place then break end
        ahead[#ahead + 1] = message
    end
    -- Each is written a second time before it is written over: at no moment is one missing.
    redis.call('rpush', KEYS[1], ahead[1] or ARGV[2])
    for number = 1, #ahead do
        redis.call('lset', KEYS[1], -1 - number, ahead[number + 1] or ARGV[2])
    end
end
if redis.call('exists', KEYS[2]) == 0 then
    redis.call('rpush', KEYS[2], 1)
    redis.call('expire', KEYS[2], {BELL_SECONDS})
end
"""
)
"""Put a message into a queue, and ring.

Keys are those of the queue and of its bell; arguments are `lpush`, or `rpush` for a limited task whose turn has come,
and the message. Such a task is taken before what else is in the queue, and after those whose turn came as well and that
have waited for longer: if the last one that comes were the first, another would stand behind all that follow it.
"""

TAKE = Script(
    f"""
local held = redis.pcall('hget', KEYS[2], ARGV[1])
if type(held) == 'table' then
    return {{err = held.err .. ' (key ' .. KEYS[2] .. ')'}}
elseif held then
    return {{0, held}}
end
local queues = #ARGV - 2
local taken
for number = queues + 3, #KEYS do
    local queue = (number - 3) % queues + 1
    if not taken then
        local message = redis.pcall('rpop', KEYS[number])
        if type(message) == 'table' then
            return {{err = message.err .. ' (key ' .. KEYS[number] .. ')'}}
        elseif message then
            local rest = ARGV[2 + queue]
            if rest ~= '' then
                local noted = redis.pcall('zadd', KEYS[1], ARGV[2], ARGV[1])
                if type(noted) ~= 'table' or not noted.err then
                    noted = redis.pcall('hset', KEYS[2], ARGV[1], '[' .. message .. rest)
                end
                if type(noted) == 'table' and noted.err then
                    redis.call('rpush', KEYS[number], message)
                    return noted
                end
            end
            taken = {{queue, message}}
        end
    end
    if taken then
        local bell = KEYS[2 + queue]
        if redis.call('exists', KEYS[number]) == 1 and redis.call('exists', bell) == 0 then
            redis.call('rpush', bell, 1)
            redis.call('expire', bell, {BELL_SECONDS})
        end
    end
end
if not taken then
    for queue = 1, queues do
        redis.call('del', KEYS[2 + queue])
    end
end
return taken
"""
)
"""Take the next message of some queues, and hold it among those in delivery as kombu does: `[message, exchange, key]`.

Keys are those of the times and of the messages in delivery, the bells, and the lists in the order in which they are
looked at: each queue with the first priority, each with the second, and so on. Arguments are a tag, the time, and for
each queue what follows the message where it is held, or nothing if it is not to be held.

The answer is the number of the queue and the message; 0 and what is held, where that tag holds one already, because
an answer was lost on its way; or nothing. What the server cannot note stays in its queue.

Once the message is out of its list the server needs no memory to note it, and redis allows that: a full memory stops a
script only before its first change. Where more waits, the next idle worker is woken.
"""

_HELD = re.compile(rb'\[(.*), "", ("(?:[^"\\]|\\.)*")\]', re.DOTALL)


@dataclass(frozen=True)
class Taken:
    """A message that is out of its queue.

    Attributes:
        tag: under which it is held.
        queue: its name.
        item: what stood there.
        is_held: whether it is among those in delivery.
    """

    tag: str
    queue: str
    item: bytes
    is_held: bool


def take_command(channel: Any, tag: str, queues: Sequence[str], unheld: set[str], *, in_full: bool) -> list[Any]:
    """What is sent to take a message of one of these queues of a channel."""
    prefix = channel.global_keyprefix
    keys = [channel.unacked_index_key, channel.unacked_key, *map(channel.bell_of, queues), *channel.keys_of(queues)]
    rests = ["" if queue in unheld else rest_of(queue) for queue in queues]
    return TAKE.command([f"{prefix}{key}" for key in keys], [tag, time.time(), *rests], in_full=in_full)


def rest_of(queue: str) -> str:
    """What follows a message of this queue where it is held: by the default exchange, it comes back to its queue."""
    return f', "", {dumps(queue)}]'


def taken_of(answer: Any, tag: str, queues: Sequence[str], unheld: set[str]) -> Taken | None:
    """What the server has answered; None if nothing was there."""
    if not answer:
        return None
    number, item = answer
    if number:
        queue = queues[number - 1]
        return Taken(tag, queue, item, is_held=queue not in unheld)
    item, name = split_held(item) or (item, "")
    return Taken(tag, name, item, is_held=True)


def split_held(held: bytes) -> tuple[bytes, str] | None:
    """What stood in a queue, and its name, out of what is held; None if that was held by another exchange."""
    found = _HELD.fullmatch(held)
    return (found[1], loads(found[2])) if found else None
