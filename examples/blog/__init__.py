"""
A small blog, as one would write it on SQLAlchemy with no cache in mind.

`models` and `queries` know nothing of yokedcache; `functions`, `repositories`
and `sessions` show the three ways to put it in front of them.
"""
