"""
The part that knows SQLAlchemy.

What an app imports from here are the options for single statements.
"""

try:
    from yokedcache.sqlalchemy.options import FromCache, NoCache
except ModuleNotFoundError as error:
    if error.name != "sqlalchemy":
        raise
    msg = "SQLAlchemy isn't installed; this part needs it: pip install 'yokedcache[sqlalchemy]'"
    raise ModuleNotFoundError(msg, name=error.name) from error

__all__ = ["FromCache", "NoCache"]
