-- Store an entry if every tag still stands as its vector says, which is unfenced.
-- KEYS: the entry, then its tags. ARGV: milliseconds to live, the entry, the versions.
-- Gives 0, else the place of the first tag that doesn't hold: negative if it is fenced.

local life = tonumber(ARGV[1])
for i = 2, #KEYS do
    local value = read(KEYS[i])
    if value ~= ARGV[i + 1] then
        local fenced = type(value) == 'string' and string.find(value, ';', 1, true)
        return fenced and 1 - i or i - 1
    end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[1])
for i = 2, #KEYS do
    -- a tag lives as long as what carries it: never shortened here
    local left = redis.call('PTTL', KEYS[i])
    if left >= 0 and left < life then
        redis.call('PEXPIRE', KEYS[i], ARGV[1])
    end
end
return 0
