"""
Redis, Valkey and their kin: entries and tags that many processes share.

`layout` says where things lie and `envelope` what an entry looks like; `operations` and
`changes` have every operation once, without I/O, as `commands` hands them out; `sync`
and `aio` perform them over redis-py, which nothing but these two and `faults` imports.
Steps over several keys are the scripts in `scripts/`. `incarnation` knows whom a
connection leads to.
"""
