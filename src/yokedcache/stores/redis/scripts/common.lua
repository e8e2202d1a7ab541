-- What every script that gives versions has before it: how values are read and written.
--
-- KEYS: the counter, then tags; of scripts that announce what they change, the log comes
-- last. ARGV: the incarnation's mark, a nonce in case the counter has to begin a new
-- origin, the lease in milliseconds, '1' where the server may evict any key; then what is
-- the script's own.

local MARK, NONCE, LEASE, EVICTS = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1'
local BORN = '0'
local WORD = '[%w_%-]'
local DIGEST = 8
local LONGEST = '1000'
local VERSION = string.rep(WORD, 16) .. '%.%d+'

local function read_clock()
    local time = redis.call('TIME')
    return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local NOW = read_clock()

local function whole(number)
    -- tostring would write large numbers with an exponent
    return string.format('%.0f', number)
end

-- Have what follows done on a server that is out of memory, too: a change that nobody
-- hears of would cost more than the bytes of its tags. Servers let a script go on after a
-- first command that writes and takes no memory; this one changes nothing.
local function insist()
    redis.call('PERSIST', KEYS[1])
end

-- Give the next version, once a script. A counter that was lost or belongs to another
-- incarnation begins a new origin: fences may have been lost with it, so tags that are
-- made within a lease from then on are born fenced, until `young`. Living writers put
-- theirs back within that time (`renew`).
local drawn, young
local function draw()
    if drawn then
        return drawn
    end
    local value = read(KEYS[1])
    local origin, number, birth
    if type(value) == 'string' then
        origin, number, birth =
            string.match(value, '^(' .. string.rep(WORD, 16) .. ')%.(%d+)%.(%d+)$')
    end
    if not origin or #number > 13 or #birth > 15 or string.sub(origin, 1, 8) ~= MARK then
        origin, number, birth = MARK .. NONCE, 0, NOW
    end
    birth = math.min(tonumber(birth), NOW)
    drawn = origin .. '.' .. whole(tonumber(number) + 1)
    young = birth + LEASE
    redis.call('SET', KEYS[1], drawn .. '.' .. whole(birth))
    return drawn
end

-- Write into the log, under the number that was drawn; gives what went wrong. A log that
-- doesn't take it, as it isn't ours or has numbers of a counter that was lost, is dropped:
-- whoever follows it finds that out, and begins anew. `call` ends the script instead.
local function write(words, made, call)
    local id = string.match(draw(), '%d+$') .. '-0'
    local told = { 'MAXLEN', '~', LONGEST, id, 't', words }
    if not made then
        table.insert(told, 1, 'NOMKSTREAM')
    end
    local done = (call or redis.pcall)('XADD', KEYS[#KEYS], unpack(told))
    if type(done) == 'table' and done.err then
        redis.call('DEL', KEYS[#KEYS])
        return done
    end
    return nil
end

-- Give the tags of a script that announces.
local function changed()
    local tags = {}
    for i = 2, #KEYS - 1 do
        tags[i - 1] = KEYS[i]
    end
    return tags
end

-- Tell those who follow which tags something has changed. Where nobody does there is no
-- log, and none is made.
local function announce(tags)
    if #tags == 0 then
        return
    end
    local words = {}
    for i, key in ipairs(tags) do
        words[i] = string.sub(key, -DIGEST)
    end
    write(table.concat(words), false)
end

-- Read a tag: its version, its fences, and what it is: 'ours', 'old' (of another
-- incarnation), 'lost' or 'foreign'.
local function take(key)
    local value = read(key)
    if not value then
        return nil, {}, 'lost'
    end
    local version, rest
    if type(value) == 'string' then
        version, rest = string.match(value, '^(' .. VERSION .. ')(.*)$')
    end
    if not version or #version > 31 then
        return nil, {}, 'foreign'
    end
    local fences, again = {}, ''
    for token, deadline, owner in
        string.gmatch(rest, ';(' .. WORD .. '+),(%d+),(' .. WORD .. '*)')
    do
        again = again .. ';' .. token .. ',' .. deadline .. ',' .. owner
        fences[#fences + 1] = { token = token, deadline = tonumber(deadline), owner = owner }
        if #deadline > 15 then
            return nil, {}, 'foreign'
        end
    end
    if again ~= rest then
        return nil, {}, 'foreign'
    end
    return version, fences, string.sub(version, 1, 8) == MARK and 'ours' or 'old'
end

-- Leave out a fence, and the one for lost fences once its time is over.
local function without(fences, token)
    local left = {}
    for _, fence in ipairs(fences) do
        local over = fence.token == BORN and fence.deadline <= NOW
        if fence.token ~= token and not over then
            left[#left + 1] = fence
        end
    end
    return left
end

local function find(fences, token)
    for _, fence in ipairs(fences) do
        if fence.token == token then
            return fence
        end
    end
    return nil
end

-- Fence a tag whose fences may be lost, from what it is; `draw` was called.
local function doubt(fences, kind)
    local ends = 0
    if kind == 'foreign' or (kind == 'lost' and EVICTS) then
        ends = NOW + LEASE
    elseif kind ~= 'ours' then
        ends = young
    end
    local born = find(fences, BORN)
    if ends > NOW and (not born or born.deadline < ends) then
        fences = without(fences, BORN)
        fences[#fences + 1] = { token = BORN, deadline = ends, owner = '' }
    end
    return fences
end

-- Write a tag. It lives for good while a writer's fence is up, else so long as `life`.
local function put(key, version, fences, life)
    local text, open, last = version, false, NOW
    for _, fence in ipairs(fences) do
        text = text .. ';' .. fence.token .. ',' .. whole(fence.deadline) .. ',' .. fence.owner
        if fence.token == BORN then
            last = math.max(last, fence.deadline)
        else
            open = true
        end
    end
    if open then
        redis.call('SET', key, text)
    else
        redis.call('SET', key, text, 'PX', whole(last - NOW + life))
    end
    return text
end

-- Give a tag that is there a new version, and take a fence down. One that is not there
-- needs nothing: what carries it is unservable, and whoever makes it draws anew.
local function renumber(key, token)
    local _, fences, kind = take(key)
    if kind ~= 'lost' then
        local version = draw()
        put(key, version, doubt(without(fences, token), kind), LEASE)
    end
    return find(fences, token) and 1 or 0
end
