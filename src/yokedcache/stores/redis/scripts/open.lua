-- Make tags that are not there, for a reader who is about to read what they stand for,
-- and end the fence for lost ones where its time is over.
-- ARGV[5]: milliseconds that a new tag lives. Gives the tags' values.

local values = {}
for i = 2, #KEYS do
    local version, fences, kind = take(KEYS[i])
    local left = without(fences, nil)
    if kind == 'ours' and #left == #fences then
        values[i - 1] = redis.call('GET', KEYS[i])
    else
        version = draw()
        values[i - 1] = put(KEYS[i], version, doubt(left, kind), tonumber(ARGV[5]))
    end
end
return values
