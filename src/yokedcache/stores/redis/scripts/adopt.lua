-- Take down a fence that its writer has ceased to vouch for, with a bump. The caller
-- knows that its transaction is over, or has waited long enough.
-- ARGV[5..]: token, milliseconds after its deadline. Gives for each tag 1 where that was
-- done, 0 where there is no such fence, -1 where it still is vouched for.

insist()
local token, grace, done, over = ARGV[5], tonumber(ARGV[6]), {}, {}
for i, key in ipairs(changed()) do
    local _, fences, kind = take(key)
    local fence = find(fences, token)
    if not fence then
        done[i] = 0
    elseif fence.deadline + grace > NOW then
        done[i] = -1
    else
        local version = draw()
        put(key, version, doubt(without(fences, token), kind), LEASE)
        done[i] = 1
        over[#over + 1] = key
    end
end
announce(over)
return done
