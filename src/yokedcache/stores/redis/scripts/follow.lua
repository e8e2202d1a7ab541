-- Begin to follow what is announced, in a log that is made if there is none: whoever reads
-- on after the entry that this writes misses nothing that is announced from now on.
-- KEYS: the counter, the log. ARGV[5]: milliseconds that the log lives. Gives the version
-- that stands for the place of that entry.

insist()
if write('', true) then
    write('', true, redis.call)
end
redis.call('PEXPIRE', KEYS[#KEYS], ARGV[5])
return draw()
