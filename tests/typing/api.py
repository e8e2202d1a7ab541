"""
The public API as a user's type checker sees it: checked by mypy, never run.
"""
