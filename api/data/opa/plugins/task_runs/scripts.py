"""What redis does in one step: it puts what processes tell of runs together, in whatever order that arrives.

A run is a text of JSON, with short names (`opa.plugins.task_runs.records` has the long ones): a hash would take twice
the memory. Indexes are sorted sets by the time at which the run was sent: of all runs, of each task, and of each state
but `succeeded`, which most have.
"""

from __future__ import annotations

_COMMON = """
local prefix = ARGV[1]
local all, blobs, total = prefix .. 'all', prefix .. 'blobs', prefix .. 'blob-bytes'

local function is_number(value, most)
    return type(value) == 'number' and value >= 0 and value <= most
end

-- Of a record or an event: cjson reads numbers that it does not write, and one of them would stop all others.
local function drop_odd_numbers(fields)
    for name, value in pairs(fields) do
        if type(value) == 'number' and not is_number(value, 2.5e11) then fields[name] = nil end
    end
end

-- Others may write here too: what is no record is treated as none, and does not keep others from being written.
local function read(id)
    local text = redis.pcall('get', prefix .. 'run:' .. id)
    if type(text) ~= 'string' then return nil end
    local is_json, run = pcall(cjson.decode, text)
    if not is_json or type(run) ~= 'table' or type(run.s) ~= 'string' then return nil end
    for _, name in ipairs({'t', 'k', 'x'}) do
        if run[name] ~= nil and type(run[name]) ~= 'string' then return nil end
    end
    for name, most in pairs({n = 1e9, a = 2.5e11, o = 2.5e11}) do
        if not is_number(run[name], most) then return nil end
    end
    if run.m ~= nil and not is_number(run.m, 2.5e11) then return nil end
    drop_odd_numbers(run)
    return run, text
end

local function forget_blob(member)
    local key = prefix .. member
    redis.call('decrby', total, redis.call('strlen', key))
    redis.call('del', key)
    redis.call('zrem', blobs, member)
end

local function forget(id)
    local run = read(id)
    redis.call('zrem', all, id)
    if not run then
        redis.call('del', prefix .. 'run:' .. id)
    else
        local of_task = prefix .. 'task:' .. (run.t or '')
        redis.call('zrem', of_task, id)
        if redis.call('exists', of_task) == 0 then redis.call('srem', prefix .. 'tasks', run.t or '') end
        redis.call('zrem', prefix .. 'state:' .. run.s, id)
        for try = math.max(1, (run.n or 1) - 9), run.n or 1 do
            if redis.call('exists', prefix .. 'log:' .. id .. ':' .. try) == 1 then
                forget_blob('log:' .. id .. ':' .. try)
            end
        end
        if redis.call('exists', prefix .. 'body:' .. id) == 1 then forget_blob('body:' .. id) end
        redis.call('del', prefix .. 'run:' .. id)
    end
end

local function trim(now, keep, age)
    local over = redis.call('zcard', all) - keep
    if over > 0 then
        for _, id in ipairs(redis.call('zrange', all, 0, math.min(over, 2000) - 1)) do forget(id) end
    end
    for _, id in ipairs(redis.call('zrangebyscore', all, '-inf', now - age, 'limit', 0, 2000)) do forget(id) end
end
"""

RECORD = (
    _COMMON
    + """
local now, keep, age, most_bytes = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local events, life = cjson.decode(ARGV[6]), math.ceil(age)
local rank = {waiting = 0, running = 1, retrying = 2, ['given back'] = 2, lost = 2, revoked = 3, failed = 3, dead = 4}

local function wins(event, run)
    if not run.s then return true end
    -- It is concluded from a worker that is gone: meanwhile the run may have ended, or be another worker's.
    if event.l then return run.s == 'running' and (run.k or '') == event.l end
    if event.v then return run.s == event.v and run.a == event.va end
    if run.s == 'succeeded' then return false end
    if event.s == 'succeeded' then return true end
    if event.s == 'waiting' and not event.z then return false end
    if event.n ~= run.n then return event.n > run.n end
    if run.s == 'lost' then return true end
    -- Of two workers with different clocks, the broker knows which had it later. What was dead begins to count anew.
    local now_delivered, delivered = event.f and event.f.d, run.d
    local are_known = type(now_delivered) == 'number' and type(delivered) == 'number'
    if run.s ~= 'dead' and are_known and now_delivered ~= delivered then
        return now_delivered > delivered
    end
    if event.a ~= run.a then return event.a > run.a end
    return rank[event.s] >= rank[run.s]
end

for _, event in ipairs(events) do
    local id, key = event.i, prefix .. 'run:' .. event.i
    local run = read(id) or {}
    if event.f then drop_odd_numbers(event.f) end
    if event.s and not is_number(event.a, 2.5e11) then event.a = now end
    if event.s and not is_number(event.n, 1e9) then event.n = 1 end
    local before, task_before = run.s, run.t
    if not event.s and not run.s then event.s, event.a, event.n = 'waiting', now, 1 end
    if event.s then
        local is_new = wins(event, run)
        if is_new then
            if event.s == 'running' or event.s == 'waiting' then
                run.te, run.r, run.e, run.y, run.m = nil, nil, nil, nil, nil
            end
            if event.z then run.d, run.z = nil, 1 end
            run.s, run.a = event.s, event.a
        end
        if not run.n or event.n > run.n then run.n = event.n end
        for name, value in pairs(event.f or {}) do
            if is_new or run[name] == nil then run[name] = value end
        end
    end
    if event.x then
        -- Cut by bytes, and not through a character.
        run.x = string.sub((run.x and run.x .. '; ' or '') .. event.x, -1000):gsub('^[\\128-\\191]+', '', 1)
    end
    if not run.o then
        run.o = run.ts or run.tb or run.te or run.a
        redis.call('zadd', all, run.o, id)
    end
    if run.t and run.t ~= task_before then
        redis.call('zadd', prefix .. 'task:' .. run.t, run.o, id)
        redis.call('sadd', prefix .. 'tasks', run.t)
        redis.call('expire', prefix .. 'task:' .. run.t, life)
    end
    if before ~= run.s then
        if before and before ~= 'succeeded' then redis.call('zrem', prefix .. 'state:' .. before, id) end
        if run.s ~= 'succeeded' then
            redis.call('zadd', prefix .. 'state:' .. run.s, run.o, id)
            redis.call('expire', prefix .. 'state:' .. run.s, life)
        end
    end
    redis.call('set', key, cjson.encode(run), 'ex', life)
end
for number = 7, #ARGV, 2 do
    local member, key = ARGV[number], prefix .. ARGV[number]
    redis.call('incrby', total, #ARGV[number + 1] - redis.call('strlen', key))
    redis.call('set', key, ARGV[number + 1], 'ex', life)
    redis.call('zadd', blobs, now, member)
end
local bytes = tonumber(redis.call('get', total) or '0')
while bytes > most_bytes do
    local oldest = redis.call('zrange', blobs, 0, 0)[1]
    if not oldest then
        redis.call('set', total, 0)
        break
    end
    forget_blob(oldest)
    bytes = tonumber(redis.call('get', total) or '0')
end
trim(now, keep, age)
for _, each in ipairs({all, blobs, total, prefix .. 'tasks'}) do redis.call('expire', each, life) end
return #events
"""
)
"""ARGV: prefix, time, number of runs and seconds to keep, bytes of blobs to keep, events as JSON, then names and values
of blobs in turns."""

SWEEP = (
    _COMMON
    + """
-- Its own time: those who ask may have different clocks.
local now, missing_time = tonumber(redis.call('time')[1]), tonumber(ARGV[5])
local alive, gone = {}, {}
for _, id in ipairs(redis.call('zrange', prefix .. 'state:running', 0, 999)) do
    local key = prefix .. 'run:' .. id
    local run, text = read(id)
    if not run or run.s ~= 'running' then
        redis.call('zrem', prefix .. 'state:running', id)
    else
        local worker = run.k or ''
        if alive[worker] == nil then alive[worker] = redis.call('exists', prefix .. 'worker:' .. worker) end
        if alive[worker] == 1 then
            if run.m then
                run.m = nil
                redis.call('set', key, cjson.encode(run), 'keepttl')
            end
        elseif not run.m then
            run.m = now
            redis.call('set', key, cjson.encode(run), 'keepttl')
        elseif now - run.m >= missing_time then
            gone[#gone + 1] = id
            gone[#gone + 1] = text
        end
    end
end
trim(tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]))
return gone
"""
)
"""ARGV: prefix, time, number of runs and seconds to keep, seconds for which a worker must be missing.

Gives ids and records of those that run in a worker that is gone.
"""

BEAT = """
local prefix, worker, life = ARGV[1], ARGV[2], tonumber(ARGV[4])
local now = tonumber(redis.call('time')[1])
redis.call('set', prefix .. 'worker:' .. worker, ARGV[3], 'ex', life)
local held = prefix .. 'held'
redis.call('zremrangebyscore', held, '-inf', now - life)
for number = 5, #ARGV do redis.call('zadd', held, now, ARGV[number]) end
redis.call('expire', held, life)
"""
"""ARGV: prefix, the worker, its host, seconds for which that counts, ids of the tasks that it has in hand."""

UNHEARD = (
    _COMMON
    + """
local now, least = tonumber(ARGV[2]), tonumber(ARGV[3])
local held_since, found = tonumber(redis.call('time')[1]) - tonumber(ARGV[4]), {}
for number = 5, #ARGV do
    local index = prefix .. 'state:' .. ARGV[number]
    for _, id in ipairs(redis.call('zrange', index, 0, 99)) do
        local run, text = read(id)
        if not run or run.s ~= ARGV[number] then
            redis.call('zrem', index, id)
        elseif now - math.max(run.a, tonumber(run.u) or 0) >= least then
            local held = tonumber(redis.call('zscore', prefix .. 'held', id) or '0')
            if held < held_since then
                found[#found + 1] = id
                found[#found + 1] = text
            end
        end
    end
end
return found
"""
)
"""ARGV: prefix, time, least seconds in a state, seconds for which a worker has a task in hand, states.

Gives ids and records of those that have been in one of these states for so long, and that no worker has in hand.
"""
