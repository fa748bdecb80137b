"""What redis does in one step: it puts what processes tell of runs together, in whatever order that arrives.

A run is a text of JSON, with short names (`opa.plugins.task_runs.records` has the long ones): a hash would take twice
the memory. Indexes are sorted sets by the time at which the run was sent: of all runs, of each task, and of each state
but `succeeded`, which most have.

What all records take is one number, and what all logs take another one: `counted` has both, and each script that
writes brings them up to date. Once a day, and where they are not there, they are counted anew: keys may have gone in
other ways.
"""

from __future__ import annotations

_READ = """
local prefix = ARGV[1]
local all, blobs, counted, cut_up_to = prefix .. 'all', prefix .. 'blobs', prefix .. 'counted', prefix .. 'cut'

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
    if not is_json or type(run) ~= 'table' or type(run.s) ~= 'string' then return nil, text end
    for _, name in ipairs({'t', 'k', 'x'}) do
        if run[name] ~= nil and type(run[name]) ~= 'string' then return nil, text end
    end
    for name, most in pairs({n = 1e9, a = 2.5e11, o = 2.5e11}) do
        if not is_number(run[name], most) then return nil, text end
    end
    if run.m ~= nil and not is_number(run.m, 2.5e11) then return nil, text end
    drop_odd_numbers(run)
    return run, text
end
"""

_COMMON = (
    _READ
    + """
local keep, age = tonumber(ARGV[2]), tonumber(ARGV[3])
local most_of_blobs, most_of_runs = tonumber(ARGV[4]), tonumber(ARGV[5])
-- Its own time: the clocks of those who write may be wrong, and one of them is not to make all others too old.
local time = redis.call('time')
local now = tonumber(time[1]) + math.floor(tonumber(time[2]) / 100) / 10000
-- What the indexes have is not to be gone before it is trimmed, which would leave it there and in the count.
local life = math.ceil(age) + 3600

-- About what redis 8 takes for a value with its key and its places in the indexes, and for one in that of a state.
local function cost_of_run(id, length)
    return length + math.floor(length / 8) + 4 * #id + #prefix + 335
end
local function cost_of_blob(member, length)
    return length + math.floor(length / 4) + 3 * #member + #prefix + 135
end
local cost_of_state = 130
-- Of a name that others have, too: anybody who writes into the broker can make up one for each run.
local function cost_of_task(name)
    return 2 * (#name + math.floor(#name / 4)) + #prefix + 60
end
local states = {'waiting', 'running', 'retrying', 'given back', 'failed', 'dead', 'revoked', 'lost'}

-- 0 for what is not there, and for what others have put there.
local function length_of(key)
    local length = redis.pcall('strlen', key)
    return type(length) == 'number' and length or 0
end

-- What the members of an index take: of 5,000 of them, where there are more, since redis does nothing else meanwhile.
local function count(index, key_prefix, cost)
    local number = redis.call('zcard', index)
    local step, sum, looked_at = math.max(100, math.floor(number / 50)), 0, 0
    for first = 0, number - 1, step do
        for _, member in ipairs(redis.call('zrange', index, first, first + 99)) do
            local length = length_of(key_prefix .. member)
            if length > 0 then sum = sum + cost(member, length) end
            looked_at = looked_at + 1
        end
    end
    return math.floor(sum * number / math.max(1, looked_at))
end

local found = redis.pcall('get', counted)
local of_runs, of_blobs = string.match(type(found) == 'string' and found or '', '^(%d+) (%d+)$')
of_runs, of_blobs = tonumber(of_runs), tonumber(of_blobs)
if not of_runs then
    of_runs, of_blobs = count(all, prefix .. 'run:', cost_of_run), count(blobs, prefix, cost_of_blob)
    for _, state in ipairs(states) do
        of_runs = of_runs + cost_of_state * redis.call('zcard', prefix .. 'state:' .. state)
    end
    local names, of_names = redis.call('srandmember', prefix .. 'tasks', 5000), 0
    for _, name in ipairs(names) do of_names = of_names + cost_of_task(name) end
    of_runs = of_runs + math.floor(of_names * redis.call('scard', prefix .. 'tasks') / math.max(1, #names))
    -- It is not to outlive the index: what comes then would make room for what is gone.
    local left = redis.call('ttl', all)
    redis.call('set', counted, '0 0', 'ex', math.max(1, math.min(left < 0 and life or left, 86400)))
end
local of_runs_before = of_runs

local function keep_count()
    redis.call('set', counted, string.format('%.0f %.0f', math.max(0, of_runs), math.max(0, of_blobs)), 'keepttl')
end

-- By bytes, and not through a character.
local function cut(text, most)
    return (string.gsub(string.sub(text, 1, most), '[\\192-\\255]?[\\128-\\191]*$', '', 1))
end

local function write(id, run, before, ...)
    local text = cjson.encode(run)
    of_runs = of_runs + cost_of_run(id, #text) - (before and cost_of_run(id, #before) or 0)
    redis.call('set', prefix .. 'run:' .. id, text, ...)
end

local function forget_blob(member)
    local key = prefix .. member
    local length = length_of(key)
    if length > 0 then of_blobs = of_blobs - cost_of_blob(member, length) end
    redis.call('del', key)
    redis.call('zrem', blobs, member)
end

local function forget_task(name)
    if redis.call('exists', prefix .. 'task:' .. name) == 1 then return end
    of_runs = of_runs - cost_of_task(name) * redis.call('srem', prefix .. 'tasks', name)
end

local function forget(id)
    local run, text = read(id)
    if text then of_runs = of_runs - cost_of_run(id, #text) end
    redis.call('zrem', all, id)
    if not run then
        redis.call('del', prefix .. 'run:' .. id)
    else
        redis.call('zrem', prefix .. 'task:' .. (run.t or ''), id)
        forget_task(run.t or '')
        of_runs = of_runs - cost_of_state * redis.call('zrem', prefix .. 'state:' .. run.s, id)
        for try = math.max(1, (run.n or 1) - 9), run.n or 1 do
            if redis.call('exists', prefix .. 'log:' .. id .. ':' .. try) == 1 then
                forget_blob('log:' .. id .. ':' .. try)
            end
        end
        if redis.call('exists', prefix .. 'body:' .. id) == 1 then forget_blob('body:' .. id) end
        redis.call('del', prefix .. 'run:' .. id)
    end
end

-- Cut the results of the oldest runs, but for those of the newest tenth; whether there is nothing left to cut.
local function cut_results()
    local score = redis.pcall('get', cut_up_to)
    local first = type(score) == 'string' and redis.pcall('zcount', all, '-inf', score)
    if type(first) ~= 'number' then first = 0 end
    local after = math.floor(redis.call('zcard', all) * 0.9)
    if first >= after then return true end
    local found = redis.call('zrange', all, first, math.min(after, first + 500) - 1, 'withscores')
    for number = 1, #found, 2 do
        local id = found[number]
        local run, text = read(id)
        if run and type(run.r) == 'string' and #run.r > 100 then
            run.r = cut(run.r, 97) .. '\\226\\128\\166'
            write(id, run, text, 'keepttl')
        end
        score = found[number + 1]
        if of_runs <= most_of_runs then break end
    end
    redis.call('set', cut_up_to, score, 'ex', life)
    return first + 500 >= after
end

-- At most so many in one step, in which redis does nothing else; whether more are to go.
local function trim()
    local left = 1000
    while of_blobs > most_of_blobs and left > 0 do
        local members = redis.call('zrange', blobs, 0, 99)
        if #members == 0 then of_blobs = 0 end
        for _, member in ipairs(members) do
            if of_blobs > most_of_blobs then forget_blob(member) end
        end
        left = left - 100
    end
    local over = redis.call('zcard', all) - keep
    if over > 0 then
        for _, id in ipairs(redis.call('zrange', all, 0, math.min(over, 2000) - 1)) do forget(id) end
    end
    local too_old = redis.call('zrangebyscore', all, '-inf', string.format('%.4f', now - age), 'limit', 0, 2000)
    for _, id in ipairs(too_old) do forget(id) end
    -- They have expired: their runs were gone before, or had more tries than are looked for.
    redis.call('zremrangebyscore', blobs, '-inf', '(' .. string.format('%.3f', now - life))
    local is_more = of_blobs > most_of_blobs or over > 2000 or #too_old == 2000
    if of_runs <= most_of_runs then return is_more end
    -- While results are cut, what comes in is made room for, and no more.
    local most = cut_results() and most_of_runs or math.max(most_of_runs, of_runs_before)
    -- The newest one stays, however large it is.
    local others = redis.call('zcard', all) - 1
    if of_runs <= most or others < 1 then return is_more or (of_runs > most_of_runs and others > 0) end
    for _, id in ipairs(redis.call('zrange', all, 0, math.min(500, others) - 1)) do
        forget(id)
        if of_runs <= most then break end
    end
    return is_more or (of_runs > most_of_runs and others > 500)
end
"""
)

RECORD = (
    _COMMON
    + """
local events = cjson.decode(ARGV[6])
local has_ended = {failed = true, revoked = true}
local rank = {waiting = 0, running = 1, retrying = 2, ['given back'] = 2, lost = 2, revoked = 3, failed = 3, dead = 4}

-- Ours are shorter; whoever writes into the broker may make up others, of which one is not to take the place of all.
local function cut_long_texts(fields)
    for name, value in pairs(fields) do
        if type(value) == 'string' and #value > 4096 then fields[name] = cut(value, 4096) end
    end
end

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
    -- One worker has begun it once, and its clock was set back meanwhile: the end is behind the beginning all the same.
    if are_known and delivered > 0 and now_delivered == delivered and run.k and event.f.k == run.k then
        if event.s == 'running' and has_ended[run.s] then return false end
        if run.s == 'running' and has_ended[event.s] then return true end
    end
    if event.a ~= run.a then return event.a > run.a end
    return rank[event.s] >= rank[run.s]
end

for _, event in ipairs(events) do
    local id = event.i
    local run, text = read(id)
    run = run or {}
    if event.f then
        drop_odd_numbers(event.f)
        cut_long_texts(event.f)
    end
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
        -- By a clock that is wrong; or it has waited for so long that it would be too old at once.
        if run.o > now or run.o <= now - age then run.o = now end
        redis.call('zadd', all, run.o, id)
    end
    if run.t and run.t ~= task_before then
        redis.call('zadd', prefix .. 'task:' .. run.t, run.o, id)
        of_runs = of_runs + cost_of_task(run.t) * redis.call('sadd', prefix .. 'tasks', run.t)
        redis.call('expire', prefix .. 'task:' .. run.t, life)
    end
    if before ~= run.s then
        if before and before ~= 'succeeded' then
            of_runs = of_runs - cost_of_state * redis.call('zrem', prefix .. 'state:' .. before, id)
        end
        if run.s ~= 'succeeded' then
            of_runs = of_runs + cost_of_state * redis.call('zadd', prefix .. 'state:' .. run.s, run.o, id)
            redis.call('expire', prefix .. 'state:' .. run.s, life)
        end
    end
    write(id, run, text, 'ex', life)
end
for number = 7, #ARGV, 2 do
    local member, value = ARGV[number], ARGV[number + 1]
    local key, taken = prefix .. member, cost_of_blob(member, #value)
    -- One that is larger than all may be is not kept, and nothing makes room for it.
    if taken <= most_of_blobs then
        local before = length_of(key)
        of_blobs = of_blobs + taken - (before > 0 and cost_of_blob(member, before) or 0)
        redis.call('set', key, value, 'ex', life)
        redis.call('zadd', blobs, now, member)
    end
end
trim()
keep_count()
for _, each in ipairs({all, blobs, prefix .. 'tasks'}) do redis.call('expire', each, life) end
return #events
"""
)
"""ARGV: what `Limits.args` gives, events as JSON, then names and values of blobs in turns."""

SWEEP = (
    _COMMON
    + """
local missing_time = tonumber(ARGV[6])
local alive, gone = {}, {}
for _, id in ipairs(redis.call('zrange', prefix .. 'state:running', 0, 999)) do
    local run, text = read(id)
    if not run or run.s ~= 'running' then
        of_runs = of_runs - cost_of_state * redis.call('zrem', prefix .. 'state:running', id)
    else
        local worker = run.k or ''
        if alive[worker] == nil then alive[worker] = redis.call('exists', prefix .. 'worker:' .. worker) end
        if alive[worker] == 1 then
            if run.m then
                run.m = nil
                write(id, run, text, 'keepttl')
            end
        elseif not run.m then
            run.m = now
            write(id, run, text, 'keepttl')
        elseif now - run.m >= missing_time then
            gone[#gone + 1] = id
            gone[#gone + 1] = text
        end
    end
end
trim()
-- What an index has before the oldest run is of a record that has gone by itself.
local oldest = redis.call('zrange', all, 0, 0, 'withscores')[2]
local before = oldest and '(' .. oldest or '+inf'
for _, state in ipairs(states) do
    of_runs = of_runs - cost_of_state * redis.call('zremrangebyscore', prefix .. 'state:' .. state, '-inf', before)
end
for _, task in ipairs(redis.call('srandmember', prefix .. 'tasks', 100)) do
    redis.call('zremrangebyscore', prefix .. 'task:' .. task, '-inf', before)
    forget_task(task)
end
keep_count()
return gone
"""
)
"""ARGV: what `Limits.args` gives, seconds for which a worker must be missing.

Gives ids and records of those that run in a worker that is gone.
"""

TRIM = (
    _COMMON
    + """
local is_more = trim()
keep_count()
return is_more and 1 or 0
"""
)
"""ARGV: what `Limits.args` gives. Gives 1 where more is to go than goes in one step."""

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
    _READ
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
