-- Let tags live as long as an entry that is about to be stored elsewhere, if every one
-- still stands as its vector says, which is unfenced.
-- KEYS: tags. ARGV: milliseconds to live, the versions.
-- Gives 0, else the place of the first tag that doesn't hold: negative if it is fenced.

local life = tonumber(ARGV[1])
for i = 1, #KEYS do
    local value = read(KEYS[i])
    if value ~= ARGV[i + 1] then
        local fenced = type(value) == 'string' and string.find(value, ';', 1, true)
        return fenced and -i or i
    end
end
for i = 1, #KEYS do
    local left = redis.call('PTTL', KEYS[i])
    if left >= 0 and left < life then
        redis.call('PEXPIRE', KEYS[i], ARGV[1])
    end
end
return 0
