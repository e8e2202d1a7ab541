"""
What the docs are checked for: code that runs, links that lead somewhere, no gaps.
"""
