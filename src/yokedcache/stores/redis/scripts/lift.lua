-- Bump tags and take a writer's fence down, also where it is gone already.
-- ARGV[5]: token. Gives the version, and on how many tags the fence was.

insist()
local version, found = draw(), 0
local tags = changed()
announce(tags)
for _, key in ipairs(tags) do
    found = found + renumber(key, ARGV[5])
end
return { version, found }
