"""
A cache whose entries many processes share: this process's side of it.

A process keeps what it read and decoded, and a mirror of the tags: each tag's version
in the shared store, as last learnt. Nothing of that is served on trust. An entry is
*proven* when the shared store said, asked after the caller began, that it is the one
stored there and that all its tags stand as its vector says; whoever began before the
asking may have it. All else (captures, session vectors, snapshots, flights) compares
the mirror's own numbers: knowing too little makes a miss, never an old answer. With
`near`, an answer is given out again for so long after it was asked about, unless
something in this process wants more.

`store` is that side of it: `looking` looks things up, `claiming` has one process load for
all, `fencing` announces commits and makes up for what couldn't be said, `orphans` asks
databases after writers that died. `mirror` knows how tags stood, `server` is the way to
the store, with a `breaker`; `keys` and `payloads` give keys and entries the one form that
every process reads.
"""
