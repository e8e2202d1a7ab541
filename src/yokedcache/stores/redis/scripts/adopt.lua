-- Take down a fence that its writer has ceased to vouch for, with a bump. The caller
-- knows that its transaction is over, or has waited long enough.
-- ARGV[5..]: token, milliseconds after its deadline. Gives for each tag 1 where that was
-- done, 0 where there is no such fence, -1 where it still is vouched for.

insist()
local token, grace, done = ARGV[5], tonumber(ARGV[6]), {}
for i = 2, #KEYS do
    local _, fences, kind = take(KEYS[i])
    local fence = find(fences, token)
    if not fence then
        done[i - 1] = 0
    elseif fence.deadline + grace > NOW then
        done[i - 1] = -1
    else
        local version = draw()
        put(KEYS[i], version, doubt(without(fences, token), kind), LEASE)
        done[i - 1] = 1
    end
end
return done
