"""
The part that knows SQLAlchemy.

What an app imports from here are the options for single statements.
"""

from yokedcache.sqlalchemy.options import FromCache, NoCache

__all__ = ["FromCache", "NoCache"]
