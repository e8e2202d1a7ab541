"""
A store spread over servers that forget what they have no room for.

`layout` says where things lie, `steps` what servers are asked; `changing`, `tagging` and
`looking` are the operations, which `commands` hands out; `client` does them, over
connections that are kept (`peers`, `link`); `memory` knows what a server may have lost.

**One library, pymemcache**, for both faces: it is small and plain Python, many rely on
it, and a client of it is one socket, which can be held on to and is never reopened unseen.
An event loop's operations are done by a few threads (`stores.worker`): a second library
would bring a second set of faults.

**Servers don't take each other's place.** A key lies on the server that its digest leads
to, whatever becomes of that. One that doesn't answer makes misses of what lies there, and
commits that have a tag there go by `on_unreachable`; the others go on. All processes have
to know the same servers: each server's counter says which, and who connects to one that
is used with others, or changes something there, is refused.

**What is atomic** is one item: it can be replaced if it still is what was read (`gets`,
`cas`). The numbers that say so are one life's of a server, so all of an operation goes
over one connection to each server, and one that failed is never used again. A tag's
version and its fences are one item; they are read, evicted and lost together. A change
reads tag and counter, draws a version by replacing the counter, then replaces the tag;
where one of the two was changed meanwhile all of it is done again. So a server gives one
version at a time, a tag's versions come in the order in which they were drawn, and each
was drawn after what went before it was read. A tag that isn't there is put there first, without a version: what a change
replaces has then been there from before it drew to the end, and nothing can come and go
unseen in between.

**Versions** are `origin.number`. Each server has a counter, with an origin of 96 random
bits that is drawn with it. A counter that is lost, with all memory or by itself, begins a
new origin. So no version is ever given twice, whatever is evicted, flushed or restarted.
Those of two origins are not compared. A note of the counter (rule 6) is a note of all
that can be asked; a version whose origin isn't in it is taken to be newer.

**Reading.** Nothing checks tags and stores an entry in one step, and nothing reads both
in one. It need not. An entry is stored only once each of its tags was seen to stand,
after its data were read, as it stood before; it carries their versions; and a look-up
compares those with the tags as they are then. A fence gives a tag a version, and no
version comes back. So a tag that stands at any moment of a look-up as the entry says has
stood like that since before the data were read, up to that moment, or to the one in which
it was seen before the entry was stored, whichever is later: the answer is right at a
moment after the look-up began, in whatever order entry and tags are read. An entry that
is stored late, after a fence was raised, or lifted, or the tag was evicted and made anew,
carries a version that no tag has any more: it lies there, and is never served. Therefore
an entry may outlive its tags, too.

**Writing.** A fence is raised on one tag after the other, and COMMIT is sent when all are
up; after it each is bumped and lifted, and commit() returns when all are. No rule needs
two tags to change at once: who reads between two steps meets a fence, or reads what
COMMIT has not changed yet (before), or what nobody has been promised yet (after). A
change goes on with the other servers where one can't be asked, and then fails.

**Evicted.** A tag under a fence has no end, but it may be evicted, and the fence with it.
Whoever makes a tag can't see whether it had been there. So the server is asked what it
has lost (`stats`: evictions, flushes, restarts), after the tag was found missing; unless
that is nothing for a lease, as this process has watched it, the tag is born fenced
for a lease, in which living writers put their fences back. A counter that began anew
counts as a loss, and so does a page of memory that is being moved: what that costs is
counted when it is done. A process that is new on a server that has evicted something relies on
tags that it finds, and for its first lease on none that it makes.

**Time.** Servers count whole seconds and take more than thirty days for a date: what is
told to live is told a second or two more, and thirty days at most. Deadlines of fences
are on the server's clock, which `stats` tells; processes may differ about it by two
seconds, and by so much longer stand the fences that only time ends; so a server that took
long to tell the time, or has hung and tells an old one, is asked again. A tag says until when
it is kept, so that an entry that lives shorter doesn't shorten its life.

**Restarts.** A server that was started to keep its memory over restarts (`-e`) is
refused, for what was changed in between would be undone; and so is one without `cas`.
"""
