"""What redis does in one step: by its own clock, and all or nothing.

The keys, behind a prefix of the project:

    unique:NAME     the id of the task that holds a text, from when it is sent until it has ended
    GATE:slots      who runs, or is to run next, each with the time until which that holds; GATE is a `Gate.name`
    GATE:line       who waits, each with its ticket: when it first came
    PACE:starts     when the last runs started, the latest first; PACE is a `Pace.name`
    PACE:line       who waits
    PACE:due        when each of them is expected back
    gates           the gates before which tasks wait, each with its limit
    hold:RUN        who has this run in its hands, and what it holds; for as long as it is renewed
    wait:RUN        the message of a run that waits before a gate, to be sent when its turn comes
    done:RUN        a run that has waited, and has ended: another copy of its message may still be on its way
    awake           that redis has not just started
    swept           that a worker looks whose turn has come
    tries:RUN       how often this run was begun, and did not come to its end

A run is one try of a task: its id, and the number of its retries. Lua scripts cannot share code: each begins with this.
"""

from __future__ import annotations

LEASE = 15_000
"""Milliseconds for which a run holds its places without a sign of life."""
RESERVE = 30_000
"""Milliseconds for which a place is kept for the one that was called."""
START = 5
"""Seconds after redis has started in which nobody new is let through: it may have lost who runs."""
WAIT_LIFE = 7_200_000
"""Milliseconds that a place in a line is kept; a copy of the message comes again long before."""
DONE_LIFE = 7_200_000
LATE = 60_000
"""Milliseconds after which one that was expected back no longer has others behind it wait."""
OVERDUE = 1_000
"""Milliseconds after which one that was expected back is taken to be behind others in its queue."""
MOST = 100
"""That are called at once."""

COMMON = f"""
local P = KEYS[1]
local clock = redis.call('TIME')
local NOW = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local wakes = {{}}

local function text(number) return string.format('%.0f', number) end

-- Where the note is there, redis has lost nothing, and was gone for less than its life.
local function has_just_started()
    if redis.call('EXISTS', P .. 'awake') == 1 then return false end
    local info = redis.pcall('INFO', 'server')
    local uptime = type(info) == 'string' and string.match(info, 'uptime_in_seconds:(%d+)')
    if uptime and tonumber(uptime) < {START} then return true end
    redis.call('SET', P .. 'awake', 1, 'PX', {START * 1000})
    return false
end

local function take(gate, run, milliseconds)
    local slots = P .. gate .. ':slots'
    redis.call('ZADD', slots, text(NOW + milliseconds), run)
    redis.call('PEXPIRE', slots, {RESERVE * 4})
end

local function free(gate, limit)
    local slots = P .. gate .. ':slots'
    redis.call('ZREMRANGEBYSCORE', slots, '-inf', text(NOW))
    return limit - redis.call('ZCARD', slots)
end

-- Keep the free places of a gate for those that wait, and give their messages out; `run` itself needs none.
local function call_next(gate, limit, run)
    local number = math.min(free(gate, limit), {MOST})
    while number > 0 do
        local first = redis.call('ZPOPMIN', P .. gate .. ':line')
        if not first[1] then return end
        local message = redis.call('HGET', P .. 'wait:' .. first[1], 'message')
        if first[1] == run then
            take(gate, run, {RESERVE})
            number = number - 1
        elseif message then
            take(gate, first[1], {RESERVE})
            wakes[#wakes + 1] = first[2]
            wakes[#wakes + 1] = message
            number = number - 1
        end
    end
end

local function leave(gate, limit, run)
    redis.call('ZREM', P .. gate .. ':slots', run)
    redis.call('ZREM', P .. gate .. ':line', run)
    if not has_just_started() then call_next(gate, limit, '') end
end

local function renew_lock(lock, id, milliseconds)
    if lock ~= '' and redis.call('GET', P .. 'unique:' .. lock) == id then
        redis.call('PEXPIRE', P .. 'unique:' .. lock, milliseconds)
    end
end

local function hold_lock(lock, id, milliseconds)
    if lock ~= '' then redis.call('SET', P .. 'unique:' .. lock, id, 'NX', 'PX', milliseconds) end
    renew_lock(lock, id, milliseconds)
end
"""

# ARGV: lock, id, milliseconds. Gives the id of who holds it, which may be that one.
CLAIM = (
    COMMON
    + """
local key = P .. 'unique:' .. ARGV[1]
local holder = redis.call('GET', key)
if holder and holder ~= ARGV[2] then return holder end
redis.call('SET', key, ARGV[2], 'PX', ARGV[3])
return ARGV[2]
"""
)

# ARGV: lock, id, milliseconds. 0 gives it back.
KEEP = (
    COMMON
    + """
local key = P .. 'unique:' .. ARGV[1]
if redis.call('GET', key) ~= ARGV[2] then return 0 end
if ARGV[3] == '0' then return redis.call('DEL', key) end
return redis.call('PEXPIRE', key, ARGV[3])
"""
)

# ARGV: run, holder, ticket, message, lock, id, milliseconds of the lock while it runs, pace, amount, milliseconds, how
# often it may begin, whether it comes for the first time, and a gate and its limit by turns. Gives what to do, ticket,
# milliseconds, and of those that are called their tickets and messages by turns.
ENTER = (
    COMMON
    + f"""
local run, holder, ticket, message, lock, id, lock_life, pace = unpack(ARGV, 1, 8)
local amount, window = tonumber(ARGV[9]), tonumber(ARGV[10])
if ARGV[12] == '1' then redis.call('DEL', P .. 'done:' .. run, P .. 'tries:' .. run) end
if redis.call('EXISTS', P .. 'done:' .. run) == 1 then return {{'done', '', 0}} end
local other = redis.call('HGET', P .. 'hold:' .. run, 'holder')
if other == holder then return {{'run', ticket, 1}} end  -- the answer was lost
if other then return {{'held', ticket, redis.call('PTTL', P .. 'hold:' .. run)}} end
local tries = P .. 'tries:' .. run
if tonumber(redis.call('GET', tries) or 0) >= tonumber(ARGV[11]) then return {{'dead', ticket, 0}} end

local waiting = P .. 'wait:' .. run
if ticket == '' then
    ticket = redis.call('HGET', waiting, 'ticket') or text(tonumber(clock[1]) * 1000000 + tonumber(clock[2]))
end

local gates = {{}}
for at = 13, #ARGV, 2 do gates[#gates + 1] = {{ARGV[at], tonumber(ARGV[at + 1])}} end
local is_young = #gates > 0 and has_just_started()

local function give_back()
    for _, gate in ipairs(gates) do
        if redis.call('ZREM', P .. gate[1] .. ':slots', run) == 1 then call_next(gate[1], gate[2], '') end
    end
end

for _, gate in ipairs(gates) do
    local name, limit = gate[1], gate[2]
    local kept = redis.call('ZSCORE', P .. name .. ':slots', run)
    if not kept or tonumber(kept) <= NOW then
        local is_let_through = false
        if not is_young then
            call_next(name, limit, run)
            is_let_through = redis.call('ZSCORE', P .. name .. ':slots', run) or free(name, limit) > 0
        end
        if not is_let_through then
            give_back()
            redis.call('ZADD', P .. name .. ':line', ticket, run)
            redis.call('PEXPIRE', P .. name .. ':line', {WAIT_LIFE})
            redis.call('HSET', P .. 'gates', name, limit)
            redis.call('HSET', waiting, 'ticket', ticket, 'gate', name, 'limit', limit)
            if message ~= '' then redis.call('HSET', waiting, 'message', message) end
            redis.call('PEXPIRE', waiting, {WAIT_LIFE})
            hold_lock(lock, id, ARGV[7])
            return {{'wait', ticket, is_young and {START * 1000} or 0, unpack(wakes)}}
        end
    end
end

if pace ~= '' then
    local line, due, starts = P .. pace .. ':line', P .. pace .. ':due', P .. pace .. ':starts'
    for _, late in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', text(NOW - {LATE}), 'LIMIT', 0, {MOST})) do
        redis.call('ZREM', due, late)
        redis.call('ZREM', line, late)
    end
    local ahead = redis.call('ZCOUNT', line, '-inf', '(' .. ticket)
    -- In a long queue those ahead come back long after their turn. If all others waited for them, few would start in
    -- each round of the queue.
    if ahead > 0 and redis.call('ZCOUNT', due, '-inf', text(NOW - {OVERDUE})) > 0 then
        local first = redis.call('LINDEX', starts, amount - 1)
        if not first or tonumber(first) + window <= NOW then ahead = 0 end
    end
    -- Where `amount` have started in the window, the next one may as soon as the first of them has left it, and so on.
    local before = redis.call('LINDEX', starts, amount - 1 - ahead % amount)
    local turn = (before and tonumber(before) or NOW - window) + window * (1 + math.floor(ahead / amount))
    if turn > NOW then
        give_back()
        local life = text(turn - NOW + {WAIT_LIFE})
        redis.call('ZADD', line, ticket, run)
        redis.call('ZADD', due, text(turn), run)
        redis.call('PEXPIRE', line, life)
        redis.call('PEXPIRE', due, life)
        redis.call('DEL', waiting)
        hold_lock(lock, id, text(ARGV[7] + turn - NOW))
        return {{'later', ticket, turn - NOW, unpack(wakes)}}
    end
    redis.call('ZREM', line, run)
    redis.call('ZREM', due, run)
    redis.call('LPUSH', starts, text(NOW))
    redis.call('LTRIM', starts, 0, amount - 1)
    redis.call('PEXPIRE', starts, window)
end

for _, gate in ipairs(gates) do
    take(gate[1], run, {LEASE})
    redis.call('ZREM', P .. gate[1] .. ':line', run)
end
local has_waited = redis.call('DEL', waiting)
local lock_life = ARGV[7]
-- If it comes to no end once more, it is given up, and nobody tells.
if redis.call('INCR', tries) >= tonumber(ARGV[11]) then lock_life = '{LEASE}' end
redis.call('PEXPIRE', tries, {DONE_LIFE})
hold_lock(lock, id, lock_life)
local packed = cjson.encode({{gates, lock, id, lock_life}})
redis.call('HSET', P .. 'hold:' .. run, 'holder', holder, 'what', packed)
redis.call('PEXPIRE', P .. 'hold:' .. run, {LEASE})
return {{'run', ticket, has_waited, unpack(wakes)}}
"""
)

# ARGV: run, how the holder begins, whether copies of its message may come (empty where it came to no end), whether the
# task has ended, lock, id. Gives those that are called.
LEAVE = (
    COMMON
    + f"""
local run, holder, is_done, has_ended, lock, id = unpack(ARGV, 1, 6)
local hold, waiting = P .. 'hold:' .. run, P .. 'wait:' .. run
local held = redis.call('HMGET', hold, 'holder', 'what')
if is_done == '1' then redis.call('SET', P .. 'done:' .. run, 1, 'PX', {DONE_LIFE}) end
if is_done ~= '' then redis.call('DEL', P .. 'tries:' .. run) end
if is_done == '0' then redis.call('DEL', P .. 'done:' .. run) end
if held[1] and string.sub(held[1], 1, #holder) == holder then
    local what = cjson.decode(held[2])
    redis.call('DEL', hold)
    for _, gate in ipairs(what[1]) do leave(gate[1], gate[2], run) end
    if lock == '' then lock = what[2] end
elseif has_ended == '1' and not held[1] then
    local waits = redis.call('HMGET', waiting, 'gate', 'limit')
    redis.call('DEL', waiting)
    if waits[1] then leave(waits[1], tonumber(waits[2]), run) end
end
if has_ended == '1' and lock ~= '' and redis.call('GET', P .. 'unique:' .. lock) == id then
    redis.call('DEL', P .. 'unique:' .. lock)
end
return wakes
"""
)

# ARGV: how the holder begins, and of each run: itself, its holder and what it holds, both empty where not known. Gives
# holder and what it holds of each.
RENEW = (
    COMMON
    + f"""
local found, is_young = {{}}, has_just_started()
for at = 2, #ARGV, 3 do
    local run, hold = ARGV[at], P .. 'hold:' .. ARGV[at]
    local held = redis.call('HMGET', hold, 'holder', 'what')
    if not held[1] and is_young and ARGV[at + 1] ~= '' then
        held = {{ARGV[at + 1], ARGV[at + 2]}}
        redis.call('HSET', hold, 'holder', held[1], 'what', held[2])
    end
    if held[1] and string.sub(held[1], 1, #ARGV[1]) == ARGV[1] then
        local what = cjson.decode(held[2])
        for _, gate in ipairs(what[1]) do take(gate[1], run, {LEASE}) end
        redis.call('PEXPIRE', hold, {LEASE})
        if is_young then hold_lock(what[2], what[3], what[4]) else renew_lock(what[2], what[3], what[4]) end
        found[#found + 1], found[#found + 2] = held[1], held[2]
    else
        found[#found + 1], found[#found + 2] = '', ''
    end
end
return found
"""
)

# ARGV: a cursor, milliseconds in which no other looks. Gives the next cursor, and those that are called.
SWEEP = (
    COMMON
    + f"""
if redis.call('EXISTS', P .. 'gates') == 0 or has_just_started() then return {{'0'}} end
if ARGV[1] == '0' and not redis.call('SET', P .. 'swept', 1, 'NX', 'PX', ARGV[2]) then return {{'0'}} end
local found = redis.call('HSCAN', P .. 'gates', ARGV[1], 'COUNT', {MOST})
for at = 1, #found[2], 2 do
    local gate, limit = found[2][at], tonumber(found[2][at + 1])
    call_next(gate, limit, '')
    if redis.call('EXISTS', P .. gate .. ':line') == 0 then redis.call('HDEL', P .. 'gates', gate) end
end
return {{found[1], unpack(wakes)}}
"""
)
