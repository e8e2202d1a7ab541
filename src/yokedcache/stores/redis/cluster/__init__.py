"""
A store spread over the nodes of a Cluster, without anything that spans two of them.

**Islands.** A script may touch one slot alone, and every script that gives a version
draws from a counter. So there isn't one counter but `ISLANDS` of them: tags are shared
out among as many islands by their digest, and all keys of an island, its counter among
them, lie in one slot by a hash tag. An island is a small store of one server: the
scripts are those of one server, and what holds there of versions, fences and lost memory
holds within each. Entries lie in slots of their own.

**Versions** of two islands have different origins, each with a nonce of its own, so none
is ever given twice and none is compared with another's. A note of the counter (rule 6)
is a note of all of them; a version is judged by the number of its own origin, and one
whose origin isn't in the note is taken to be newer. An island whose counter isn't there
is begun when a note is taken, so that it is old enough to be relied on later.

**Writing.** A fence is raised on one island after the other, and COMMIT is sent when all
are up; after it each is bumped and lifted, and commit() returns when all are. No rule
needs two tags to change at once: an entry is served if each of its tags stands as it did,
and whoever reads between two steps meets a fence or reads what COMMIT has not changed
yet (before), or what nobody has been promised yet (after).

**Reading.** Entry and tags are asked for at the same time, so a tag may have been read
before the entry was, or stored. That is safe: no version is given twice, raising a fence
gives one, and an entry is only stored once each of its tags was seen to stand, after its
data were read, as it stood before they were (`hold.lua`). So a tag that stands like that
at any moment of a look-up has stood like that since before the data were read, up to
that moment or to the moment when it was stored, whichever is later: the answer is right
at a moment after the look-up began. Where an entry is stored after a tag has changed
again, the look-up finds that out.

**Incarnations** are the nodes', and differ by slot. What a tag says counts only if it was
given by the node that says it now, in its present life; else the tag is taken as lost. So
an island that fails over, or whose slot moves, starts anew: misses, and tags that are
born fenced for one lease. A slot that comes back to a node finds what was there before
unless something has changed it meanwhile, and that has left another node's mark.

Tags are read by GETEX one by one, not by MGET: it counts as a write, so that a primary
which is about to hand over (CLUSTER FAILOVER holds writes back, not reads) keeps the
reader waiting, and then says who serves the slot.

**A slot on the move.** Single keys are where they are, or said to be asked for elsewhere
(ASK): that counts as lost. Scripts need all their keys on one side, and while keys are
travelling that may be neither side (TRYAGAIN). What has to be announced then is announced
by dropping the tags, one by one, on whichever side each is. That is a bump, and as good as
a fence: nobody can make the tag before the move is over, and afterwards it is made in
another incarnation, and born fenced. (A move that is called off in the very moment of a
commit whose writer then dies would leave that tag without its fence.)

A primary that is cut off from the others ceases to answer after `cluster-node-timeout`,
and until then nobody takes its place. `cluster-allow-reads-when-down` has to be off for
that, as it is by default.
"""
