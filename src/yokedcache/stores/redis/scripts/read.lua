-- What every script begins with.

-- Give what lies under a key; an error if it isn't text. One that may not be read ends the
-- script: it is there all the same, and must not be taken for something else.
local function read(key)
    local value = redis.pcall('GET', key)
    if type(value) == 'table' and not string.find(value.err, 'WRONGTYPE', 1, true) then
        return redis.call('GET', key)
    end
    return value
end

