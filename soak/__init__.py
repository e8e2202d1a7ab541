"""
The soak: a web application under load for minutes, with the cache and without.

`app` is the application over the tables of `models`, `load` asks it, `vitals` watches its processes, `report` says
what came of it, and `run` does all of it: `make soak`.
"""
