-- Bump tags and put a writer's fence on them: a commit is about to be sent.
-- ARGV[5..]: token, owner. Gives the version.

insist()
local token, owner = ARGV[5], ARGV[6]
local version = draw()
local tags = changed()
announce(tags)
for _, key in ipairs(tags) do
    local _, fences, kind = take(key)
    fences = doubt(without(fences, token), kind)
    fences[#fences + 1] = { token = token, deadline = NOW + LEASE, owner = owner }
    put(key, version, fences, LEASE)
end
return version
