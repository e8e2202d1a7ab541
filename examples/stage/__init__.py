"""
What the demo is played on: a counter of statements, a list of claims, a screen.
"""
