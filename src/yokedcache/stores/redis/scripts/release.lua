-- Give up the claim of a load, if it is still one's own.
-- KEYS: the claim. ARGV: its token. Gives 1 if it was.

if read(KEYS[1]) == ARGV[1] then
    return redis.call('DEL', KEYS[1])
end
return 0
