"""
Redis, Valkey and their kin: entries and tags that many processes share.

`layout` says where things lie and `stores.envelope` what an entry looks like; `operations` and
`changes` have every operation once, without I/O, as `commands` hands them out, `claims`
those that say who loads; `questions` ask whether what was seen still stands, and `folding`
asks for many things at once. `sync` and `aio` perform them over redis-py; an event loop has
`lines` of its own, and `trips` over them. `ways` reads
URLs, `sentinel` finds the server that `client` connects to, and `cluster` spreads the
same over many nodes.
Steps over several keys are the scripts in `scripts/`. `incarnation` knows whom a
connection leads to.
"""
