-- Vouch for a writer's fence for another lease; put it back, with a bump, where it was
-- lost. ARGV[5..]: token, owner. Gives on how many tags it was lost.

insist()
local token, owner, lost = ARGV[5], ARGV[6], 0
for i = 2, #KEYS do
    local version, fences, kind = take(KEYS[i])
    if kind ~= 'ours' or not find(fences, token) then
        version, lost = draw(), lost + 1
        fences = doubt(fences, kind)
    end
    fences = without(fences, token)
    fences[#fences + 1] = { token = token, deadline = NOW + LEASE, owner = owner }
    put(KEYS[i], version, fences, LEASE)
end
return lost
