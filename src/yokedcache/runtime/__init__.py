"""
What runs the plans: drivers, waiting, clocks, and what a context carries along.
"""
